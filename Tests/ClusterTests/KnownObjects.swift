import ChaosKit
import FileClient
import IORuntime
import Primitives
import Testing

/// Small objects that rest in metadata, in buckets of all groups or of one, each written once: what
/// was acknowledged, and must be there.
actor KnownObjects {
    private static let writers = 4

    nonisolated let loop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }
    private nonisolated let cluster: ProcessCluster
    private nonisolated let client: FileClient
    private nonisolated let name: String
    private nonisolated let buckets: [String]
    private nonisolated let sizeBytes: Int
    private(set) var count = 0

    /// - Parameters:
    ///   - name: begins the names of buckets and objects.
    ///   - buckets: one in each of so many equal ranges of slots.
    init(on cluster: ProcessCluster, _ name: String, buckets: Int, sizeBytes: Int) {
        self.cluster = cluster
        self.loop = cluster.loop
        self.client = cluster.client()
        self.name = name
        self.buckets = BucketNames.spread(buckets, name)
        self.sizeBytes = sizeBytes
    }

    func makeBuckets() async throws {
        for bucket in self.buckets { try await self.client.ensureBucket(bucket) }
    }

    /// The key of an object, which no other's begins with.
    nonisolated func key(_ number: Int) -> String { "\(self.name)-object-\(number)." }

    private nonisolated func object(_ number: Int) -> RemotePath {
        RemotePath(bucket: self.buckets[number % self.buckets.count], key: self.key(number))
    }

    private nonisolated func content(_ number: Int) -> SeededContent {
        SeededContent(seed: UInt64(number), sizeBytes: self.sizeBytes)
    }

    /// Writes so many more, and returns when all are acknowledged.
    func write(_ more: Int) async throws {
        let numbers = self.count..<self.count + more
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<Self.writers {
                group.addTask {
                    for number in numbers where number % Self.writers == writer {
                        try await self.client.put(
                            bytes: self.content(number).bytes, as: self.object(number))
                    }
                }
            }
            try await group.waitForAll()
        }
        self.count += more
    }

    /// Reads all of them through the edges of the nodes, each through one, by turns.
    func compareAll(through nodes: [NodeID]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let count = self.count
            for (place, node) in nodes.enumerated() {
                group.addTask {
                    let client = self.cluster.client(edgesOf: [node])
                    for number in 0..<count where number % nodes.count == place {
                        let bytes = try await client.bytes(
                            of: self.object(number), limit: self.sizeBytes + 1)
                        let isSame = bytes == self.content(number).bytes
                        #expect(isSame, "\(self.object(number)) through node \(node)")
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
