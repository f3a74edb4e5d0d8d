import Catalog
import ClusterClient
import Cryptography
import IORuntime
import ObjectAccess
import Placement
import Primitives
import Telemetry
import Testing

struct PutTests {
    private static let chunk = AccessWorld.chunkBytes

    @Test func `a body is there as it was sent, whatever its length`() throws {
        let world = try AccessWorld()
        let lengths = [
            0, 1, 999, 1000, 1001, 65_535, 65_536, 65_537, Self.chunk - 1, Self.chunk,
            Self.chunk + 1, 2 * Self.chunk, 3 * Self.chunk + 77,
        ]
        world.run {
            for length in lengths {
                let body = someBytes(length)
                let stored = try await world.put("k\(length)", body)
                #expect(stored.sizeBytes == UInt64(length))
                #expect(stored.sha256 == SHA256.hash(body))
                let isSame = try await world.get("k\(length)") == body
                #expect(isSame, "\(length) bytes")
                guard let manifest = world.cluster.commits.last?.content.manifest else {
                    Issue.record("no content was committed")
                    return
                }
                switch manifest {
                case .inline: #expect(length <= 1000)
                case .chunks(let chunks):
                    #expect(length > 1000)
                    let sizes = chunks.map { Int($0.plainLength) }
                    #expect(sizes.count == (length + Self.chunk - 1) / Self.chunk)
                    #expect(sizes.reduce(0, +) == length)
                    #expect(chunks.allSatisfy { $0.exceptions == [] })
                case .parts: Issue.record("a plain put has no parts")
                }
            }
            #expect(world.cluster.holdersAtCommit.joined().allSatisfy { $0 == 3 })
        }
    }

    @Test(arguments: [900, 400_000])
    func `text rests in fewer bytes where compression is on, and is read alike where it is off`(
        length: Int
    ) throws {
        for isCompressing in [true, false] {
            var settings = AccessWorld.small
            settings.isCompressing = isCompressing
            let world = try AccessWorld(seed: 1, settings)
            world.run {
                let body = Bodies.text(length)
                _ = try await world.put("k", body)
                let isSame = try await world.get("k") == body
                #expect(isSame)
                let part = try await world.get("k", UInt64(length - 300)..<UInt64(length - 100))
                #expect(part == Array(body[length - 300..<length - 100]))
                let saved = Int(world.access.counters.bytesSaved.value)
                #expect((saved > length / 3) == isCompressing)
                #expect((saved == 0) == !isCompressing)
                switch world.cluster.commits[0].content.manifest {
                case .inline(_, let sealed):
                    #expect(sealed.count == length + FrameCodec.tagBytes - saved)
                case .chunks(let chunks):
                    let sealed = chunks.reduce(0) { $0 + Int($1.sealedLength) }
                    // Two chunks of three frames each, and one of two.
                    #expect(sealed == length + 8 * FrameCodec.tagBytes - saved)
                case .parts: Issue.record("a plain put has no parts")
                }
            }
        }
    }

    @Test(arguments: [Mood.full, .unreachable, .slow(.seconds(30))])
    func `another node takes the copy of a home that does not, and the manifest names it`(
        mood: Mood
    ) throws {
        let world = try AccessWorld()
        world.cluster.moods[NodeID(2)] = mood
        world.run {
            let body = someBytes(4 * Self.chunk)
            _ = try await world.put("k", body)
            #expect(world.cluster.holdersAtCommit.joined().allSatisfy { $0 >= 3 })
            guard case .chunks(let chunks) = world.cluster.commits[0].content.manifest else {
                Issue.record("no chunks were committed")
                return
            }
            for chunk in chunks {
                let homes = world.cluster.layout.homes(of: chunk.name)
                let strangers = world.cluster.holders(of: chunk.name).filter {
                    !homes.contains($0)
                }
                #expect(chunk.exceptions == strangers)
                #expect(strangers.isEmpty != homes.contains(NodeID(2)))
            }
            #expect(world.access.counters.handoffWrites.value > 0)
            let isSame = try await world.get("k") == body
            #expect(isSame)
        }
    }

    @Test func `a store that was late is not waited for again soon`() throws {
        let world = try AccessWorld()
        world.cluster.moods[NodeID(2)] = .slow(.seconds(30))
        world.run {
            _ = try await world.put("first", someBytes(4 * Self.chunk))
            let begun = world.loop.now
            _ = try await world.put("second", someBytes(8 * Self.chunk))
            #expect(world.loop.now - begun < .milliseconds(90))
        }
    }

    @Test func `a large chunk is not late because small ones are quick`() throws {
        var settings = AccessWorld.small
        settings.chunkBytes = 3 << 20
        let world = try AccessWorld(settings)
        for node in FakeCluster.nodes {
            world.cluster.moods[node] = .paced(bytesPerSecond: 5 << 20)
        }
        world.run {
            for number in 0..<50 { _ = try await world.put("small\(number)", someBytes(10_000)) }
            _ = try await world.put("large", someBytes(6 << 20))
            #expect(world.access.counters.handoffWrites.value == 0)
            world.cluster.moods[NodeID(2)] = .slow(.seconds(30))
            for number in 0..<20 { _ = try await world.put("late\(number)", someBytes(10_000)) }
            #expect(world.access.counters.handoffWrites.value > 0)
        }
    }

    @Test func `with fewer than three stores nothing is promised and nothing committed`() throws {
        let world = try AccessWorld()
        for node in 1...3 { world.cluster.moods[NodeID(UInt32(node))] = .unreachable }
        world.run {
            do {
                _ = try await world.put("k", someBytes(5 * Self.chunk))
                Issue.record("it was stored")
            } catch AccessFault.unavailable {}
            #expect(world.cluster.commits.isEmpty)
        }
    }

    @Test(arguments: [10, 500, 100_000, 400_000])
    func `a source that fails in the middle leaves nothing committed`(length: Int) throws {
        let world = try AccessWorld()
        world.run {
            await #expect(throws: AccessFault.source(.truncated)) {
                _ = try await world.put(
                    "k", FaultySource(someBytes(length), fault: .truncated))
            }
            #expect(world.cluster.commits.isEmpty)
        }
    }

    @Test func `uploads that fail give back all they took of the budget`() throws {
        var settings = AccessWorld.small
        settings.intakeBudgetBytes = 3 << 20
        let world = try AccessWorld(settings)
        world.run {
            for node in FakeCluster.nodes { world.cluster.moods[node] = .full }
            for round in 0..<12 {
                await #expect(throws: AccessFault.self) {
                    _ = try await world.put("k", someBytes(Self.chunk * (1 + round % 5)))
                }
                await #expect(throws: AccessFault.source(.tooSlow)) {
                    _ = try await world.put(
                        "k", FaultySource(someBytes(Self.chunk), fault: .tooSlow))
                }
            }
            for node in FakeCluster.nodes { world.cluster.moods[node] = .sound }
            _ = try await world.put("k", someBytes(5 * Self.chunk))
        }
    }

    @Test func `what is stated must hold, or nothing is committed`() throws {
        let world = try AccessWorld()
        let body = someBytes(2 * Self.chunk)
        let crc = withUnsafeBytes(of: CRC32C.of(body).bigEndian) { Array($0) }
        world.run {
            let wrong: [(StatedBody, AccessFault)] = [
                (StatedBody(sizeBytes: 5), .bodyIncomplete),
                (StatedBody(sizeBytes: UInt64(body.count) + 1), .bodyIncomplete),
                (StatedBody(sha256: [UInt8](repeating: 0, count: 32)), .bodyMismatch(.sha256)),
                (StatedBody(md5: [UInt8](repeating: 0, count: 16)), .bodyMismatch(.md5)),
                (StatedBody(crc32: [0, 0, 0, 0]), .bodyMismatch(.crc32)),
                (StatedBody(crc32c: [0, 0, 0, 0]), .bodyMismatch(.crc32c)),
            ]
            for (stated, fault) in wrong {
                await #expect(throws: fault) { _ = try await world.put("k", body, stated) }
            }
            #expect(world.cluster.commits.isEmpty)
            let right = StatedBody(
                sizeBytes: UInt64(body.count), sha256: SHA256.hash(body), md5: MD5.hash(body),
                crc32c: crc)
            let stored = try await world.put("k", body, right)
            #expect(stored.checksums == [ObjectChecksum(algorithm: .crc32c, value: crc)])
        }
    }

    @Test func `a body without a stated length is stopped where it grows too large`() throws {
        var settings = AccessWorld.small
        settings.largestBodyBytes = 200_000
        let world = try AccessWorld(settings)
        world.run {
            await #expect(throws: AccessFault.bodyTooLarge(limitBytes: 200_000)) {
                _ = try await world.put(
                    "k", FaultySource(someBytes(900_000), fault: .malformed("read too far")))
            }
            _ = try await world.put("k", someBytes(200_000))
        }
    }

    @Test func `under pressure chunks end early, at the boundary of a frame`() throws {
        var settings = ObjectAccessSettings()
        settings.intakeBudgetBytes = 3 << 20
        let world = try AccessWorld(settings)
        let body = someBytes(2_500_000)
        world.run {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<3 {
                    group.addTask { _ = try await world.put("k\(number)", body) }
                }
                try await group.waitForAll()
            }
            for number in 0..<3 {
                let isSame = try await world.get("k\(number)") == body
                #expect(isSame)
            }
            var mostChunks = 0
            for commit in world.cluster.commits {
                guard case .chunks(let chunks) = commit.content.manifest else { continue }
                mostChunks = max(mostChunks, chunks.count)
                #expect(chunks.dropLast().allSatisfy { $0.plainLength % 65_536 == 0 })
            }
            #expect(mostChunks > 1, "a body of less than a chunk was cut")
        }
    }

    @Test func `a commit whose answer is lost is told as unknown`() throws {
        let world = try AccessWorld()
        world.cluster.losesAnswersOfCommits = true
        world.run {
            do {
                _ = try await world.put("k", someBytes(10))
                Issue.record("it was said to be stored")
            } catch AccessFault.outcomeUnknown {}
        }
    }
}
