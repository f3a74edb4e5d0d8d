import ChaosKit
import FileClient
import Foundation
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Testing

/// The checkout that the tests were built from.
private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path
private let python = root + "/.build/python/bin/python"

extension ClusterTests {
    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: python),
            "SKIPPED: NO STOCK S3 CLIENT: ops/python-environment could not install boto3"))
    func `the stock S3 client finds everything as it is at home`() async throws {
        try await withCluster { fixture in
            let script = root + "/Tests/ClusterTests/stock_client.py"
            let said = try await fixture.run(python, [script, fixture.directory])
            #expect(said == "everything is as the client expects\n")
        }
    }

    @Test func `a link opens one object through every edge, and nothing else`() async throws {
        try await withCluster { fixture in
            let content = SeededContent(seed: 2, sizeBytes: 300_000).bytes
            let object = RemotePath(bucket: "linked", key: "a folder/and a file.bin")
            let other = RemotePath(bucket: "linked", key: "secret")
            try await fixture.client.ensureBucket("linked")
            try await fixture.client.put(bytes: content, as: object)
            try await fixture.client.put(bytes: [1, 2, 3], as: other)
            let link = try await fixture.client.link(LinkRequest(object, expiresInSeconds: 600))
            let otherLink = try await fixture.client.link(LinkRequest(other, expiresInSeconds: 600))
            for edge in fixture.cluster.variables.edges {
                let answer = try await fixture.fetch(link.target, from: edge)
                #expect(answer.status == .ok)
                #expect(answer.body == content, "through \(edge)")
            }

            let edge = fixture.cluster.variables.edges[0]
            let query = try #require(link.target.firstIndex(of: "?"))
            let otherQuery = try #require(otherLink.target.firstIndex(of: "?"))
            let tampered = [
                // Another object under this link's signature.
                String(otherLink.target[..<otherQuery]) + link.target[query...],
                String(link.target[..<query]),
                String(link.target.dropLast()),
                Self.changingLast(link.target),
            ]
            for target in tampered {
                let answer = try await fixture.fetch(target, from: edge)
                #expect(answer.status == .forbidden, "\(target)")
                #expect(answer.body != content)
            }
        }
    }

    /// The same text with another hexadecimal or Base64 digit at its end, such that the bits that
    /// count differ.
    private static func changingLast(_ text: String) -> String {
        let last = text.index(before: text.endIndex)
        let before = text.index(before: last)
        let other: Character = text[before] == "A" ? "B" : "A"
        return String(text[..<before]) + String(other) + String(text[last])
    }

    @Test func `folders go in and come out by the command line`() async throws {
        let files = try RealFiles(limitBytes: 20 << 20, perSize: 6)
        try await withCluster { fixture in
            let source = fixture.directory + "/source"
            for item in files.items {
                let path = URL(fileURLWithPath: source + "/" + item.name)
                try FileManager.default.createDirectory(
                    at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: item.path, toPath: path.path)
            }
            let target = fixture.directory + "/target"
            _ = try await fixture.holdfast(["put", "--quiet", source, "folders/tree"])
            let listing = try await fixture.holdfast(["ls", "folders/tree/"])
            #expect(!listing.isEmpty)
            _ = try await fixture.holdfast(["get", "--quiet", "folders/tree", target])
            for item in files.items {
                #expect(
                    try await haveSameBytes(
                        item.path, target + "/" + item.name, fixture.environment))
            }
            await #expect(throws: TestFault.self) {
                _ = try await fixture.holdfast(["get", "--quiet", "folders/nothing-here", target])
            }
        }
    }

    @Test func `the scripts bring a cluster up, show it, kill a node, start it, and take it down`()
        async throws
    {
        try await withCluster { fixture in
            let directory = fixture.directory + "/scripted"
            let base = Int(try #require(fixture.cluster.variables.edges.first).address.port) + 500
            func script(_ name: String, _ words: String...) async throws -> String {
                try await fixture.run(
                    "env",
                    [
                        "HOLDFAST_PROGRAM=\(fixture.cluster.plan.program)",
                        "\(root)/cluster/\(name)", "--dir", directory,
                    ] + words)
            }
            do {
                let up = try await script("up", "--nodes", "3", "--base-port", "\(base)")
                #expect(up.contains("nodes 1 2 3 are ready"))
                #expect(up.contains("by a signed link: equal"))
                #expect(try await script("status").contains("node 3  ready"))
                #expect(try await script("kill", "2").contains("sent KILL to node 2"))
                await #expect(throws: TestFault.self) { try await script("status") }
                #expect(try await script("start", "2").contains("node 2 is ready"))
                #expect(try await script("up", "--no-demo").contains("nodes 1 2 3 are ready"))
                #expect(try await script("down", "--wipe").contains("all nodes have ended"))
                #expect(!FileManager.default.fileExists(atPath: directory))
            } catch {
                _ = try await script("down")
                throw error
            }
        }
    }
}

extension ClusterFixture {
    /// What anybody gets who asks an edge for a target, without a key.
    func fetch(
        _ target: String, from edge: EdgeAddress
    ) async throws -> (status: Status, body: [UInt8]) {
        let client = HTTPClient(self.environment, loop: self.cluster.loop)
        defer { client.closeUnused() }
        let request = try OutgoingRequest(.get, target: target, host: edge.host)
        let response = try await client.send(
            request, to: edge.endpoint, deadline: self.cluster.loop.now + .seconds(60))
        return (response.head.status, try await response.collect(limit: 1 << 20))
    }
}
