import Catalog
import Cryptography
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

@Suite struct CopyTests {
    private struct Unwanted: Error, Equatable {}

    private static func name(_ key: String, in place: Int = 0) throws -> ObjectName {
        ObjectName(bucket: FakeCluster.buckets[place], key: try AccessWorld.key(key))
    }

    private static func copy(
        _ source: ObjectName, to target: ObjectName, _ options: CopyOptions = CopyOptions(),
        in world: AccessWorld, check: (ObjectHead) -> Unwanted? = { _ in nil }
    ) async throws -> CopiedObject {
        try await world.access.copy(
            source, to: target, options, on: world.loop, deadline: world.loop.now + .seconds(20),
            check: check
        ).get()
    }

    private static func bytes(of name: ObjectName, in world: AccessWorld) async throws -> [UInt8] {
        let reader = try await world.access.read(
            name.key, in: name.bucket, on: world.loop, deadline: world.loop.now + .seconds(20))
        var bytes: [UInt8] = []
        while let part = try await reader.next() { bytes += part }
        return bytes
    }

    @Test(arguments: [10, 100_000, 2 * LongBodyTests.rowBytes])
    func `a copy inside a bucket moves no byte, and outlives its source`(length: Int) throws {
        let world = try LongBodyTests.world()
        world.run {
            let body = someBytes(length)
            let stored = try await world.put("a", body)
            let copies = world.cluster.copies.mapValues(\.count)
            let (source, target) = (try Self.name("a"), try Self.name("b"))
            let copied = try await Self.copy(source, to: target, in: world)
            #expect(copied.entityTag == stored.entityTag)
            #expect(copied.version > stored.version)
            #expect(world.cluster.copies.mapValues(\.count) == copies)
            try await world.access.delete(
                source.key, in: source.bucket, deadline: world.loop.now + .seconds(20))
            try world.cluster.group.sweep()
            #expect(try await Self.bytes(of: target, in: world) == body)
            #expect(world.access.counters.objectsCopied.value == 1)
        }
    }

    @Test func `a copy between buckets is stored anew, under the other's key`() throws {
        let world = try LongBodyTests.world()
        world.run {
            let body = someBytes(LongBodyTests.rowBytes + 7)
            let stored = try await world.put("a", body)
            let target = try Self.name("b", in: 1)
            let copied = try await Self.copy(try Self.name("a"), to: target, in: world)
            #expect(copied.entityTag == stored.entityTag)
            #expect(try await Self.bytes(of: target, in: world) == body)
            #expect(world.access.counters.objectsCopied.value == 0)
        }
    }

    @Test func `a source that changes between the look and the copy is looked at again`() throws {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("a", someBytes(10, seed: 1))
            let looks = Counting()
            let (source, target) = (try Self.name("a"), try Self.name("b"))
            let other = try Self.name("c")
            _ = try await world.put("c", someBytes(10, seed: 2))
            let version = try await world.access.head(
                other.key, in: other.bucket, deadline: world.loop.now + .seconds(20)
            ).version
            _ = try await Self.copy(source, to: target, in: world) { _ in
                guard looks.next() == 1 else { return nil }
                // Somebody else makes the source what `c` is.
                let copy = CopyObject(
                    bucket: source.bucket, source: other.key, version: version, key: source.key)
                do { try world.cluster.group.send(.copyObject(copy)) } catch { return Unwanted() }
                return nil
            }
            #expect(looks.count == 2)
            #expect(try await Self.bytes(of: target, in: world) == someBytes(10, seed: 2))
        }
    }

    @Test(arguments: [0, 1])
    func `conditions, new attributes and refusals of the source are kept`(place: Int) throws {
        let world = try AccessWorld()
        world.run {
            _ = try await world.put("a", someBytes(200_000))
            let (source, target) = (try Self.name("a"), try Self.name("b", in: place))
            await #expect(throws: Unwanted.self) {
                _ = try await Self.copy(source, to: target, in: world) { _ in Unwanted() }
            }
            var options = CopyOptions()
            options.precondition = .present
            await #expect(throws: AccessFault.noSuchKey) {
                _ = try await Self.copy(source, to: target, options, in: world)
            }
            options.precondition = .absent
            options.attributes = ObjectAttributes(contentType: "text/plain")
            _ = try await Self.copy(source, to: target, options, in: world)
            let head = try await world.access.head(
                target.key, in: target.bucket, deadline: world.loop.now + .seconds(20))
            #expect(head.attributes.contentType == "text/plain")
            await #expect(throws: AccessFault.preconditionFailed) {
                _ = try await Self.copy(source, to: target, options, in: world)
            }
            await #expect(throws: AccessFault.noSuchKey) {
                _ = try await Self.copy(
                    try Self.name("missing"), to: target, CopyOptions(), in: world)
            }
        }
    }
}
