import Catalog
import ChunkStore
import Consensus
import IORuntime
import MetaNode
import Node
import ObjectAccess
import OrderedStorage
import Primitives
import SimulatedRuntime
import Telemetry

/// What a seed is run with.
package struct SimulationSettings: Sendable {
    package var nodeCount = 5
    /// How long faults strike and clients work, in virtual time.
    package var span: Duration = .seconds(60)
    package var clientCount = 6
    package var keyCount = 8
    /// How long the cluster may take to be whole again after the last fault.
    package var recoveryLimit: Duration = .seconds(120)

    package init() {}
}

/// What came of a seed.
package struct SimulationReport: Sendable {
    package let seed: UInt64
    /// What must never happen and did; empty after a good run.
    package let violations: [String]
    package let tally: OperationTally
    package let faultCount: Int
    package let stateComparisons: Int
    /// How often the nodes that run at the end have cut a log.
    package let truncationCount: UInt64
    /// How many frames the stores of these nodes found changed at rest.
    package let badFrameCount: UInt64
    package let time: Duration
    package let stepCount: Int
    package let traceHash: UInt64

    package var isGood: Bool { self.violations.isEmpty }

    /// The report in one line.
    package var line: String {
        let milliseconds = self.time.wholeNanoseconds / 1_000_000
        let tally = self.tally
        return "seed \(self.seed): \(self.isGood ? "good" : "FAILED")"
            + " operations=\(tally.total) puts=\(tally.puts) uploads=\(tally.uploads)"
            + " gets=\(tally.gets) ranges=\(tally.ranges)"
            + " deletes=\(tally.deletes) refused=\(tally.refused) unknown=\(tally.unknown)"
            + " unavailable=\(tally.unavailable) unreadable=\(tally.unreadable)"
            + " faults=\(self.faultCount) comparisons=\(self.stateComparisons)"
            + " truncations=\(self.truncationCount) bad_frames=\(self.badFrameCount)"
            + " virtual_ms=\(milliseconds) steps=\(self.stepCount)"
            + " trace=\(Hex.encode(withUnsafeBytes(of: self.traceHash.bigEndian) { Array($0) }))"
    }
}

/// A whole run of one seed: five nodes start, clients work while faults strike, everything is
/// mended, and then every promise is checked.
///
/// 1. Each object's history is linearizable, with the reads through every edge behind the last
///    fault: nothing acknowledged is lost and nothing stale is served (P1, P2).
/// 2. Every byte read is a byte of one stored body (P3).
/// 3. Replicas that applied the same entries hold the same state.
/// 4. No process ends itself, no job leaves the simulator, no loop blocks.
package final class SimulationRun {
    package let simulator: Simulator
    package let cluster: SimulatedCluster
    private let story: SimulationStory
    private var agreement = StateAgreement()
    private var violations: [String] = []

    /// How often states are compared while the run goes on.
    private static let observationPeriod: Duration = .seconds(5)

    package init(seed: UInt64, _ settings: SimulationSettings = SimulationSettings()) throws {
        self.simulator = Simulator(seed: seed)
        var clusterSettings = SimulatedClusterSettings()
        clusterSettings.nodeCount = settings.nodeCount
        self.cluster = try SimulatedCluster(self.simulator, clusterSettings)
        self.story = SimulationStory(self.cluster, settings, seed: seed)
    }

    /// What clients did to each object.
    package var history: ObjectHistory { self.story.workload.history }

    /// Has every line of the trace handed to `line` as it is written.
    package func follow(_ line: @escaping (String) -> Void) { self.simulator.trace.echo = line }

    /// Runs the seed to its end.
    package func run() throws -> SimulationReport {
        self.cluster.start()
        let story = self.story
        self.simulator.spawn("story") { await story.tell() }
        var outcome = self.simulator.run(for: Self.observationPeriod)
        while outcome.ending == .timeLimit {
            self.violations += try self.agreement.observe(self.cluster)
            outcome = self.simulator.run(for: Self.observationPeriod)
        }
        if outcome.ending != .finished {
            self.violations.append("the run ended with \(outcome.ending)")
        } else {
            self.violations += try self.agreement.settle(self.cluster)
        }
        if outcome.blockingCallsOnLoops > 0 {
            self.violations.append("\(outcome.blockingCallsOnLoops) calls blocked a loop")
        }
        self.judge()
        let report = SimulationReport(
            seed: self.simulator.seed, violations: story.workload.violations + self.violations,
            tally: story.workload.tally, faultCount: story.plan.events.count,
            stateComparisons: self.agreement.comparisons,
            truncationCount: self.sum { $0.meta?.counters.truncations.value },
            badFrameCount: self.sum { $0.store?.counters.badFrames.value },
            time: self.simulator.now - Instant(nanoseconds: 0),
            stepCount: self.simulator.stepCount, traceHash: self.simulator.trace.hash)
        self.simulator.discard()
        return report
    }

    /// The sum of a counter over the nodes that run now.
    private func sum(_ counter: (Node) -> UInt64?) -> UInt64 {
        self.cluster.running.reduce(0) { sum, machine in
            sum + (self.cluster.node(on: machine).flatMap(counter) ?? 0)
        }
    }

    private func judge() {
        for (key, operations) in self.history.operations {
            switch LinearizabilityJudge.judge(operations) {
            case .linearizable: break
            case .undecided: self.violations.append("\(key): the judge gave up")
            case .impossible(let explained):
                self.violations.append(
                    "\(key): not linearizable; \(explained.count) of \(operations.count) "
                        + "operations explained")
            }
        }
    }
}
