import Catalog
import ClusterClient
import IORuntime
import ObjectAccess
import Primitives
import Telemetry
import Testing

/// What an edge answers from memory, and what it asks for.
struct CurrentTests {
    private static func objectQueries(_ world: AccessWorld) -> Int {
        world.cluster.queries.count {
            if case .object = $0 { true } else { false }
        }
    }

    @Test func `a head is read once and then known, with the bytes of a small object`() throws {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("a", someBytes(500))
            for _ in 0..<5 { #expect(try await world.get("a") == someBytes(500)) }
            #expect(Self.objectQueries(world) == 1)
            #expect(world.access.counters.headHits.value == 4)
            #expect(world.client.counters.readIndexes.value == 4, "who knows asks if it is true")
        }
    }

    @Test func `what somebody else wrote is seen by the next read`() throws {
        let world = try AccessWorld()
        world.run {
            let key = try AccessWorld.key("a")
            let bucket = try AccessWorld.bucket
            _ = try await world.put("a", someBytes(500))
            #expect(try await world.get("a") == someBytes(500))
            try world.cluster.group.send(.deleteObject(DeleteObject(bucket: bucket, key: key)))
            await #expect(throws: AccessFault.noSuchKey) { try await world.get("a") }
            _ = try await world.put("a", someBytes(600))
            #expect(try await world.get("a") == someBytes(600))
        }
    }

    @Test func `an absent key is known to be absent until it is written`() throws {
        let world = try AccessWorld()
        world.run {
            for _ in 0..<4 {
                await #expect(throws: AccessFault.noSuchKey) { try await world.get("a") }
            }
            #expect(Self.objectQueries(world) == 1)
            #expect(world.access.counters.absenceHits.value == 3)
            _ = try await world.put("a", someBytes(500))
            #expect(try await world.get("a") == someBytes(500))
        }
    }

    @Test func `a bucket that was made anew has none of the absences of the one before`() throws {
        let world = try AccessWorld()
        world.run {
            let bucket = try AccessWorld.bucket
            await #expect(throws: AccessFault.noSuchKey) { try await world.get("a") }
            try world.cluster.group.send(.deleteBucket(bucket))
            await #expect(throws: AccessFault.noSuchBucket(bucket)) { try await world.get("a") }
        }
    }

    @Test func `who came together shares one question to the leader`() throws {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("a", someBytes(500))
            #expect(try await world.get("a") == someBytes(500))
            let before = world.client.counters.readIndexes.value
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask(executorPreference: world.loop) {
                        do { _ = try await world.get("a") } catch { Issue.record("\(error)") }
                    }
                }
            }
            #expect(world.client.counters.readIndexes.value - before <= 2)
        }
    }

    @Test func `what may be a little old is answered without a question, for some seconds`() throws
    {
        let world = try AccessWorld()
        world.run {
            let key = try AccessWorld.key("a")
            let bucket = try AccessWorld.bucket
            _ = try await world.put("a", someBytes(500))
            for _ in 0..<2 { _ = try await world.get("a") }
            let deadline = world.loop.now + .seconds(20)
            let before = world.client.counters.readIndexes.value
            for _ in 0..<20 {
                _ = try await world.access.head(key, in: bucket, age: .bounded, deadline: deadline)
            }
            #expect(world.client.counters.readIndexes.value == before)
            // Confirmed in the background while it is used, and asked for anew once it is not.
            try await world.loop.sleep(for: .milliseconds(1_500))
            _ = try await world.access.head(key, in: bucket, age: .bounded, deadline: deadline)
            try await world.loop.sleep(for: .milliseconds(100))
            #expect(world.client.counters.readIndexes.value == before + 1)
            try await world.loop.sleep(for: .seconds(6))
            _ = try await world.access.head(key, in: bucket, age: .bounded, deadline: deadline)
            #expect(world.client.counters.readIndexes.value == before + 2)
        }
    }

    @Test func `a change is heard of without a question`() throws {
        let world = try AccessWorld()
        world.run {
            let key = try AccessWorld.key("a")
            let bucket = try AccessWorld.bucket
            _ = try await world.put("a", someBytes(500))
            for _ in 0..<2 { _ = try await world.get("a") }
            try world.cluster.group.send(.deleteObject(DeleteObject(bucket: bucket, key: key)))
            try await world.loop.sleep(for: .milliseconds(20))
            let deadline = world.loop.now + .seconds(20)
            await #expect(throws: AccessFault.noSuchKey) {
                try await world.access.head(key, in: bucket, age: .bounded, deadline: deadline)
            }
        }
    }
}
