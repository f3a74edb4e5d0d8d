import Catalog
import ClusterClient
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

struct ReadTests {
    private static let chunk = AccessWorld.chunkBytes

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `any range is the bytes that lie there`(seed: UInt64) throws {
        let world = try AccessWorld(seed: seed)
        let body = someBytes(4 * Self.chunk + 13)
        world.run {
            _ = try await world.put("k", body)
            var generator = SeededGenerator(seed: seed)
            for _ in 0..<40 {
                let first = generator.below(body.count)
                let last = generator.chance(0.5) ? first + 1 : first + generator.below(400_000)
                let part = try await world.get("k", UInt64(first)..<UInt64(last))
                let isSame = part == Array(body[first..<min(last, body.count)])
                #expect(isSame, "\(first)..<\(last)")
            }
            let none = try await world.get("k", 5..<5)
            #expect(none.isEmpty)
        }
    }

    @Test(arguments: [Mood.rotten, .scratched, .empty, .unreachable, .slow(.seconds(30))])
    func `a bad copy is answered from another, and counted`(mood: Mood) throws {
        let world = try AccessWorld()
        let body = someBytes(4 * Self.chunk)
        world.run {
            _ = try await world.put("k", body)
            world.cluster.moods[NodeID(1)] = mood
            let isSame = try await world.get("k") == body
            #expect(isSame)
            let counters = world.access.counters
            switch mood {
            case .rotten: #expect(counters.framesRefused.value > 0)
            case .scratched: #expect(counters.framesRotten.value > 0)
            case .slow: #expect(counters.hedgedReads.value > 0)
            case .empty, .unreachable, .sound, .full, .paced:
                #expect(counters.copiesFailed.value > 0)
            }
            #expect(
                (counters.copiesNeedingRepair.value > 0)
                    == [.rotten, .scratched, .empty].contains(mood))
        }
    }

    @Test func `when every copy is bad the read fails, and no byte is handed out`() throws {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("k", someBytes(Self.chunk))
            for node in FakeCluster.nodes { world.cluster.moods[node] = .rotten }
            do {
                _ = try await world.get("k")
                Issue.record("bytes were handed out")
            } catch AccessFault.unreadable {}
            for node in FakeCluster.nodes { world.cluster.moods[node] = .sound }
            #expect(try await world.get("k").count == Self.chunk)
        }
    }

    @Test func `who reads together fetches each block once`() throws {
        let world = try AccessWorld()
        let body = someBytes(3 * Self.chunk)
        world.run {
            _ = try await world.put("k", body)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<6 {
                    group.addTask {
                        let isSame = try await world.get("k") == body
                        #expect(isSame)
                    }
                }
                try await group.waitForAll()
            }
            #expect(world.cluster.chunkReads.count == 3)
            #expect(world.access.counters.blockMisses.value == 3)
            #expect(world.access.counters.blocksCoalesced.value > 0)
        }
    }

    @Test func `the next two blocks are brought while one is handed out, never past the range`()
        throws
    {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("k", someBytes(6 * Self.chunk))
            let reader = try await world.access.read(
                try AccessWorld.key("k"), in: try AccessWorld.bucket, on: world.loop,
                deadline: world.loop.now + .seconds(20))
            reader.restrict(to: 0..<UInt64(4 * Self.chunk))
            for expected in [3, 4, 4, 4] {
                #expect(try await reader.next()?.count == Self.chunk)
                try await world.loop.sleep(for: .milliseconds(100))
                #expect(world.cluster.chunkReads.count == expected)
            }
            #expect(try await reader.next() == nil)
            _ = try await world.get("k", UInt64(5 * Self.chunk)..<UInt64(5 * Self.chunk + 9))
            #expect(world.cluster.chunkReads.count == 5)
        }
    }

    @Test func `a reader that is let go stops what it was bringing`() throws {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("k", someBytes(4 * Self.chunk))
            for node in FakeCluster.nodes { world.cluster.moods[node] = .slow(.milliseconds(50)) }
            do {
                let reader = try await world.access.read(
                    try AccessWorld.key("k"), in: try AccessWorld.bucket, on: world.loop,
                    deadline: world.loop.now + .seconds(20))
                reader.restrict(to: 0..<UInt64(3 * Self.chunk))
                _ = try await reader.next()
                _ = try await reader.next()
            }
            let isSame = try await world.get("k").count == 4 * Self.chunk
            #expect(isSame, "what was cancelled is fetched by who needs it")
        }
    }
}
