import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

extension ClusterTests {
    @Test func `the master key is replaced by the commands of the readme, while the cluster runs`()
        async throws
    {
        try await withCluster { fixture in
            let object = RemotePath(bucket: "before", key: "object")
            try await fixture.client.ensureBucket("before")
            try await fixture.client.put(bytes: [1, 2, 3], as: object)
            let identities = fixture.cluster.nodes.map {
                "\(fixture.cluster.plan.directory)/node-\($0)/identity"
            }
            let old = try await fixture.holdfast(["key", "list", identities[0]])
                .trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(MasterKeyID(old) != nil)
            let drop = ["key", "drop-master", "--key", old] + identities
            await #expect(throws: TestFault.self, "it is in force") {
                _ = try await fixture.holdfast(drop)
            }

            let made = try await fixture.holdfast(["key", "rotate-master"] + identities)
            #expect(made.hasPrefix("made key ") && made.hasSuffix(", in 5 files\n"))
            try await fixture.untilStatusSays("master key \(old): retired, may be dropped")
            #expect(try await fixture.holdfast(drop) == "dropped key \(old)\n")
            let left = try await fixture.holdfast(["key", "list"] + identities)
            #expect(left.split(separator: "\n").count == 1 && !left.contains(old))

            try await fixture.client.ensureBucket("after")
            try await fixture.client.put(
                bytes: [4, 5], as: RemotePath(bucket: "after", key: "object"))
            let target = fixture.directory + "/fetched"
            _ = try await fixture.holdfast(["get", "--quiet", "before/object", target])
            let fetched = try Data(contentsOf: URL(fileURLWithPath: target + "/object"))
            #expect(Array(fetched) == [1, 2, 3])
        }
    }
}

extension ClusterFixture {
    /// Asks again until a line of the status is this one, for a minute at most.
    fileprivate func untilStatusSays(_ line: String) async throws {
        let end = self.environment.now + .seconds(60)
        while true {
            let status = try await self.holdfast(["status"])
            if status.split(separator: "\n").contains(where: { $0 == line }) { return }
            guard self.environment.now < end else { throw TestFault("never said: \(status)") }
            try await self.environment.loops[0].sleep(for: .milliseconds(500))
        }
    }
}
