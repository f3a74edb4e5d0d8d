import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Reads frame by frame: from which copy each comes, and how much is fetched and held.
struct FrameReadTests {
    private static let frame = SealedLayout.frameBytes

    /// One chunk of five frames, of which the last is short.
    private static let body = someBytes(4 * frame + 1000)

    private static func settings(
        _ change: (inout ObjectAccessSettings) -> Void = { _ in }
    ) -> ObjectAccessSettings {
        var settings = AccessWorld.small
        settings.chunkBytes = 4 << 20
        change(&settings)
        return settings
    }

    // MARK: Bad frames

    @Test(arguments: [Mood.rotten, .scratched])
    func `of a block with one bad frame just that frame is read again, and the copy is filed`(
        mood: Mood
    ) throws {
        let world = try AccessWorld(Self.settings())
        world.run {
            _ = try await world.put("k", Self.body)
            // The order in which copies are asked is not this test's matter.
            for node in FakeCluster.nodes { world.cluster.moods[node] = mood }
            async let read = world.get("k")
            while world.cluster.chunkReads.isEmpty {
                try await world.loop.sleep(for: .microseconds(100))
            }
            let first = try #require(world.cluster.chunkReads.first)
            for node in FakeCluster.nodes where node != first {
                world.cluster.moods[node] = .sound
            }
            let isSame = try await read == Self.body
            #expect(isSame)
            let bad = mood == .rotten ? 4 : 1
            #expect(world.cluster.frameReads == [0..<5, bad..<bad + 1])
            try await world.loop.sleep(for: .seconds(1))
            #expect(world.cluster.filed.map(\.node) == [first])
            let slot = try AccessWorld.bucket.slot
            #expect(world.cluster.filed.first?.chunk.slot == slot)
        }
    }

    @Test func `a copy that is bad again and again is filed once`() throws {
        let world = try AccessWorld(Self.settings { $0.cacheBytes = 0 })
        world.run {
            _ = try await world.put("k", Self.body)
            _ = try await world.get("k")
            let first = try #require(world.cluster.chunkReads.first)
            world.cluster.moods[first] = .empty
            for _ in 0..<20 { _ = try await world.get("k") }
            try await world.loop.sleep(for: .seconds(2))
            #expect(world.access.counters.copiesNeedingRepair.value == 20)
            #expect(world.cluster.filed.map(\.node) == [first])
            #expect(world.access.counters.badCopiesFiled.value == 1)
        }
    }

    // MARK: Time

    @Test func `a slow store costs a read no more than the 95th percentile and another's answer`()
        throws
    {
        let world = try AccessWorld(Self.settings { $0.cacheBytes = 0 })
        world.run {
            _ = try await world.put("k", Self.body)
            for _ in 0..<60 { _ = try await world.get("k") }
            let slow = try #require(world.cluster.chunkReads.last)
            world.cluster.moods[slow] = .slow(.seconds(5))
            for _ in 0..<5 {
                let began = world.loop.now
                let isSame = try await world.get("k") == Self.body
                #expect(isSame)
                #expect(world.loop.now - began < .milliseconds(10))
            }
            #expect(world.access.counters.hedgedReads.value > 0)
            #expect(world.access.counters.copiesOverdue.value == 0)
        }
    }

    @Test func `when every store is slow, hedges end with their budget and reads go on`() throws {
        let world = try AccessWorld(Self.settings { $0.cacheBytes = 0 })
        world.run {
            for number in 0..<100 { _ = try await world.put("\(number)", someBytes(2000)) }
            for number in 0..<100 { _ = try await world.get("\(number)") }
            for node in FakeCluster.nodes { world.cluster.moods[node] = .slow(.milliseconds(50)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 { group.addTask { _ = try await world.get("\(number)") } }
                try await group.waitForAll()
            }
            let hedges = Int(world.access.counters.hedgedReads.value)
            #expect(hedges > 0 && hedges <= HedgeBudget.mostSaved + 8)
            #expect(world.access.counters.hedgesDenied.value >= 80)
        }
    }

    // MARK: Ranges

    @Test func `a small range fetches its frames alone, and the block when it is wanted again`()
        throws
    {
        let world = try AccessWorld(Self.settings())
        let body = someBytes(3 << 20)
        world.run {
            _ = try await world.put("k", body)
            let range = UInt64(Self.frame * 17 + 10)..<UInt64(Self.frame * 18 + 10)
            var part = try await world.get("k", range)
            #expect(part == Array(body[Int(range.lowerBound)..<Int(range.upperBound)]))
            #expect(world.cluster.frameReads == [17..<19])
            part = try await world.get("k", (1 << 20)..<(1 << 20) + 5)
            #expect(part == Array(body[(1 << 20)..<(1 << 20) + 5]))
            #expect(world.cluster.frameReads == [17..<19, 16..<32])
            _ = try await world.get("k", (2 << 20) - 5..<(2 << 20))
            #expect(world.cluster.frameReads.count == 2)
            #expect(world.access.counters.partsFetched.value == 1)
        }
    }

    @Test func `a range brings the blocks that it covers, and of those at its ends their frames`()
        throws
    {
        let world = try AccessWorld(Self.settings())
        let body = someBytes(4 << 20)
        world.run {
            _ = try await world.put("k", body)
            let range = UInt64((1 << 20) - 10)..<UInt64((3 << 20) + 10)
            let isSame =
                try await world.get("k", range)
                == Array(body[Int(range.lowerBound)..<Int(range.upperBound)])
            #expect(isSame)
            let frames = world.cluster.frameReads.sorted { $0.lowerBound < $1.lowerBound }
            #expect(frames == [15..<16, 16..<32, 32..<48, 48..<49])
        }
    }

    // MARK: Memory

    /// Three blocks: one for readers with a block, 32 frames for the others.
    private static let tight = settings { $0.readBudgetBytes = 3 << 20 }

    @Test func `readers that stall hold no more than the budget, and the others go on beside them`()
        throws
    {
        let world = try AccessWorld(Self.tight)
        let body = someBytes(2 << 20)
        world.run {
            _ = try await world.put("k", body)
            var stalled: [ObjectReader] = []
            for number in 0..<33 {
                let reader = try await Self.reader(world)
                let part = try #require(try await reader.next())
                #expect(part.count == (number == 0 ? 1 << 20 : Self.frame))
                stalled.append(reader)
            }
            #expect(world.access.readBudget.heldBytes == 3 << 20)
            // One more has to wait, and is told when its time is up.
            let late = try await Self.reader(world)
            let began = world.loop.now
            await #expect(throws: AccessFault.self) { _ = try await late.next() }
            #expect(world.loop.now - began == world.client.settings.callTimeout)
            #expect(world.access.counters.readsStarved.value == 1)
            // When one goes, the next in line is served.
            async let waiting = Self.reader(world).next()?.count
            try await world.loop.sleep(for: .seconds(1))
            stalled.removeLast()
            #expect(try await waiting == Self.frame)
            // Those in front go on to their end, frame by frame.
            var bytes: [UInt8] = []
            let reader = stalled[5]
            while let part = try await reader.next() { bytes += part }
            let isSame = bytes == Array(body[Self.frame...])
            #expect(isSame)
            stalled = []
            #expect(world.access.readBudget.heldBytes == 0)
        }
    }

    @Test func `a reader whose task is cancelled while it waits for memory leaves the line`() throws
    {
        let world = try AccessWorld(Self.tight)
        world.run {
            _ = try await world.put("k", someBytes(2 << 20))
            var stalled: [ObjectReader] = []
            for _ in 0..<33 {
                let reader = try await Self.reader(world)
                _ = try await reader.next()
                stalled.append(reader)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let reader = try await Self.reader(world)
                    await #expect(throws: AccessFault.self) { _ = try await reader.next() }
                }
                try await world.loop.sleep(for: .milliseconds(100))
                let began = world.loop.now
                group.cancelAll()
                try await group.waitForAll()
                #expect(world.loop.now - began < .milliseconds(10))
            }
            stalled = []
            #expect(world.access.readBudget.heldBytes == 0)
        }
    }

    @Test func `what readers hold comes out of the cache`() throws {
        let world = try AccessWorld(
            Self.settings {
                $0.cacheBytes = 2 << 20
                $0.readBudgetBytes = 6 << 20
            })
        world.run {
            _ = try await world.put("k", someBytes(1 << 20))
            _ = try await world.put("other", someBytes(1 << 20, seed: 2))
            _ = try await world.get("k")
            let reads = world.cluster.chunkReads.count
            let reader = try await Self.reader(world, "other")
            _ = try await reader.next()
            #expect(world.cluster.chunkReads.count == reads + 1)
            // Neither has room beside the block that is held.
            _ = try await world.get("k")
            #expect(world.cluster.chunkReads.count == reads + 2)
        }
    }

    @Test func `a slow reader brings nothing ahead`() throws {
        let world = try AccessWorld(Self.settings())
        world.run {
            _ = try await world.put("k", someBytes(4 << 20))
            let reader = try await Self.reader(world)
            _ = try await reader.next()
            try await world.loop.sleep(for: .milliseconds(50))
            #expect(world.cluster.frameReads.count == 3)
            try await world.loop.sleep(for: .seconds(2))
            _ = try await reader.next()
            try await world.loop.sleep(for: .milliseconds(50))
            #expect(world.cluster.frameReads.count == 3)
        }
    }

    private static func reader(
        _ world: AccessWorld, _ key: String = "k"
    ) async throws -> ObjectReader {
        try await world.access.read(
            try AccessWorld.key(key), in: try AccessWorld.bucket, on: world.loop,
            deadline: world.loop.now + .seconds(20))
    }

    // MARK: Pages of chunks

    /// Gives the chunks of a version one at a time.
    private struct PagedChunks: ChunkSource {
        let chunks: [ChunkReference]

        func run(at position: UInt64, deadline: Instant) async throws(AccessFault) -> ChunkRun {
            var start: UInt64 = 0
            for chunk in self.chunks {
                let end = start + UInt64(chunk.plainLength)
                if position < end { return ChunkRun(start: start, chunks: [chunk]) }
                start = end
            }
            return ChunkRun(start: start, chunks: [])
        }
    }

    @Test func `chunks may come page by page`() throws {
        let world = try AccessWorld()
        let body = someBytes(5 * AccessWorld.chunkBytes + 7)
        world.run {
            _ = try await world.put("k", body)
            let head = try await world.access.head(
                try AccessWorld.key("k"), in: try AccessWorld.bucket,
                deadline: world.loop.now + .seconds(20))
            let commit = try #require(world.cluster.commits.last)
            guard case .chunks(let chunks) = commit.content.manifest else {
                Issue.record("a large body is in chunks")
                return
            }
            let key = try #require(
                SymmetricKey(
                    bytes: FakeCluster.key(of: try AccessWorld.bucket)))
            for range in [0..<body.count, 3 * AccessWorld.chunkBytes - 5..<body.count - 1] {
                let reader = ObjectReader(
                    head: head, source: PagedChunks(chunks: chunks), access: world.access,
                    bucket: .init(name: try AccessWorld.bucket, key: key), loop: world.loop)
                reader.restrict(to: UInt64(range.lowerBound)..<UInt64(range.upperBound))
                var bytes: [UInt8] = []
                while let part = try await reader.next() { bytes += part }
                let isSame = bytes == Array(body[range])
                #expect(isSame)
            }
        }
    }
}
