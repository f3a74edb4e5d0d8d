import ChaosKit
import Foundation
import Testing

private let programs =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path + "/ops"

extension ClusterTests {
    /// The small form of what `ops/memory` proves with 10 GB, 50 GB and a thousand clients.
    @Test func `what goes through a node does not stay in its memory`() async throws {
        try await withCluster { fixture in
            let said = try await fixture.run(
                "python3",
                [
                    "\(programs)/memory", "--cluster", fixture.cluster.plan.directory,
                    "--cache-mib", "128",
                    "--body-mib", "512", "--clients", "300", "--seconds", "6", "body", "slow",
                ])
            #expect(said.contains("body: 512 MiB up"))
            #expect(said.contains("slow: 300 of 300 hung on at once"))
        }
    }

    /// The small form of what `ops/idle` proves with an undisturbed minute: other tests share the
    /// processors here, so their bound is not this one's to hold.
    @Test func `nodes that nobody uses stay small`() async throws {
        try await withCluster { fixture in
            let said = try await fixture.run(
                "python3",
                [
                    "\(programs)/idle", "--cluster", fixture.cluster.plan.directory,
                    "--settle-seconds", "2", "--seconds", "2", "--core-percent", "1000",
                ])
            #expect(said.contains("all 5: PSS"))
        }
    }
}
