import Catalog
import Cryptography
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Bodies with more chunks than one command may name.
@Suite struct LongBodyTests {
    static let chunkBytes = 20_000
    static let rowBytes = Self.chunkBytes * CatalogLimits.chunksPerRow

    static func world(_ change: (inout ObjectAccessSettings) -> Void = { _ in }) throws
        -> AccessWorld
    {
        var settings = AccessWorld.small
        settings.chunkBytes = Self.chunkBytes
        change(&settings)
        return try AccessWorld(settings)
    }

    @Test(arguments: [
        Self.rowBytes, Self.rowBytes + 1, Self.rowBytes + Self.chunkBytes, 2 * Self.rowBytes,
        3 * Self.rowBytes - 1,
    ])
    func `a body of any number of chunks comes back as it went, whole and in ranges`(
        length: Int
    ) throws {
        let world = try Self.world()
        world.run {
            let body = someBytes(length)
            let stored = try await world.put("long", body)
            #expect(stored.sha256 == SHA256.hash(body))
            #expect(stored.sizeBytes == UInt64(length))
            #expect(world.cluster.commits.count == (length <= Self.rowBytes ? 1 : 0))
            #expect(try await world.get("long") == body)
            let end = UInt64(length)
            let edge = UInt64(Self.rowBytes)
            let ranges = [
                0..<1, edge - 1..<min(edge + 1, end), end - 1..<end, edge / 2..<end - edge / 4,
            ]
            for range in ranges {
                let part = try await world.get("long", range)
                #expect(part == Array(body[Int(range.lowerBound)..<Int(range.upperBound)]))
            }
            #expect(world.cluster.holdersAtCommit.joined().allSatisfy { $0 == 3 })
        }
    }

    @Test func `no call grows with the body`() throws {
        var longest: [Int] = []
        for rows in [2, 6] {
            let world = try Self.world()
            world.run {
                _ = try await world.put("long", someBytes(rows * Self.rowBytes + 5))
                #expect(world.access.counters.rowsWritten.value == UInt64(rows + 1))
            }
            longest.append(world.cluster.longestHeadBytes)
        }
        #expect(longest[0] == longest[1])
        #expect(longest[0] < 8 << 10)
    }

    @Test func `what fails behind its first row is taken back, and nothing was seen of it`() throws
    {
        let world = try Self.world()
        world.run {
            let source = FaultySource(someBytes(Self.rowBytes * 2), fault: .truncated)
            await #expect(throws: AccessFault.source(.truncated)) {
                _ = try await world.put("long", source)
            }
            await #expect(throws: AccessFault.noSuchKey) { _ = try await world.get("long") }
            try await world.loop.sleep(for: .seconds(1))
            try world.cluster.group.sweep()
            #expect(world.access.counters.longBodiesAbandoned.value == 1)
            guard case .abortUpload = world.cluster.operations.last else {
                Issue.record("the upload was not aborted")
                return
            }
            for operation in world.cluster.operations {
                guard case .putPart(let put) = operation, case .content(let content) = put.source,
                    case .chunks(let chunks) = content.manifest
                else { continue }
                for chunk in chunks {
                    #expect(try world.cluster.group.references(to: chunk.name) == 0)
                }
            }
        }
    }

    @Test func `a condition that does not hold takes a long body back`() throws {
        let world = try Self.world()
        world.run {
            _ = try await world.put("long", someBytes(10))
            var options = PutOptions()
            options.precondition = .absent
            await #expect(throws: AccessFault.preconditionFailed) {
                _ = try await world.access.put(
                    try AccessWorld.key("long"), in: try AccessWorld.bucket,
                    BytesSource(someBytes(Self.rowBytes * 2)), options, on: world.loop,
                    deadline: world.loop.now + .seconds(20))
            }
            #expect(try await world.get("long") == someBytes(10))
            try await world.loop.sleep(for: .seconds(1))
            #expect(world.access.counters.longBodiesAbandoned.value == 1)
        }
    }

    @Test func `a long body that finds the groups' disks full at its end pins no room there`()
        throws
    {
        let world = try Self.world()
        world.cluster.hasNoRoomToComplete = true
        world.run {
            do {
                _ = try await world.put("long", someBytes(Self.rowBytes * 2))
                Issue.record("the put was acknowledged")
            } catch {
                guard case .diskFull? = error as? AccessFault else { throw error }
            }
            try await world.loop.sleep(for: .seconds(1))
            #expect(world.access.counters.longBodiesAbandoned.value == 1)
            let isAborted = world.cluster.operations.contains { operation in
                if case .abortUpload = operation { true } else { false }
            }
            #expect(isAborted)
        }
    }

    @Test func `a reader of what was deleted and swept ends with a fault, never with less`() throws
    {
        let world = try Self.world { $0.cacheBytes = 1 }
        world.run {
            let body = someBytes(Self.rowBytes * 3)
            _ = try await world.put("long", body)
            let reader = try await world.access.read(
                try AccessWorld.key("long"), in: try AccessWorld.bucket, on: world.loop,
                deadline: world.loop.now + .seconds(20))
            var read: [UInt8] = Array(try #require(try await reader.next()))
            try await world.access.delete(
                try AccessWorld.key("long"), in: try AccessWorld.bucket,
                deadline: world.loop.now + .seconds(20))
            try world.cluster.group.sweep()
            var fault: AccessFault?
            do throws(AccessFault) {
                while let part = try await reader.next() { read += part }
            } catch { fault = error }
            guard case .unreadable = fault else {
                Issue.record("the reader ended with \(String(describing: fault))")
                return
            }
            #expect(body.starts(with: read))
            #expect(read.count < body.count)
        }
    }

    @Test func `a body that comes slowly is written down before its row is full`() throws {
        let world = try Self.world { $0.rowPatience = .seconds(10) }
        world.run {
            let body = someBytes(Self.chunkBytes * 8)
            let source = SlowSource(body, pause: .seconds(3), loop: world.loop)
            _ = try await world.put("slow", source)
            #expect(world.access.counters.rowsWritten.value > 1)
            #expect(try await world.get("slow") == body)
        }
    }

    @Test func `a body too slow to be promised is given up`() throws {
        let world = try Self.world {
            $0.rowPatience = .seconds(3_600)
            $0.uploadLifetime = .seconds(10)
        }
        world.run {
            let source = SlowSource(
                someBytes(Self.chunkBytes * 8), pause: .seconds(3), loop: world.loop)
            await #expect(throws: AccessFault.unavailable("the body came too slowly")) {
                _ = try await world.put("slow", source)
            }
        }
    }

    @Test func `a commit says when the first of its chunks was sealed`() throws {
        let world = try Self.world()
        world.run {
            let began = world.node.environment.wallClock
            let source = SlowSource(
                someBytes(Self.chunkBytes * 3), pause: .seconds(30), loop: world.loop)
            _ = try await world.put("slow", source)
            let sealed = try #require(world.cluster.commits.first?.content.oldestSealed)
            #expect(sealed - began >= .seconds(30))
            // With the first byte behind it at the latest.
            #expect(sealed - began < .seconds(70))
        }
    }

    @Test(arguments: [2_000, Self.rowBytes * 2])
    func `a body whose edge slept for days before its commit is to be sent again`(
        length: Int
    ) throws {
        let world = try Self.world()
        world.run {
            // All other clocks are that much ahead.
            let slept = CatalogLimits.newChunkLifetime
            world.cluster.group.pass(
                world.node.environment.wallClock + slept - world.cluster.group.time)
            await #expect(throws: AccessFault.unavailable("the body came too slowly")) {
                _ = try await world.put("late", someBytes(length))
            }
            await #expect(throws: AccessFault.noSuchKey) { _ = try await world.get("late") }
            _ = try await world.put("inline", someBytes(10))
            #expect(try await world.get("inline") == someBytes(10))
        }
    }
}

/// Gives a chunk's worth at a time, with a pause before each.
private final class SlowSource: BodySource {
    private let source: BytesSource
    private let pause: Duration
    private let loop: any EventLoop

    init(_ bytes: [UInt8], pause: Duration, loop: any EventLoop) {
        self.source = BytesSource(bytes)
        self.pause = pause
        self.loop = loop
    }

    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        do { try await self.loop.sleep(for: self.pause) } catch { throw .connection("cancelled") }
        return try await self.source.next(upTo: min(limit, LongBodyTests.chunkBytes))
    }
}
