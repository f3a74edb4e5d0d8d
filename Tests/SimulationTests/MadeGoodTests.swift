import Catalog
import ChunkStore
import ClusterClient
import IORuntime
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// What nobody sees of a fault, because it is made good on the way.
struct MadeGoodTests {
    @Test func `a frame that was changed at rest is refused and read from another copy`() throws {
        try Stage(seed: 12).tell { stage in
            let large = try key("large")
            try await stage.succeed { await $0.put(large, bytes(200_000), through: stage[0]) }
            let holders = stage.cluster.machines.filter { StoredSegment.path(on: $0) != nil }
            #expect(holders.count == 3)
            let holder = try #require(holders.first { $0 !== stage[0] })
            let path = try #require(StoredSegment.path(on: holder))
            // In the second frame of the only record there.
            #expect(holder.disk.flipBits(0x10, in: path, at: 100_000))
            let found = try await stage.succeed { await $0.get(large, through: holder) }
            #expect(found.body == bytes(200_000))
            let node = try #require(stage.cluster.node(on: holder))
            #expect(try #require(node.store).counters.badFrames.value > 0)
            #expect(node.access.counters.copiesNeedingRepair.value > 0)
        }
    }

    @Test func `a put whose answer was lost is not done again`() throws {
        try Stage(seed: 15).tell { stage in
            let edge = try await stage.putUnheard(for: .seconds(4)) { _, _ in
                stage.simulator.network.heal()
            }
            let retries = try #require(stage.cluster.node(on: edge)).cluster.counters.retries
            #expect(retries.value > 0)
            #expect(stage.sum(of: "holdfast_meta_session_hits_total") > 0)
        }
    }
}

extension Stage {
    /// Puts what may be put but once, through an edge that hears nothing of the leader, which does
    /// as it is asked; after so long `mend` is to end that. The put succeeds, and is there. Had its
    /// retry been taken for a new command, it would have found the object of the first, and failed.
    ///
    /// - Returns: the edge.
    func putUnheard(
        for span: Duration,
        mend: @escaping @Sendable (_ leader: SimulatedNode, _ edge: SimulatedNode) -> Void
    ) async throws -> SimulatedNode {
        let leader = try await self.leader()
        let edge = self.others(than: leader)[0]
        let (first, once) = (try key("first"), try key("once"))
        // So that the edge knows all that a put needs, and its first question is the put itself.
        try await self.succeed { await $0.put(first, bytes(100), through: edge) }
        // What the leader says no longer reaches the edge; what the edge asks reaches it, and what
        // the others need to commit it reaches them.
        self.simulator.network.partition([leader], from: [edge], .oneWay)
        let loop = self.simulator.loop
        loop.spawn {
            do { try await loop.sleep(for: span) } catch {}
            mend(leader, edge)
        }
        let answer = await self.client.put(once, bytes(100), .absent, through: edge)
        guard case .success = answer else { throw Tired(reason: "\(answer as Any)") }
        let found = try await self.succeed { await $0.get(once, through: edge) }
        #expect(found.body == bytes(100))
        return edge
    }
}
