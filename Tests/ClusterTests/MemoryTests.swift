import ChaosKit
import Foundation
import Testing

private let script =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path + "/ops/memory"

extension ClusterTests {
    /// The small form of what `ops/memory` proves with 10 GB, 50 GB and a thousand clients.
    @Test func `what goes through a node does not stay in its memory`() async throws {
        try await withCluster { fixture in
            let said = try await fixture.run(
                "python3",
                [
                    script, "--cluster", fixture.cluster.plan.directory, "--cache-mib", "128",
                    "--body-mib", "512", "--clients", "300", "--seconds", "6", "body", "slow",
                ])
            #expect(said.contains("body: 512 MiB up"))
            #expect(said.contains("slow: 300 of 300 hung on at once"))
        }
    }
}
