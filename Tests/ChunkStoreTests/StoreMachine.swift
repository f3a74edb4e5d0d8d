import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Testing

/// A simulated machine with a chunk store on its disk.
struct StoreMachine: Sendable {
    let simulator: Simulator
    let node: SimulatedNode
    var settings: ChunkStoreSettings

    init(
        seed: UInt64 = 1, capacityBytes: UInt64 = 64 << 20, segmentBytes: UInt64 = 1 << 20,
        reserveBytes: UInt64 = 0, intakeBudgetBytes: Int = 8 << 20, spareBytes: Int = 8 << 10
    ) {
        self.simulator = Simulator(seed: seed)
        self.node = self.simulator.makeNode(
            "a", host: "10.0.0.1", capacityBytes: capacityBytes)
        self.settings = ChunkStoreSettings(
            directory: "/chunks", intakeBudgetBytes: intakeBudgetBytes,
            reserveBytes: reserveBytes, segmentBytes: segmentBytes, spareBytes: spareBytes)
    }

    var files: any FileSystem { self.node.environment.files }

    /// Opens the store in the machine's process, starting one where none runs.
    func open() async throws(ChunkStoreFault) -> ChunkStore {
        let environment = self.node.environment
        return try await ChunkStore.open(
            self.settings, in: environment, loop: environment.simulatedLoops[0],
            stores: SimulatedStoreFactory(self.node)
        ) { status, reason in await environment.terminate(status: status, reason: reason) }
    }

    /// Runs `work` with the store open, and closes it; a process that died is started again first.
    @discardableResult
    func run(
        sourceLocation: SourceLocation = #_sourceLocation,
        _ work: @escaping @Sendable (ChunkStore) async throws -> Void
    ) -> SimulationOutcome {
        if !self.node.isRunning { self.node.restart() }
        self.simulator.spawn("work", on: self.node.environment.simulatedLoops[0]) {
            do {
                let store = try await self.open()
                try await work(store)
                await store.close()
            } catch {
                // A machine that dies under the call leaves faults behind, which nobody hears.
                guard self.node.isRunning else { return }
                Issue.record("\(error)", sourceLocation: sourceLocation)
            }
        }
        let outcome = self.simulator.run(for: .seconds(600))
        #expect(outcome.blockingCallsOnLoops == 0, sourceLocation: sourceLocation)
        return outcome
    }

    var segments: [String] {
        self.node.disk.filePaths.filter { $0.hasSuffix(".segment") }
    }

    func loseIndex() throws { try self.files.removeTree("/chunks/index") }
}

/// What tasks of a simulation found out. Touched on the simulator's thread only.
final class Notes<Note>: @unchecked Sendable {
    private(set) var all: [Note] = []
    func add(_ note: Note) { self.all.append(note) }
}
