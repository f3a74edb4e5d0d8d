import ChunkProtocol
import Cryptography
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing

struct BlockCacheTests {
    private let key = BlockCache.Key(chunk: ChunkName(incarnation: 1, counter: 2), block: 0)

    private func cache() -> BlockCache {
        BlockCache(capacityBytes: 1 << 20, counters: ObjectAccessCounters(MetricsRegistry()))
    }

    @Test func `many who wait for a block that cannot be read hear so together`() {
        let simulator = Simulator(seed: 1)
        let cache = self.cache()
        let key = self.key
        let seen = Mutex((fetches: 0, faults: 0))
        for number in 0..<50 {
            simulator.spawn("\(number)") {
                do throws(AccessFault) {
                    _ = try await cache.block(key) { () async throws(AccessFault) -> [UInt8] in
                        seen.withLock { $0.fetches += 1 }
                        do { try await simulator.loop.sleep(for: .seconds(10)) } catch {}
                        throw .unreadable("no copy")
                    }
                } catch { seen.withLock { $0.faults += 1 } }
            }
        }
        #expect(simulator.run(for: .seconds(11)).ending == .finished)
        seen.withLock { #expect($0.fetches == 1 && $0.faults == 50) }
    }

    @Test func `who waits for a fetch that is given up fetches itself`() {
        let simulator = Simulator(seed: 2)
        let cache = self.cache()
        let key = self.key
        let read = Mutex<[UInt8]>([])
        simulator.spawn("story") {
            let first = simulator.loop.spawn {
                do throws(AccessFault) {
                    _ = try await cache.block(key) { () async throws(AccessFault) -> [UInt8] in
                        do { try await simulator.loop.sleep(for: .seconds(10)) } catch {}
                        throw .unavailable("given up")
                    }
                    Issue.record("a fetch that failed gave a block")
                } catch { #expect(error == .unavailable("given up")) }
            }
            do { try await simulator.loop.sleep(for: .seconds(1)) } catch {}
            simulator.spawn("second") {
                do throws(AccessFault) {
                    let block = try await cache.block(key) {
                        () async throws(AccessFault) -> [UInt8] in [7]
                    }
                    read.withLock { $0 = block }
                } catch { Issue.record(error) }
            }
            do { try await simulator.loop.sleep(for: .seconds(1)) } catch {}
            first.cancel()
        }
        #expect(simulator.run(for: .seconds(5)).ending == .finished)
        #expect(read.withLock { $0 } == [7])
    }
}

struct SealedChunkTests {
    private let name = ChunkName(incarnation: 3, counter: 4)

    private func key(_ byte: UInt8 = 1) throws -> SymmetricKey {
        try #require(SymmetricKey(bytes: [UInt8](repeating: byte, count: 32)))
    }

    @Test(
        arguments: [1, 65_535, 65_536, 65_537, 131_072, 200_000],
        [(Bodies.random, false, true), (Bodies.text, true, true), (Bodies.text, false, false)])
    func `every run of frames opens to the bytes it was sealed from`(
        count: Int, form: (body: @Sendable (Int) -> [UInt8], isShorter: Bool, isCompressing: Bool)
    ) throws {
        let plain = form.body(count)
        let chunk = SealedChunk(
            plain, name: self.name, bucketKey: try self.key(), isCompressing: form.isCompressing)
        let layout = try #require(SealedLayout(plainBytes: count))
        #expect(chunk.savedBytes == layout.mostSealedBytes - chunk.joined.count)
        #expect((chunk.savedBytes > count / 2) == (form.isShorter && count > 1))
        for first in 0..<layout.frameCount {
            for end in first + 1...layout.frameCount {
                let opened = try SealedChunk.open(
                    Array(chunk.joined[chunk.frames.sealedRange(ofFrames: first..<end)]),
                    lengths: chunk.frames[first..<end].map(\.sealedBytes), frames: first..<end,
                    of: layout, name: self.name, bucketKey: try self.key())
                let range = first * 65_536..<min(end * 65_536, count)
                let isSame = opened == Array(plain[range])
                #expect(isSame)
            }
        }
    }

    @Test(arguments: [Bodies.random, Bodies.json])
    func `a changed, moved or cut frame, another name and another key are refused`(
        body: @Sendable (Int) -> [UInt8]
    ) throws {
        let chunk = SealedChunk(body(200_000), name: self.name, bucketKey: try self.key())
        let layout = try #require(SealedLayout(plainBytes: 200_000))
        for frame in 0..<layout.frameCount {
            let range = chunk.frames.sealedRange(ofFrames: frame..<frame + 1)
            for position in [range.lowerBound, range.upperBound - 1] {
                var sealed = chunk.joined
                sealed[position] ^= 0x80
                #expect(throws: ChunkFault.notAuthentic(self.name, frame: frame)) {
                    _ = try SealedChunk.open(
                        sealed, lengths: chunk.frames.map(\.sealedBytes),
                        frames: 0..<layout.frameCount, of: layout, name: self.name,
                        bucketKey: try self.key())
                }
            }
        }
        let first = Array(chunk.joined[chunk.frames.sealedRange(ofFrames: 0..<1)])
        let other = ChunkName(incarnation: 3, counter: 5)
        for (frames, name, key) in [
            (1..<2, self.name, try self.key()), (0..<1, other, try self.key()),
            (0..<1, self.name, try self.key(2)), (0..<2, self.name, try self.key()),
        ] {
            #expect(throws: ChunkFault.notAuthentic(name, frame: frames.lowerBound)) {
                _ = try SealedChunk.open(
                    first, lengths: chunk.frames[frames].map(\.sealedBytes), frames: frames,
                    of: layout, name: name, bucketKey: key)
            }
        }
    }
}

extension SealedChunk {
    fileprivate var joined: [UInt8] { Array(self.sealed.joined()) }

    /// Opens a run of frames as a reader does; the first frame's fault when one does not hold.
    fileprivate static func open(
        _ sealed: [UInt8], lengths: [UInt32], frames: Range<Int>, of layout: SealedLayout,
        name: ChunkName, bucketKey: SymmetricKey
    ) throws(ChunkFault) -> [UInt8] {
        var assembly = FrameAssembly(frames, of: layout, name: name, bucketKey: bucketKey)
        let bad = assembly.take(frames, lengths: lengths.map { Int($0) }, body: [sealed])
        if let first = bad.first { throw first.fault }
        return assembly.finish()
    }
}
