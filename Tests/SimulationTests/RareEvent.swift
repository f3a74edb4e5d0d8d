import IORuntime
import Node
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// Something that must be seen to work: it happens too seldom to be noticed when it no longer does,
/// so it has a counter and a story that makes it happen.
struct RareEvent: Sendable, CustomTestStringConvertible {
    /// One sentence; the test's name.
    let sentence: String
    /// The counter, by its name in `/metrics`.
    let metric: String
    let makeStage: @Sendable () throws -> Stage
    let story: @Sendable (Stage) async throws -> Void

    init(
        _ sentence: String, _ metric: String, on makeStage: @escaping @Sendable () throws -> Stage,
        story: @escaping @Sendable (Stage) async throws -> Void
    ) {
        self.sentence = sentence
        self.metric = metric
        self.makeStage = makeStage
        self.story = story
    }

    var testDescription: String { self.sentence }

    /// All of them; `ops/COUNTERS.md` has the same, for who watches a cluster.
    static let all: [RareEvent] = [
        .handoffWrite, .hedgedRead, .condemnedCommit, .sessionHit, .indexRebuilt,
        .certificateRefused, .frameRefused, .snapshotInstalled, .streamReset, .fillRefused,
        .staleSlot, .clockHandover, .withdrawnLink,
    ]
}

struct RareEventTests {
    @Test(arguments: RareEvent.all)
    func `what is rare is counted where it happens`(_ event: RareEvent) throws {
        try event.makeStage().tell { stage in
            #expect(stage.sum(of: event.metric) == 0, "it happens to everybody")
            try await event.story(stage)
            #expect(stage.sum(of: event.metric) > 0)
        }
    }

    @Test func `the document of the counters names them, and every node shows them all`() throws {
        let documented = try CounterDocument().metrics
        #expect(documented == RareEvent.all.map(\.metric).sorted())
        try Stage(seed: 10).tell { stage in
            for machine in stage.cluster.machines {
                let shown = try await stage.metrics(of: machine)
                for metric in documented {
                    #expect(shown.contains("\n\(metric) "), "\(machine.name) lacks \(metric)")
                }
            }
        }
    }
}

extension Stage {
    /// The sum of a counter over the nodes that run, as `/metrics` has it.
    func sum(of metric: String) -> UInt64 {
        self.cluster.machines.compactMap { self.cluster.node(on: $0) }.reduce(0) { sum, node in
            sum + Self.value(of: metric, in: node.registry.exposition)
        }
    }

    /// The value of a counter without labels; 0 where there is none of the name.
    private static func value(of metric: String, in exposition: String) -> UInt64 {
        for line in exposition.split(separator: "\n") where line.hasPrefix(metric + " ") {
            return UInt64(line.dropFirst(metric.count + 1)) ?? 0
        }
        return 0
    }

    /// What a node's admin port answers at `/metrics`.
    fileprivate func metrics(of machine: SimulatedNode) async throws -> String {
        let node = try #require(self.cluster.node(on: machine))
        let admin = node.identity.configuration.admin
        let answer = try #require(await self.cluster.fetch("/metrics", from: admin))
        return String(decoding: answer.body, as: UTF8.self)
    }
}
