import MetaNode
import ObjectAccess
import Primitives
import SimulatedRuntime
import StoreNode

/// What came of a story.
package struct CrashReport: Sendable {
    package let story: CrashStory
    package let seed: UInt64
    /// Nil where nobody was to die.
    package let point: CrashPoint?
    /// What must never happen and did; empty after a good run.
    package let violations: [String]
    /// What the machine was about to do when it died; nil where the story ended before.
    package let interrupted: MachineStep?
    /// The steps of each machine in the story.
    package let stepsOfMachines: [Int]
    /// The steps of all watched machines, in the order of `MachineStep.allCases`.
    package let stepsOfKinds: [Int]
    package let traceHash: UInt64

    package var isGood: Bool { self.violations.isEmpty }

    /// How many steps there are to die at.
    package func stepCount(of scene: CrashPoint.Scene) -> Int {
        switch scene {
        case .killed(let machine), .powerCut(let machine): self.stepsOfMachines[machine]
        case .allPowerCut: self.stepsOfMachines.reduce(0, +)
        }
    }

    /// The report in one line.
    package var line: String {
        var words = ["\(self.story.rawValue) seed=\(self.seed)"]
        if let point {
            words.append("\(point.scene.name) step=\(point.step)")
            words.append("before=\(self.interrupted.map { "\($0)" } ?? "nothing")")
        } else {
            words.append("steps=\(self.stepsOfMachines.map(String.init).joined(separator: ","))")
            words += zip(MachineStep.allCases, self.stepsOfKinds).map { "\($0)=\($1)" }
        }
        let hash = withUnsafeBytes(of: self.traceHash.bigEndian) { Hex.encode(Array($0)) }
        return words.joined(separator: " ") + " \(self.isGood ? "good" : "FAILED") trace=\(hash)"
    }
}

/// One telling of a story on five nodes, with one death in it or none.
///
/// With the same seed everything up to the death is the same, so the steps of a telling without a
/// death are the steps to die at. Behind the death the dead are started again, everything settles,
/// and then:
///
/// 1. Through every edge every object is what was acknowledged; where nobody answered, one of the
///    two, and the same everywhere.
/// 2. Every chunk that an object names rests with all nodes that metadata says, and in the end
///    nothing else rests anywhere.
/// 3. Replicas that applied the same entries hold the same state.
/// 4. No process ends itself, no job leaves the simulator, no loop blocks, and nothing that somebody
///    waits for fails to come.
package final class CrashRun {
    package let simulator: Simulator
    private let cluster: SimulatedCluster
    private let telling: CrashTelling
    private let story: CrashStory
    private let point: CrashPoint?

    package static let nodeCount = 5
    /// Of virtual time; a story takes some seconds.
    private static let limit: Duration = .seconds(600)

    package init(_ story: CrashStory, seed: UInt64, _ point: CrashPoint?) throws {
        self.simulator = Simulator(seed: seed)
        var settings = SimulatedClusterSettings()
        settings.nodeCount = Self.nodeCount
        settings.access.chunkBytes = story.chunkBytes
        // What is deleted, left over or given up goes within seconds.
        settings.access.uploadLifetime = .seconds(4)
        settings.janitor.orphanGrace = .seconds(6)
        settings.sweep.uploadPatience = .seconds(6)
        settings.sweep.grace = .seconds(1)
        settings.sweep.period = .milliseconds(250)
        settings.janitor.pullPeriod = .milliseconds(250)
        settings.janitor.walkPeriod = .seconds(1)
        self.cluster = try SimulatedCluster(self.simulator, settings)
        self.telling = CrashTelling(self.cluster, story, point)
        self.story = story
        self.point = point
    }

    /// Has every line of the trace handed to `line` as it is written.
    package func follow(_ line: @escaping (String) -> Void) { self.simulator.trace.echo = line }

    package func run() throws -> CrashReport {
        self.cluster.start()
        let telling = self.telling
        self.simulator.spawn("story") { await telling.tell() }
        let outcome = self.simulator.run(for: Self.limit)
        var violations: [String] = []
        if outcome.ending == .finished {
            var agreement = StateAgreement()
            violations += try agreement.settle(self.cluster)
        } else {
            violations.append("the run ended with \(outcome.ending)")
        }
        if outcome.blockingCallsOnLoops > 0 {
            violations.append("\(outcome.blockingCallsOnLoops) calls blocked a loop")
        }
        let watch = telling.watch
        let report = CrashReport(
            story: self.story, seed: self.simulator.seed, point: self.point,
            violations: telling.violations + violations,
            interrupted: watch?.interrupted?.step,
            stepsOfMachines: watch?.countsOfMachines ?? [],
            stepsOfKinds: watch?.countsOfKinds ?? [],
            traceHash: self.simulator.trace.hash)
        self.simulator.discard()
        return report
    }
}
