import ChaosKit
import FileClient
import Foundation
import IORuntime
import Primitives
import Testing

/// Real processes, real files, real sockets: what people will do with the program, and what will
/// happen to them meanwhile. One at a time, because each has five processes.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ClusterTests {}

extension ClusterTests {
    @Test func `files of every size outlive the kill of any two nodes, byte for byte`()
        async throws
    {
        let files = try RealFiles(limitBytes: 300 << 20, perSize: 20)
        try #require(files.totalBytes > 100 << 20, "the toolchain has too few files to test with")
        let before = files.items.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        let during = files.items.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        try await withCluster { fixture in
            let cluster = fixture.cluster
            try await fixture.client.ensureBucket(bucket)
            try await fixture.store(before, through: cluster.nodes)

            try await cluster.kill([NodeID(1)])
            try await fixture.client.ensureBucket("made-with-one-node-down")
            try await cluster.kill([NodeID(2)])
            let survivors = [NodeID(3), NodeID(4), NodeID(5)]
            try await fixture.compare(before, through: survivors)
            try await fixture.store(during, through: survivors)

            try await cluster.startAll()
            try await fixture.compare(before + during, through: [NodeID(1), NodeID(2)])
        }
    }

    @Test func `what was acknowledged outlives the kill of all nodes at once`() async throws {
        let files = try RealFiles(limitBytes: 30 << 20, perSize: 5)
        try await withCluster { fixture in
            let cluster = fixture.cluster
            try await fixture.client.ensureBucket(bucket)
            try await fixture.store(files.items, through: cluster.nodes)
            try await cluster.kill(cluster.nodes)
            try await cluster.startAll()
            try await fixture.compare(files.items, through: cluster.nodes)
        }
    }

    @Test func `a node that is told to end finishes the upload that it has begun`() async throws {
        try await withCluster { fixture in
            let cluster = fixture.cluster
            // Less than goes up in parts, which would be requests of their own.
            let content = SeededContent(seed: 1, sizeBytes: 30 << 20)
            let path = fixture.directory + "/large"
            try fixture.environment.files.replace(path, with: content.bytes)
            try await fixture.client.ensureBucket(bucket)
            var once = EdgeAttempts.Limits()
            once.mostRounds = 1
            let ending = NodeID(3)
            let client = cluster.client(edgesOf: [ending], attempts: once)
            let object = RemotePath(bucket: bucket, key: "large")
            let progress = TransferProgress()
            async let upload: Void = client.put(path, as: object, progress: progress)
            let deadline = cluster.loop.now + .seconds(60)
            while progress.counts.bytesDone < 2 << 20, cluster.loop.now < deadline {
                try await cluster.loop.sleep(for: .milliseconds(1))
            }
            let wasUnderWay = progress.counts.bytesDone < UInt64(content.sizeBytes)
            let status = try await cluster.terminate(ending)
            try await upload
            #expect(wasUnderWay, "the upload was over before the node was told to end")
            #expect(status == .exited(0))
            let bytes = try await fixture.client.bytes(of: object, limit: content.sizeBytes)
            #expect(bytes == content.bytes)
        }
    }

    @Test func `a node starts neither without its data nor with another's`() async throws {
        try await withCluster { fixture in
            let cluster = fixture.cluster
            let (files, node, other) = (fixture.environment.files, NodeID(5), NodeID(4))
            let data = cluster.directory(of: node) + "/data"
            let foreign = cluster.directory(of: other) + "/data"
            try await cluster.kill([node, other])

            try files.rename(data, to: data + "-kept")
            try await cluster.start(node)
            #expect(try await cluster.awaitEnd(node, within: .seconds(60)) == .exited(1))
            #expect(await cluster.logTail(of: node).contains("has run before and votes"))

            try files.removeTree(data)
            try files.rename(foreign, to: data)
            try await cluster.start(node)
            #expect(try await cluster.awaitEnd(node, within: .seconds(60)) == .exited(1))
            #expect(await cluster.logTail(of: node).contains("holds data of cluster"))

            try files.rename(data, to: foreign)
            try files.rename(data + "-kept", to: data)
            try await cluster.startAll()
        }
    }
}

private let bucket = "real-files"

extension ClusterFixture {
    private static let jobs = 4

    /// Puts files through the edges of `nodes`.
    fileprivate func store(_ items: [RealFiles.Item], through nodes: [NodeID]) async throws {
        let client = self.cluster.client(edgesOf: nodes)
        try await self.inParallel(items) { item in
            try await client.put(item.path, as: RemotePath(bucket: bucket, key: item.name))
        }
    }

    /// Gets files through the edges of `nodes` and compares each with its original.
    fileprivate func compare(_ items: [RealFiles.Item], through nodes: [NodeID]) async throws {
        let client = self.cluster.client(edgesOf: nodes)
        let target = self.directory + "/fetched"
        try await self.inParallel(items) { item in
            let object = RemotePath(bucket: bucket, key: item.name)
            try await client.get(object, as: item.name, in: target)
            let fetched = target + "/" + item.name
            let areEqual = try await haveSameBytes(item.path, fetched, self.environment)
            #expect(areEqual, "\(item.name) came back with other bytes")
            try FileManager.default.removeItem(atPath: fetched)
        }
    }

    private func inParallel(
        _ items: [RealFiles.Item], _ work: @escaping @Sendable (RealFiles.Item) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, item) in items.enumerated() {
                if index >= Self.jobs { try await group.next() }
                group.addTask { try await work(item) }
            }
            try await group.waitForAll()
        }
    }
}
