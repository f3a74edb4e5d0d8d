import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

extension ClusterTests {
    @Test func `a node whose disk is gone is replaced by a new one while writes go on`()
        async throws
    {
        try await withCluster { fixture in
            let (cluster, lost, new) = (fixture.cluster, NodeID(5), NodeID(6))
            try await fixture.client.ensureBucket("members")
            try await cluster.kill([lost])
            try fixture.environment.files.removeTree(cluster.directory(of: lost) + "/data")
            try await cluster.start(lost)
            #expect(try await cluster.awaitEnd(lost, within: .seconds(60)) == .exited(1))
            #expect(await cluster.logTail(of: lost).contains("holdfast node remove"))

            async let written: Void = fixture.writeObjects(60)
            await #expect(throws: TestFault.self, "it votes") {
                _ = try await fixture.node(["remove", "5"])
            }
            _ = try await fixture.node(["remove", "5", "--lost"])
            let made = try await fixture.node(["add"])
            #expect(made.hasPrefix("made node 6 in zone c"))
            try await cluster.start(new)
            let all = try await fixture.groups(ofNode: 1)
            try await fixture.untilNode(6, votesIn: all)
            try await written
            #expect(try await fixture.node(["list"]).contains("node 5: removed"))
            try await fixture.untilStatusIsWhole(nodes: 5, without: lost)

            // Two of the five that vote now, the new one among them, and all is still there.
            try await cluster.kill([NodeID(1), new])
            try await fixture.compareObjects(60, through: [NodeID(2), NodeID(3), NodeID(4)])
        }
    }

    @Test func `a node that is well is drained, removed, and refused from then on`() async throws {
        try await withCluster { fixture in
            let cluster = fixture.cluster
            try await fixture.client.ensureBucket("members")
            async let written: Void = fixture.writeObjects(30)
            let drained = try await fixture.node(["drain", "2"])
            #expect(drained.hasSuffix("node 2 is drained: it votes nowhere\n"))
            try await fixture.untilNode(2, votesIn: "none")
            _ = try await fixture.node(["remove", "2"])
            try await written

            // It runs on and does not know; nobody lets it in.
            try await fixture.untilMetricsOf(
                NodeID(1), say: "holdfast_certificates_refused_total", above: 0)
            try await cluster.kill([NodeID(2)])
            try await fixture.compareObjects(30, through: [NodeID(3)])
        }
    }
}

extension ClusterFixture {
    private static let patience: Duration = .seconds(90)

    /// Runs `holdfast node VERB …` with the directory of the cluster.
    fileprivate func node(_ words: [String]) async throws -> String {
        try await self.holdfast(
            ["node", words[0], "--dir", self.cluster.plan.directory] + words.dropFirst())
    }

    /// The groups that a node votes in, as `holdfast node list` has them.
    fileprivate func groups(ofNode number: Int) async throws -> String? {
        let lines = try await self.node(["list"]).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix("node \(number):") }),
            let votes = line.range(of: "votes in ")
        else { return nil }
        return String(line[votes.upperBound...])
    }

    fileprivate func untilNode(_ number: Int, votesIn groups: String?) async throws {
        let end = self.environment.now + Self.patience
        while try await self.groups(ofNode: number) != groups {
            guard self.environment.now < end else {
                throw TestFault("never so: \(try await self.node(["list"]))")
            }
            try await self.environment.loops[0].sleep(for: .milliseconds(500))
        }
    }

    /// Until `holdfast status`, asked by what the cluster's `env` says now, shows a leader of every
    /// group. It fails where a node of `env` does not answer.
    fileprivate func untilStatusIsWhole(nodes: Int, without removed: NodeID) async throws {
        let path = self.cluster.plan.directory + "/env"
        let text = String(decoding: try self.environment.files.contents(of: path), as: UTF8.self)
        let variables = try #require(ClusterVariables(text: text))
        let gone = self.cluster.variables.adminAddresses[Int(removed.rawValue) - 1]
        #expect(variables.edges.count == nodes && !variables.adminAddresses.contains(gone))
        let addresses = variables.adminAddresses.map(\.description)
        let end = self.environment.now + Self.patience
        while true {
            let status = try await self.holdfast(
                ["status", "--admin", addresses.joined(separator: ",")])
            let showsAll = addresses.allSatisfy { status.contains($0) }
            if showsAll, status.contains("LEADER"), !status.contains("NONE") { return }
            guard self.environment.now < end else { throw TestFault("never whole: \(status)") }
            try await self.environment.loops[0].sleep(for: .milliseconds(500))
        }
    }

    /// Writes small objects, some in a second.
    fileprivate func writeObjects(_ count: Int) async throws {
        for number in 0..<count {
            try await self.client.put(
                bytes: [UInt8(number), 1, 2], as: RemotePath(bucket: "members", key: "\(number)"))
            try await self.environment.loops[0].sleep(for: .milliseconds(200))
        }
    }

    fileprivate func compareObjects(_ count: Int, through nodes: [NodeID]) async throws {
        let client = self.cluster.client(edgesOf: nodes)
        for number in 0..<count {
            let bytes = try await client.bytes(
                of: RemotePath(bucket: "members", key: "\(number)"), limit: 16)
            #expect(bytes == [UInt8(number), 1, 2])
        }
    }

    func untilMetricsOf(
        _ node: NodeID, say name: String, above floor: Int
    ) async throws {
        let address = self.cluster.variables.adminAddresses[Int(node.rawValue) - 1]
        let end = self.environment.now + Self.patience
        while true {
            let text = try await self.run("curl", ["-fsS", "http://\(address)/metrics"])
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            if let value = line?.split(separator: " ").last.flatMap({ Double($0) }),
                value > Double(floor)
            {
                return
            }
            guard self.environment.now < end else {
                throw TestFault("\(name) stays: \(line ?? "")")
            }
            try await self.environment.loops[0].sleep(for: .milliseconds(500))
        }
    }
}
