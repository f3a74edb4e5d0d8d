import Catalog
import Cryptography
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

@Suite struct DeduplicationTests {
    private static let sizes = [30_000, 1, 90_000]

    private static func stated(_ body: [UInt8], _ sizes: [Int] = Self.sizes) throws -> [StatedChunk]
    {
        var start = 0
        return try sizes.map { size in
            defer { start += size }
            let bytes = Array(body[start..<min(start + size, body.count)])
            return try #require(StatedChunk(sizeBytes: size, sha256: SHA256.hash(bytes)))
        }
    }

    private static func put(
        _ key: String, _ source: any BodySource, _ chunks: [StatedChunk], in place: Int = 0,
        of world: AccessWorld
    ) async throws -> StoredObject {
        var options = PutOptions()
        options.statedChunks = chunks
        return try await world.access.put(
            try AccessWorld.key(key), in: FakeCluster.buckets[place], source, options,
            on: world.loop, deadline: world.loop.now + .seconds(20))
    }

    private static var body: [UInt8] { someBytes(Self.sizes.reduce(0, +)) }

    @Test func `chunks that the bucket has are not stored again, and outlive who brought them`()
        throws
    {
        let world = try AccessWorld()
        world.run {
            let chunks = try Self.stated(Self.body)
            _ = try await Self.put("a", BytesSource(Self.body), chunks, of: world)
            let copies = world.cluster.copies.mapValues(\.count)
            #expect(copies.values.reduce(0, +) == 9)
            let stored = try await Self.put("b", BytesSource(Self.body), chunks, of: world)
            #expect(stored.sha256 == SHA256.hash(Self.body))
            #expect(world.cluster.copies.mapValues(\.count) == copies)
            #expect(world.access.counters.chunksShared.value == 3)
            try await world.access.delete(
                try AccessWorld.key("a"), in: try AccessWorld.bucket,
                deadline: world.loop.now + .seconds(20))
            #expect(try await world.get("b") == Self.body)
        }
    }

    @Test func `a body with one chunk changed stores that one alone`() throws {
        let world = try AccessWorld()
        world.run {
            _ = try await Self.put(
                "a", BytesSource(Self.body), try Self.stated(Self.body), of: world)
            var other = Self.body
            other[30_000] ^= 1
            _ = try await Self.put("b", BytesSource(other), try Self.stated(other), of: world)
            #expect(world.access.counters.chunksShared.value == 2)
            #expect(try await world.get("b") == other)
        }
    }

    @Test func `who states nothing shares nothing, and no bucket shares with another`() throws {
        let world = try AccessWorld()
        world.run {
            let chunks = try Self.stated(Self.body)
            _ = try await Self.put("a", BytesSource(Self.body), chunks, of: world)
            _ = try await Self.put("b", BytesSource(Self.body), [], of: world)
            _ = try await Self.put("a", BytesSource(Self.body), chunks, in: 1, of: world)
            #expect(world.access.counters.chunksShared.value == 0)
        }
    }

    @Test func `bytes that are not those of the stated hash are refused, known or not`() throws {
        let world = try AccessWorld()
        world.run {
            let chunks = try Self.stated(Self.body)
            for _ in 0..<2 {
                for place in [0, 30_000, 119_999] {
                    var other = Self.body
                    other[place] ^= 1
                    await #expect(throws: AccessFault.bodyMismatch(.chunk)) {
                        _ = try await Self.put("b", BytesSource(other), chunks, of: world)
                    }
                }
                await #expect(throws: AccessFault.noSuchKey) { _ = try await world.get("b") }
                // The second time all that is stated is there already.
                _ = try await Self.put("a", BytesSource(Self.body), chunks, of: world)
            }
        }
    }

    @Test func `chunks that do not add up to the body are refused`() throws {
        let world = try AccessWorld()
        world.run {
            let body = Self.body
            let long = try Self.stated(body + [0], [30_000, 1, 90_001])
            let short = try Self.stated(body, [30_000, 1, 89_999])
            for chunks in [long, short] {
                await #expect(throws: AccessFault.bodyIncomplete) {
                    _ = try await Self.put("a", BytesSource(body), chunks, of: world)
                }
            }
        }
    }

    @Test func `a small body of stated chunks is found again as well`() throws {
        let world = try AccessWorld()
        world.run {
            let body = someBytes(10)
            let chunks = try Self.stated(body, [10])
            _ = try await Self.put("a", BytesSource(body), chunks, of: world)
            _ = try await Self.put("b", BytesSource(body), chunks, of: world)
            #expect(world.access.counters.chunksShared.value == 1)
            #expect(try await world.get("b") == body)
        }
    }

    @Test func `a shared chunk that is condemned before the commit is stored anew`() throws {
        let world = try AccessWorld()
        world.run {
            let body = Self.body
            let chunks = try Self.stated(body)
            _ = try await Self.put("a", BytesSource(body), chunks, of: world)
            let group = world.cluster.group
            let bucket = FakeCluster.buckets[0]
            let source = InterruptedSource(body, at: 100_000) {
                try group.send(
                    .deleteObject(DeleteObject(bucket: bucket, key: try AccessWorld.key("a"))))
                for chunk in world.cluster.copies.values.flatMap(\.keys).sorted() {
                    try group.condemn(chunk, of: bucket)
                }
            }
            _ = try await Self.put("b", source, chunks, of: world)
            #expect(world.access.counters.sharedChunksCondemned.value == 3)
            #expect(try await world.get("b") == body)
            _ = try await Self.put("c", BytesSource(body), chunks, of: world)
            #expect(world.access.counters.chunksShared.value == 6)
        }
    }
}

/// Bytes at hand, in the middle of which something happens elsewhere.
private final class InterruptedSource: BodySource {
    private let source: BytesSource
    private var position = 0
    private let place: Int
    private var interrupt: (() throws -> Void)?

    init(_ bytes: [UInt8], at place: Int, _ interrupt: @escaping () throws -> Void) {
        self.source = BytesSource(bytes)
        self.place = place
        self.interrupt = interrupt
    }

    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        let bytes = try await self.source.next(upTo: limit)
        self.position += bytes.count
        if self.position >= self.place, let interrupt = self.interrupt {
            self.interrupt = nil
            do { try interrupt() } catch { throw .connection("\(error)") }
        }
        return bytes
    }
}
