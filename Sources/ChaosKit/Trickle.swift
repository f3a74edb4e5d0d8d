import FileClient
import IORuntime
import Primitives

/// A small write into each of some buckets at a steady beat, whether the ones before have been
/// answered or not: a write that hangs hides no later one that would not.
actor Trickle {
    /// One bucket in each of so many equal ranges of slots, so that every group has some.
    private static let bucketCount = 8
    /// Between two writes into one bucket: how fine the measurement is.
    private static let beat: Duration = .milliseconds(40)
    /// Writes into one bucket that are under way; at more the beat is skipped.
    private static let mostUnderWay = 64
    private static let bodyBytes = 512

    nonisolated let loop: any EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }
    private nonisolated let buckets: [String]
    /// By the node whose edge each leaves alone; the first leaves out none.
    private nonisolated let clients: [FileClient]
    private var avoided = 0
    private var isEnding = false
    private var underWay: [Int]
    /// Since when writes count, and the buckets that have had one.
    private var blow: Instant?
    private var recovered: Set<Int> = []
    /// From the blow until every bucket had taken a write that was begun behind it.
    private(set) var recovery: Duration?

    init(on cluster: ProcessCluster) {
        self.loop = cluster.loop
        let everyone = cluster.nodes
        self.clients =
            [cluster.client()]
            + everyone.map { node in cluster.client(edgesOf: everyone.filter { $0 != node }) }
        self.buckets = BucketNames.spread(Self.bucketCount, "failover")
        self.underWay = [Int](repeating: 0, count: Self.bucketCount)
    }

    nonisolated func makeBuckets() async throws(FileClientFault) {
        for bucket in self.buckets { try await self.clients[0].ensureBucket(bucket) }
    }

    func end() { self.isEnding = true }

    /// Leaves a node's edge alone from now on; nil: none.
    func avoid(_ node: NodeID?) { self.avoided = Int(node?.rawValue ?? 0) }

    /// Somebody is struck now: writes that begin from here on tell how long it lasts.
    func struck() {
        self.blow = self.loop.now
        self.recovered = []
        self.recovery = nil
    }

    /// Writes until it is told to end.
    func run() async {
        await withDiscardingTaskGroup { group in
            var number = 0
            while !self.isEnding {
                for bucket in self.buckets.indices
                where self.underWay[bucket] < Self.mostUnderWay {
                    self.underWay[bucket] += 1
                    let key = number
                    group.addTask { await self.write(key, to: bucket) }
                }
                number += 1
                do { try await self.loop.sleep(for: Self.beat) } catch { return }
            }
        }
    }

    private func write(_ number: Int, to bucket: Int) async {
        let began = self.loop.now
        let content = SeededContent(seed: UInt64(number), sizeBytes: Self.bodyBytes)
        let object = RemotePath(bucket: self.buckets[bucket], key: "\(number)")
        do throws(FileClientFault) {
            try await self.clients[self.avoided].put(bytes: content.bytes, as: object)
            self.acknowledged(in: bucket, began: began)
        } catch {
            // A write that nobody took is what an outage is; the next one may fare better.
        }
        self.underWay[bucket] -= 1
    }

    private func acknowledged(in bucket: Int, began: Instant) {
        guard let blow = self.blow, began >= blow, self.recovery == nil else { return }
        self.recovered.insert(bucket)
        if self.recovered.count == Self.bucketCount { self.recovery = self.loop.now - blow }
    }
}
