import Catalog
import ClusterClient
import IORuntime
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Synchronization
import Telemetry
import Testing

/// Whole nodes, with edges and clients, while machines come and go for good.
struct MembershipStoryTests {
    @Test func `a machine is lost for good and replaced while everybody reads and writes`() throws {
        try Stage(seed: 61).tell(within: .seconds(900)) { stage in
            let (cluster, loop) = (stage.cluster, stage.simulator.loop)
            let admin = cluster.makeOperator()
            let diary = Diary(stage)
            let writers = (0..<3 as Range<UInt64>).map { writer in
                loop.spawn { await diary.write(as: writer) }
            }
            try await loop.sleep(for: .seconds(2))
            let lost = try await stage.leader()
            let number = cluster.nodeID(of: lost)
            cluster.lose(lost)
            try await loop.sleep(for: .seconds(2))
            try await stage.expect(diary.objects)

            try await cluster.remove(number, isLost: true, by: admin)
            try await stage.expect(diary.objects)
            let new = try await cluster.addNode(zone: "b", by: admin)
            try await stage.expect(diary.objects)
            try await cluster.awaitVotes(of: new, by: admin)
            try await stage.wait("its edge serves") { $0.cluster.running.contains { $0 === new } }
            diary.close()
            for writer in writers { await writer.finished() }
            try await stage.expect(diary.objects)
            #expect(diary.objects.count > 30)

            // With the lost one that makes two of the first five: no chunk survives a third.
            cluster.machines[0].crash()
            try await stage.expect(diary.objects)
        }
    }

    @Test func `edges follow the voters of today when none of the first is left`() throws {
        try Stage(seed: 62).tell(within: .seconds(1_800)) { stage in
            let cluster = stage.cluster
            let admin = cluster.makeOperator()
            let pure = try await cluster.addNode(.edge, zone: "c", by: admin)
            for zone in cluster.settings.zones {
                let old = cluster.machines[0]
                let new = try await cluster.addNode(zone: zone, by: admin)
                try await cluster.drain(old, by: admin)
                try await cluster.remove(cluster.nodeID(of: old), isLost: false, by: admin)
                cluster.lose(old)
                try await cluster.awaitVotes(of: new, by: admin)
                let (name, body) = (try key("through \(new.name)"), bytes(500))
                try await stage.wait("it serves") { $0.cluster.running.contains { $0 === new } }
                try await stage.succeed { await $0.put(name, body, through: new) }
                try await stage.expect([name: body])
            }
            #expect(cluster.machines.count == 6 && cluster.machines[0] === pure)
            #expect(cluster.running.count == 6)
            let edges = try cluster.machines.map { try #require(cluster.node(on: $0)) }
            let group = try #require(edges[0].cluster.group(owning: stage.client.bucket.slot))
            try await stage.wait("every edge knows who votes") { _ in
                edges.allSatisfy { $0.cluster.followable(in: group).allSatisfy { $0.rawValue > 6 } }
            }
            try await Self.expectFollowing(edges, stage)

            // Nobody that `node.conf` names is left for most; they find each other all the same.
            for machine in cluster.machines { machine.powerCut() }
            for machine in cluster.machines { cluster.restart(machine) }
            try await stage.wait("all serve again") { $0.cluster.running.count == 6 }
            for machine in cluster.machines {
                let (name, body) = (try key("again at \(machine.name)"), bytes(500))
                try await stage.succeed { await $0.put(name, body, through: machine) }
                try await stage.expect([name: body])
            }
        }
    }

    @Test func `a drain that would leave two voters is refused until another is taken back`() throws
    {
        try Stage(seed: 63).tell(within: .seconds(900)) { stage in
            let cluster = stage.cluster
            let admin = cluster.makeOperator()
            try await cluster.drain(stage[4], by: admin)
            try await cluster.drain(stage[3], by: admin)
            await #expect(throws: OperatorFault.self) {
                try await cluster.drain(stage[2], by: admin)
            }
            try await cluster.undrain(stage[4], by: admin)
            try await cluster.drain(stage[2], by: admin)
            try await cluster.awaitVotes(of: stage[4], by: admin)
            let (name, body) = (try key("with three voters"), bytes(500))
            try await stage.succeed { await $0.put(name, body, through: stage[3]) }
            try await stage.expect([name: body])
        }
    }

    /// Every edge is fresh, and answers from what it remembers: the streams are what keeps it so.
    private static func expectFollowing(_ edges: [Node], _ stage: Stage) async throws {
        let name = try key("followed")
        func read(_ body: [UInt8]) async throws {
            for machine in stage.cluster.machines {
                let found = try await stage.succeed { await $0.get(name, through: machine) }
                #expect(found.body == body, "through \(machine.name)")
            }
        }
        let (changes, reads) = (5, 10)
        // Whoever turned away from a replica that has gone comes back to the first choice.
        for round in 0..<3 as Range<UInt64> {
            let body = bytes(400, round)
            try await stage.succeed { await $0.put(name, body, through: stage[0]) }
            for _ in 0..<reads { try await read(body) }
            try await stage.simulator.loop.sleep(for: .seconds(6))
        }
        let before = edges.map { edge in
            (edge.access.counters.headHits.value, edge.access.counters.streamsLagging.value)
        }
        for round in 0..<UInt64(changes) {
            let body = bytes(300, round)
            let writer = stage[Int(round)]
            try await stage.succeed { await $0.put(name, body, through: writer) }
            for _ in 0..<reads { try await read(body) }
        }
        for (edge, known) in zip(edges, before) {
            let hits = edge.access.counters.headHits.value - known.0
            #expect(hits >= UInt64(changes * (reads - 1)), "node \(edge.cluster.node): \(hits)")
            #expect(edge.access.counters.streamsLagging.value == known.1)
            // Drained nodes, spares and mere edges know the time too.
            #expect(edge.cluster.clock.isFitForEdges)
        }
    }
}

/// What was acknowledged: each object is written once, under a name of its own.
private final class Diary: Sendable {
    private let stage: Stage
    private let written = Mutex<[ObjectKey: [UInt8]]>([:])
    private let isClosed = Mutex(false)

    init(_ stage: Stage) { self.stage = stage }

    var objects: [ObjectKey: [UInt8]] { self.written.withLock { $0 } }

    /// No more is written.
    func close() { self.isClosed.withLock { $0 = true } }

    /// Writes small and chunked objects through any edge until it is closed.
    func write(as writer: UInt64) async {
        var generator = SeededGenerator(seed: StableHash.mix(writer))
        var number = 0
        while !self.isClosed.withLock({ $0 }) {
            number += 1
            let pause = generator.duration(in: .milliseconds(50)...(.milliseconds(1_500)))
            do { try await self.stage.simulator.loop.sleep(for: pause) } catch { return }
            guard let name = ObjectKey("\(writer)-\(number)"),
                let machine = generator.pick(self.stage.cluster.running)
            else { continue }
            let body = generator.bytes(number % 4 == 0 ? 300 << 10 : generator.below(2_000))
            let answer = await self.stage.client.put(name, body, through: machine)
            if case .success = answer { self.written.withLock { $0[name] = body } }
        }
    }
}
