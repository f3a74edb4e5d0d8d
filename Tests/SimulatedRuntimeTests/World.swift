import IORuntime
import Primitives
import SimulatedRuntime
import Testing

/// A world of machines named a, b, c, … at 10.0.0.1, 10.0.0.2, …
struct World {
    let simulator: Simulator
    let nodes: [SimulatedNode]

    init(seed: UInt64 = 1, nodes count: Int = 2) {
        let simulator = Simulator(seed: seed)
        self.simulator = simulator
        self.nodes = (0..<count).map { index in
            simulator.makeNode("abcdefgh".map(String.init)[index], host: "10.0.0.\(index + 1)")
        }
    }

    subscript(_ index: Int) -> SimulatedNode { self.nodes[index] }

    /// Runs `work` on a machine's first loop to its end, as a root task.
    @discardableResult
    func run(
        on node: Int = 0, for span: Duration = .seconds(600),
        _ work: @escaping @Sendable (SimulatedEnvironment) async -> Void
    ) -> SimulationOutcome {
        let environment = self.nodes[node].environment
        self.simulator.spawn("work", on: environment.simulatedLoops[0]) { await work(environment) }
        return self.simulator.run(for: span)
    }
}

extension SimulatedEnvironment {
    /// Some time from now.
    func after(_ span: Duration) -> Instant { self.now + span }

    var firstLoop: any EventLoop { self.loops[0] }
}

/// What a task of the simulation found out, for the test to look at. Touched on the simulator's
/// thread only.
final class Notes: @unchecked Sendable {
    private(set) var lines: [String] = []
    func add(_ line: String) { self.lines.append(line) }
}

extension ByteStream {
    /// Reads once, waiting as long as needed; empty at the end of the stream.
    func readSome(by deadline: Instant) async throws(StreamFault) -> [UInt8] {
        while true {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let result: Result<Int?, StreamFault> = buffer.withUnsafeMutableBytes { bytes in
                do throws(StreamFault) { return .success(try self.readNow(into: bytes)) } catch {
                    return .failure(error)
                }
            }
            if let count = try result.get() { return Array(buffer[..<count]) }
            try await self.readable(by: deadline)
        }
    }

    /// Reads to the end of the stream.
    func readAll(by deadline: Instant) async throws(StreamFault) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let part = try await self.readSome(by: deadline)
            if part.isEmpty { return bytes }
            bytes += part
        }
    }
}
