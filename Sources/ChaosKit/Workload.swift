import FileClient
import IORuntime
import Primitives

/// Clients that write and read without pause through all edges, and tell the history what they did.
///
/// Three kinds run at once. *Uploaders* store objects under ever new keys and, like any client of
/// ours, ask the next edge when one fails. *Overwriters* write one key again and again, and remove
/// it now and then; they make one attempt at one edge, because a second one could put an older
/// content over a newer one. *Readers* fetch objects that were written, right after it or later.
package struct Workload: Sendable {
    package static let bucketCount = 6
    private static let readerCount = 4
    /// Removals among the writes of an overwriter: one in so many.
    private static let writesPerRemoval: UInt64 = 8
    private static let pauseBetweenWrites: Duration = .milliseconds(20)
    private static let pauseBetweenReads: Duration = .milliseconds(10)
    private static let pauseAfterFailure: Duration = .milliseconds(100)
    /// What all writers together may store in the long run: disks of test machines are small.
    private static let bytesPerSecond: UInt64 = 4 << 20
    static let largestObjectBytes = 10 << 20

    private let cluster: ProcessCluster
    private let history: ChaosHistory
    private let seed: UInt64
    private let began: Instant

    package init(_ cluster: ProcessCluster, _ history: ChaosHistory, seed: UInt64) {
        self.cluster = cluster
        self.history = history
        self.seed = seed
        self.began = cluster.loop.now
    }

    package static func bucketName(_ number: Int) -> String { "chaos-\(number)" }

    /// Makes the buckets that the workload writes to.
    package static func makeBuckets(
        in cluster: ProcessCluster
    ) async throws(FileClientFault) {
        let client = cluster.client()
        for number in 0..<Self.bucketCount {
            try await client.ensureBucket(Self.bucketName(number))
        }
    }

    /// Runs all clients until the history is told to end.
    package func run() async {
        await withTaskGroup(of: Void.self) { group in
            for bucket in 0..<Self.bucketCount {
                group.addTask { await self.upload(to: bucket) }
                group.addTask { await self.overwrite(in: bucket) }
            }
            for number in 0..<Self.readerCount {
                group.addTask { await self.read(number) }
            }
        }
    }

    /// Numbers for one client, that the seed and its place decide.
    private func generator(_ kind: UInt64, _ number: Int) -> SeededGenerator {
        SeededGenerator(seed: self.seed ^ (kind << 56) ^ (UInt64(number) << 48))
    }

    // MARK: - Writing

    private func upload(to bucket: Int) async {
        var generator = self.generator(1, bucket)
        let client = self.cluster.client()
        var number = 0
        while await !self.history.isEnding {
            let object = RemotePath(bucket: Self.bucketName(bucket), key: "new/\(number)")
            let content = await self.drawContent(&generator)
            await self.write(content, to: object, bucket, client)
            number += 1
            await self.pause(for: Self.pauseBetweenWrites)
        }
    }

    private func overwrite(in bucket: Int) async {
        var generator = self.generator(2, bucket)
        var once = EdgeAttempts.Limits()
        once.mostRounds = 1
        let clients = self.cluster.nodes.map {
            self.cluster.client(edgesOf: [$0], attempts: once)
        }
        var number = 0
        while await !self.history.isEnding {
            let object = RemotePath(bucket: Self.bucketName(bucket), key: "same/\(number)")
            let client = clients[Int(generator.next() % UInt64(clients.count))]
            let isRemoval = generator.next() % Self.writesPerRemoval == 0
            let content = isRemoval ? nil : await self.drawContent(&generator)
            switch await self.write(content, to: object, bucket, client) {
            case .acknowledged: await self.pause(for: Self.pauseBetweenWrites)
            case .notSent: await self.pause(for: Self.pauseAfterFailure)
            case .unknown:
                // It may still take effect at any time, so this object is left as it is.
                number += 1
                await self.pause(for: Self.pauseAfterFailure)
            }
        }
    }

    private enum Outcome {
        case acknowledged
        /// The one edge that was asked does not listen.
        case notSent
        case unknown
    }

    @discardableResult
    private func write(
        _ content: SeededContent?, to object: RemotePath, _ bucket: Int, _ client: FileClient
    ) async -> Outcome {
        let began = await self.history.began(object, content)
        do throws(FileClientFault) {
            if let content {
                try await client.put(bytes: content.bytes, as: object)
            } else {
                try await client.remove(object)
            }
        } catch {
            if case .noEdgeAnswered(_, _, .unreachable, _, attempts: 1) = error {
                await self.history.wasNotSent(object)
                return .notSent
            }
            await self.history.becameUnknown(object, because: error)
            return .unknown
        }
        await self.history.acknowledged(object, bucket: bucket, began: began)
        return .acknowledged
    }

    /// Small objects mostly, some of many frames, few of two chunks; only small ones while more has
    /// been written than the disk is to take.
    private func drawContent(_ generator: inout SeededGenerator) async -> SeededContent {
        let elapsed = self.cluster.loop.now - self.began
        let allowance = Self.bytesPerSecond * UInt64(max(0, elapsed.components.seconds) + 1)
        let isOver = await self.history.ledger.acknowledgedBytes > allowance
        let limit =
            switch (isOver, generator.next() % 100) {
            case (true, _), (false, 0..<60): 8 << 10
            case (false, 60..<90): 256 << 10
            case (false, 90..<99): 2 << 20
            case (false, _): Self.largestObjectBytes
            }
        let size = Int(generator.next() % UInt64(limit))
        return SeededContent(seed: generator.next(), sizeBytes: size)
    }

    // MARK: - Reading

    private func read(_ number: Int) async {
        var generator = self.generator(3, number)
        let client = self.cluster.client()
        while await !self.history.isEnding {
            if let object = await self.history.object(at: generator.next()) {
                await self.read(object, client, edge: "any edge", isFinal: false)
            }
            await self.pause(for: Self.pauseBetweenReads)
        }
    }

    private func read(
        _ object: RemotePath, _ client: FileClient, edge: String, isFinal: Bool
    ) async {
        let floor = await self.history.readFloor(object)
        do throws(FileClientFault) {
            let bytes = try await client.bytes(of: object, limit: Self.largestObjectBytes)
            await self.history.read(object, bytes, since: floor, edge: edge, isFinal: isFinal)
        } catch {
            await self.history.readFailed(object, error, edge: edge, isFinal: isFinal)
        }
    }

    /// Reads every object that was ever written, each through one edge alone, all edges in turn.
    package func readEverything() async {
        let objects = await self.history.ledger.objects
        let nodes = self.cluster.nodes
        await withTaskGroup(of: Void.self) { group in
            for (index, node) in nodes.enumerated() {
                group.addTask {
                    let client = self.cluster.client(edgesOf: [node])
                    for position in stride(from: index, to: objects.count, by: nodes.count) {
                        await self.read(
                            objects[position], client, edge: "node \(node)", isFinal: true)
                    }
                }
            }
        }
    }

    private func pause(for span: Duration) async {
        // Nobody cancels the workload; it ends through the history.
        do { try await self.cluster.loop.sleep(for: span) } catch { return }
    }
}
