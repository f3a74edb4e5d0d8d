import ChaosKit
import FileClient
import IORuntime
import Primitives
import Testing

extension ClusterTests {
    @Test func `a node that was away for longer than the logs reach is given a state under load`()
        async throws
    {
        try await withCluster(arguments: ["--log-kept-mib", "1"]) { fixture in
            let (cluster, away) = (fixture.cluster, NodeID(5))
            let others = cluster.nodes.filter { $0 != away }
            // In metadata, all of one group, and more than twice what its log keeps.
            let objects = KnownObjects(on: cluster, "absent", buckets: 1, sizeBytes: 8_000)
            try await objects.makeBuckets()
            try await cluster.kill([away])
            try await objects.write(320)
            for node in others {
                try await fixture.untilMetricsOf(
                    node, say: "holdfast_meta_truncations_total", above: 0)
            }

            async let written: Void = objects.write(80)
            try await cluster.start(away)
            try await cluster.awaitReady([away])
            try await fixture.untilMetricsOf(
                away, say: "holdfast_snapshots_installed_total", above: 0)
            try await written

            // Two of the five, so that no write is acknowledged without the one that was away.
            try await cluster.kill([NodeID(1), NodeID(2)])
            try await objects.write(20)
            try await objects.compareAll(through: [NodeID(3), NodeID(4), away])
        }
    }
}
