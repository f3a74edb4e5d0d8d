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
private let awsProgram = root + "/.build/python/bin/aws"
private let toolScript = root + "/Tests/ClusterTests/stock_tools.py"

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

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: awsProgram),
            "SKIPPED: NO AWS-CLI: ops/python-environment could not install it"))
    func `aws-cli moves folders and large files over both listeners`() async throws {
        try await withCluster { fixture in
            let said = try await fixture.run(python, [toolScript, fixture.directory, "aws"])
            #expect(said == "aws finds everything as it expects\n")
        }
    }

    @Test(
        .enabled(
            if: FileManager.default.isExecutableFile(atPath: "/usr/bin/rclone"),
            "SKIPPED: NO RCLONE: ops/packages test could not install it"))
    func `rclone moves folders and large files over both listeners`() async throws {
        try await withCluster { fixture in
            let said = try await fixture.run("python3", [toolScript, fixture.directory, "rclone"])
            #expect(said == "rclone finds everything as it expects\n")
        }
    }

    @Test func `an edge stands what strangers do to its listeners`() async throws {
        try await withCluster { fixture in
            let script = root + "/Tests/ClusterTests/attack.py"
            let said = try await fixture.run(
                "python3", [script, fixture.cluster.plan.directory])
            #expect(said == "the edge has stood it\n")
        }
    }

    @Test func `an HTTPS listener resumes sessions and takes over a renewed certificate`()
        async throws
    {
        try await withCluster { fixture in
            let script = root + "/Tests/ClusterTests/secure_listener.py"
            let said = try await fixture.run(
                "python3", [script, fixture.cluster.plan.directory])
            #expect(said == "the listener is as it should be\n")
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
            try await Self.expectRanges(of: link.target, content, fixture)

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

    /// Several ranges of what a link gives come as several parts, across the borders of frames.
    private static func expectRanges(
        of target: String, _ content: [UInt8], _ fixture: ClusterFixture
    ) async throws {
        var fields = FieldBlock()
        try fields.add("Range", "bytes=250000-250009,65530-65549,0-4,2-9")
        let edge = fixture.cluster.variables.edges[0]
        let answer = try await fixture.fetch(target, from: edge, fields)
        #expect(answer.status == .partialContent)
        var expected: [UInt8] = []
        for range in [0..<10, 65_530..<65_550, 250_000..<250_010] {
            let text = "Content-Range: bytes \(range.lowerBound)-\(range.upperBound - 1)/300000\r\n"
            let place = answer.body.firstRange(of: Array((text + "\r\n").utf8))
            let start = try #require(place?.upperBound, "no part \(range)")
            expected += content[range]
            #expect(Array(answer.body[start...].prefix(range.count)) == Array(content[range]))
        }
        #expect(answer.body.count > expected.count)

        // HEAD tells what GET would, byte for byte but for what is of one answer alone.
        let whole = try await fixture.fetch(target, from: edge)
        let head = try await fixture.fetch(target, from: edge, method: .head)
        #expect(head.status == whole.status && head.body.isEmpty)
        #expect(Self.lasting(head.fields) == Self.lasting(whole.fields))
    }

    /// The fields that do not differ from one answer to the next.
    private static func lasting(_ fields: Fields) -> [String] {
        (0..<fields.count).map {
            String(decoding: fields.name(at: $0), as: UTF8.self) + ": "
                + String(decoding: fields.value(at: $0), as: UTF8.self)
        }.filter { line in
            !["date:", "x-amz-request-id:", "cache-control:"].contains { line.hasPrefix($0) }
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
        _ target: String, from edge: EdgeAddress, _ fields: FieldBlock = FieldBlock(),
        method: HTTPSyntax.Method = .get
    ) async throws -> (status: Status, fields: Fields, body: [UInt8]) {
        let client = HTTPClient(self.environment, loop: self.cluster.loop)
        defer { client.closeUnused() }
        let request = try OutgoingRequest(method, target: target, host: edge.host, fields: fields)
        let response = try await client.send(
            request, to: edge.endpoint, deadline: self.cluster.loop.now + .seconds(60))
        let head = response.head
        return (head.status, head.fields, try await response.collect(limit: 1 << 20))
    }
}
