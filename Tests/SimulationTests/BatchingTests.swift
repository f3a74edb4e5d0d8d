import Catalog
import ClusterClient
import MetaNode
import Node
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// What makes many small writes cheap: all that the groups of a node have to write while one synced
/// write is on its way shares the next one. (`MetaNodeTests` hold that commands share entries.)
struct BatchingTests {
    /// What one node has applied and synced.
    private struct Counts {
        let entries: UInt64
        let syncs: UInt64

        init(of index: Int, on stage: Stage) throws {
            let counters = try #require(try stage.node(index).meta).counters
            self.entries = counters.entriesApplied.value
            self.syncs = counters.logSyncs.value
        }
    }

    @Test func `entries of all groups share the syncs of a node`() throws {
        try Stage(seed: 31).tell { stage in
            let other = SimulatedClient(
                stage.cluster, bucket: try #require(BucketName("simulated")))
            _ = try await stage.succeed { _ in await other.createBucket(through: stage[0]) }
            let cluster = try stage.node(0).cluster
            let clients = [stage.client, other]
            #expect(
                cluster.group(owning: clients[0].bucket.slot)
                    != cluster.group(owning: clients[1].bucket.slot))

            let before = try (0..<5).map { try Counts(of: $0, on: stage) }
            let failures = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<600 {
                    group.addTask {
                        guard let name = ObjectKey("object \(number)") else { return true }
                        let answer = await clients[number % 2].put(
                            name, bytes(100), through: stage[number % 5])
                        if case .success = answer { return false }
                        return true
                    }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(failures == 0)
            for index in 0..<5 {
                let after = try Counts(of: index, on: stage)
                let entries = after.entries - before[index].entries
                let syncs = after.syncs - before[index].syncs
                #expect(entries > 100)
                #expect(syncs * 5 < entries, "\(syncs) syncs for \(entries) entries on \(index)")
            }
        }
    }
}
