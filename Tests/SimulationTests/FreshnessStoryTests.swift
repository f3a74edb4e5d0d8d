import Catalog
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Synchronization
import Telemetry
import Testing

/// Edges that answer from what they remember, while others write, and machines and networks fail.
struct FreshnessStoryTests {
    /// Names that replicas remember: so few that edges are told to start over now and then.
    private static func settings() -> SimulatedClusterSettings {
        var settings = SimulatedClusterSettings()
        settings.log.invalidationsKept = 6
        return settings
    }

    @Test(arguments: 81...82 as ClosedRange<UInt64>)
    func `under faults every edge reads what was written through the others`(
        seed: UInt64
    ) throws {
        try Stage(seed: seed, Self.settings()).tell(within: .seconds(900)) { stage in
            let work = try Work(stage, seed: seed)
            let loop = stage.simulator.loop
            let end = stage.simulator.now + .seconds(25)
            var tasks: [SpawnedTask] = []
            for client in 0..<16 as Range<UInt64> {
                tasks.append(loop.spawn { await work.run(until: end, seed: seed << 8 | client) })
            }
            try await Self.strike(stage, seed)
            for task in tasks { await task.finished() }
            for (key, operations) in work.history.operations {
                #expect(LinearizabilityJudge.judge(operations) == .linearizable, "\(key)")
            }
            let nodes = stage.cluster.machines.compactMap { stage.cluster.node(on: $0) }
            let counters = nodes.map(\.access.counters)
            func total(_ counter: KeyPath<ObjectAccessCounters, Counter>) -> UInt64 {
                counters.reduce(0) { $0 + $1[keyPath: counter].value }
            }
            #expect(total(\.headHits) > 0)
            #expect(total(\.absenceHits) > 0)
            #expect(total(\.fillsRefused) > 0)
            #expect(total(\.streamResets) > 0)
        }
    }

    /// A machine that is cut off, one that stands still, one that dies and comes back.
    private static func strike(_ stage: Stage, _ seed: UInt64) async throws {
        let loop = stage.simulator.loop
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2 {
            try await loop.sleep(for: .seconds(2))
            let lonely = stage[generator.below(5)]
            stage.simulator.network.isolate(lonely)
            try await loop.sleep(for: .seconds(2))
            stage.simulator.network.heal()
            try await loop.sleep(for: .seconds(2))
            let slow = stage[generator.below(5)]
            slow.pause()
            try await loop.sleep(for: .milliseconds(1_500))
            slow.resume()
        }
        let dead = try await stage.leader()
        dead.crash()
        try await loop.sleep(for: .seconds(1))
        stage.cluster.restart(dead)
    }

    @Test func `a link shows a change soon, and nothing old once the edge hears nothing`() throws {
        try Stage(seed: 91).tell { stage in
            let key = try key("a")
            let edge = stage[3]
            try await stage.succeed { await $0.put(key, bytes(300, 1), through: stage[0]) }
            #expect(try await Self.size(of: key, stage, edge) == 300)
            // Again and again, so that the edge remembers it.
            for _ in 0..<3 { #expect(try await Self.size(of: key, stage, edge) == 300) }
            try await stage.succeed { await $0.put(key, bytes(400, 2), through: stage[0]) }
            try await stage.simulator.loop.sleep(for: .milliseconds(150))
            #expect(try await Self.size(of: key, stage, edge) == 400)

            stage.simulator.network.isolate(edge)
            let others = stage.others(than: edge)
            try await stage.succeed { await $0.put(key, bytes(500, 3), through: others[0]) }
            let cutOff = stage.simulator.now
            var lastAnswer = cutOff
            while stage.simulator.now - cutOff < .seconds(12) {
                if try await Self.size(of: key, stage, edge) == 400 {
                    lastAnswer = stage.simulator.now
                }
                try await stage.simulator.loop.sleep(for: .milliseconds(100))
            }
            #expect(lastAnswer > cutOff, "what is a little old is shown for a while")
            #expect(lastAnswer - cutOff < .milliseconds(5_500))
            stage.simulator.network.heal()
            try await stage.wait("the edge shows the new version") { _ in true }
            for _ in 0..<100 {
                if try await Self.size(of: key, stage, edge) == 500 { return }
                try await stage.simulator.loop.sleep(for: .milliseconds(100))
            }
            Issue.record("the edge did not come back")
        }
    }

    /// The size of an object as a link would show it; nil where nothing is shown.
    private static func size(
        of key: ObjectKey, _ stage: Stage, _ machine: SimulatedNode
    ) async throws -> UInt64? {
        let node = try #require(stage.cluster.node(on: machine))
        let bucket = stage.client.bucket
        let environment = machine.environment
        let answer = await stage.cluster.ask(machine, patience: .seconds(30)) {
            () -> Result<ObjectHead, AccessFault> in
            do throws(AccessFault) {
                return .success(
                    try await node.access.head(
                        key, in: bucket, age: .bounded,
                        deadline: environment.now + .milliseconds(300)))
            } catch { return .failure(error) }
        }
        guard case .success(let head) = answer else { return nil }
        return head.size
    }
}

/// Clients that read a few objects much more often than they write them, each through any node.
private final class Work: Sendable {
    let history = ObjectHistory()
    private let stage: Stage
    private let keys: [ObjectKey]
    private let nextValue = Mutex<UInt64>(1)

    init(_ stage: Stage, seed: UInt64) throws {
        self.stage = stage
        self.keys = try (0..<4).map { try key("key \($0)") }
    }

    func run(until end: Instant, seed: UInt64) async {
        var generator = SeededGenerator(seed: StableHash.mix(seed))
        let loop = self.stage.simulator.loop
        while loop.now < end {
            let pause = generator.duration(in: .zero...(.milliseconds(120)))
            do { try await loop.sleep(for: pause) } catch { return }
            guard let key = generator.pick(self.keys),
                let machine = generator.pick(self.stage.cluster.running)
            else { continue }
            switch generator.below(100) {
            case ..<72: await self.get(key, through: machine)
            case ..<88: await self.put(key, through: machine, &generator)
            default: await self.delete(key, through: machine)
            }
        }
    }

    private func get(_ key: ObjectKey, through machine: SimulatedNode) async {
        let call = self.history.mark()
        switch await self.stage.client.get(key, through: machine) {
        case .success(let found):
            self.history.note(key, .get, .read(Self.value(of: found.body)), call: call)
        case .failure(.noSuchKey): self.history.note(key, .get, .read(nil), call: call)
        case .failure(let fault): self.expectPassing(fault)
        case nil: break
        }
    }

    private func put(
        _ key: ObjectKey, through machine: SimulatedNode, _ generator: inout SeededGenerator
    ) async {
        let value = self.nextValue.withLock { next in
            defer { next += 1 }
            return next
        }
        var writer = ByteWriter()
        writer.write(value)
        let body = writer.bytes + generator.bytes(generator.below(400))
        let call = self.history.mark()
        let answer = await self.stage.client.put(key, body, through: machine)
        self.note(key, .put(value, .none), answer.map { $0.map { _ in true } }, call: call)
    }

    private func delete(_ key: ObjectKey, through machine: SimulatedNode) async {
        let call = self.history.mark()
        let answer = await self.stage.client.delete(key, through: machine)
        self.note(key, .delete, answer, call: call)
    }

    private func note(
        _ key: ObjectKey, _ action: ObjectOperation.Action,
        _ answer: SimulatedClient.Answer<Bool>, call: Int
    ) {
        switch answer {
        case .success: self.history.note(key, action, .done, call: call)
        case .failure(.outcomeUnknown), nil:
            self.history.note(key, action, .unknown, call: call)
        case .failure(let fault): self.expectPassing(fault)
        }
    }

    /// While machines fail a request may be refused, and only so.
    private func expectPassing(_ fault: AccessFault) {
        switch fault {
        case .unavailable, .overloaded: break
        case let other: Issue.record("\(other)")
        }
    }

    private static func value(of body: [UInt8]) -> UInt64? {
        var reader = ByteReader(body)
        do throws(FormatFault) { return try reader.read() } catch { return nil }
    }
}
