import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

struct ChunkStoreTests {
    @Test func `a chunk reads back, whole and in ranges of frames`() {
        let machine = StoreMachine()
        machine.run { store in
            let chunk = TestChunk(1, plainBytes: 5 * 65_536 + 17)
            #expect(await store.put(chunk) == .stored)
            #expect(await store.holds(chunk))
            for frames in [0..<1, 2..<4, 5..<6, 0..<6] {
                let request = ReadChunkRequest(name: chunk.name, frames: frames)
                let (answer, bytes) = await store.read(request)
                #expect(answer == chunk.found(frames: frames))
                let isSame = bytes == chunk.sealed(frames: frames)
                #expect(isSame, "frames \(frames)")
            }
            let (beyond, none) = await store.read(
                ReadChunkRequest(name: chunk.name, frames: 5..<7))
            #expect(beyond == .device("the chunk has 6 frames"))
            #expect(none.isEmpty)
            #expect(await store.read(TestChunk(2)).0 == .missing)
        }
    }

    @Test func `frames of any length read back, alone and together`() {
        let machine = StoreMachine()
        let chunk = TestChunk(1, frameLengths: [65_552, 17, 4096, 65_551, 300])
        machine.run { store in
            #expect(await store.put(chunk) == .stored)
            for frames in [0..<1, 1..<2, 1..<4, 4..<5, 0..<5, 2..<2] {
                let read = await store.read(ReadChunkRequest(name: chunk.name, frames: frames))
                let isSame = read == (chunk.found(frames: frames), chunk.sealed(frames: frames))
                #expect(isSame, "frames \(frames)")
            }
            machine.node.disk.flipBits(1, in: machine.segments[0], at: 84 + 65_552 + 3)
            let isRest =
                await store.read(chunk)
                == (
                    chunk.found(bad: [1]),
                    chunk.sealed(frames: 0..<1) + chunk.sealed(frames: 2..<5)
                )
            #expect(isRest)
        }
    }

    @Test func `other bytes under a name that is taken are refused, and harm nothing`() {
        let machine = StoreMachine()
        machine.run { store in
            let chunk = TestChunk(1, plainBytes: 5000)
            let other = TestChunk(2, plainBytes: 5000)
            #expect(await store.put(chunk) == .stored)
            #expect(await store.put(chunk) == .stored)
            let impostor = PutChunkRequest(
                name: chunk.name, slot: chunk.request.slot, frames: other.request.frames)
            let answer = await store.put(impostor, other.body)
            guard case .device(let reason) = answer else {
                Issue.record("the other bytes were answered with \(answer)")
                return
            }
            #expect(reason.contains("with other bytes"))
            #expect(await store.holds(chunk))
        }
    }

    @Test func `chunks that arrive during a sync share the next one`() {
        let machine = StoreMachine()
        machine.run { store in
            let chunks = (1...20).map { TestChunk($0, plainBytes: 5000) }
            let answers = await store.putTogether(chunks)
            #expect(answers == [PutChunkAnswer](repeating: .stored, count: 20))
            #expect(store.counters.syncs.value <= 3)
            for chunk in chunks { #expect(await store.holds(chunk)) }
        }
    }

    @Test func `stored is said only when the sync is over`() {
        let machine = StoreMachine()
        machine.node.disk.conditions.syncTime = .seconds(2)...(.seconds(2))
        machine.run { store in
            let begun = machine.node.environment.now
            #expect(await store.put(TestChunk(1)) == .stored)
            #expect(machine.node.environment.now - begun >= .seconds(2))
        }
    }

    @Test func `a failed sync ends the process and acknowledges nothing`() {
        let machine = StoreMachine()
        machine.simulator.allowsTermination = true
        let answers = Notes<PutChunkAnswer>()
        machine.run { store in
            #expect(await store.put(TestChunk(1)) == .stored)
            machine.node.disk.failingSync = 0
            answers.add(await store.put(TestChunk(2)))
        }
        #expect(answers.all == [])
        #expect(machine.node.terminations.map(\.status) == [ChunkStore.diskFailureStatus])
        #expect(ChunkStore.diskFailureStatus == 70)
    }

    @Test func `the same chunk is kept once, whenever it comes again`() {
        let machine = StoreMachine()
        machine.run { store in
            let chunk = TestChunk(1)
            let other = TestChunk(2)
            let together = await store.putTogether([other, chunk, chunk, chunk])
            #expect(together == [.stored, .stored, .stored, .stored])
            #expect(await store.put(chunk) == .stored)
            let status = await store.status()
            #expect(status.chunks == 2)
            #expect(status.sealedBytes == UInt64(chunk.sealed.count + other.sealed.count))
        }
        let size = try? machine.files.status(machine.segments[0])?.sizeBytes
        #expect(size.map { ($0 + 4095) / 4096 } == 2, "two records of one page each")
    }

    @Test func `a chunk whose copy has rotted is written anew when it comes again`() {
        let machine = StoreMachine()
        machine.run { store in
            let chunk = TestChunk(1)
            #expect(await store.put(chunk) == .stored)
            machine.node.disk.flipBits(4, in: machine.segments[0], at: 500)
            #expect(await store.read(chunk).0 == chunk.found(bad: [0]))
            #expect(await store.put(chunk) == .stored)
            #expect(await store.holds(chunk))
            #expect(await store.status().chunks == 1)
        }
        machine.run { store in
            #expect(await store.holds(TestChunk(1)))
            #expect(await store.status().chunks == 1)
        }
    }

    @Test func `bytes that are not as their checksums say are refused with the frame`() {
        let machine = StoreMachine()
        machine.run { store in
            let chunk = TestChunk(1, plainBytes: 3 * 65_536)
            for frame in 0..<3 {
                var sealed = chunk.sealed
                sealed[frame * 65_552 + 9] ^= 1
                let answer = await store.put(chunk.request, [sealed])
                #expect(answer == .checksumMismatch(frame: UInt16(frame)))
            }
            let short = await store.put(chunk.request, [Array(chunk.sealed.dropLast())])
            #expect(short == .checksumMismatch(frame: 2))
            let long = await store.put(chunk.request, [chunk.sealed, [0]])
            #expect(long == .checksumMismatch(frame: 3))
            #expect(await store.read(chunk).0 == .missing)
            #expect(await store.status().chunks == 0)
            #expect(await store.put(chunk) == .stored)
        }
    }

    @Test func `over its budget of memory a store refuses, and takes chunks again once drained`() {
        let machine = StoreMachine(intakeBudgetBytes: 100_000)
        machine.run { store in
            let chunks = (1...10).map { TestChunk($0, plainBytes: 40_000) }
            let answers = await store.putTogether(chunks)
            #expect(answers.count { $0 == .stored } == 2)
            #expect(answers.count { $0 == .overloaded } == 8)
            #expect(store.counters.refusedOverloaded.value == 8)
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
            let large = TestChunk(11, plainBytes: 300_000)
            #expect(await store.put(large) == .stored, "one chunk is taken however large")
        }
    }

    @Test func `a flipped bit is found, and the frame it lies in is named`() throws {
        let machine = StoreMachine()
        let chunk = TestChunk(1, plainBytes: 4 * 65_536)
        machine.run { store in
            #expect(await store.put(chunk) == .stored)
            let path = machine.segments[0]
            let header = UInt64(SegmentFormat.headerBytes(frameCount: 4))
            machine.node.disk.flipBits(1, in: path, at: header + 2 * 65_552 + 70)
            let whole = await store.read(chunk)
            let good = chunk.sealed(frames: 0..<2) + chunk.sealed(frames: 3..<4)
            let isRest = whole == (chunk.found(bad: [2]), good)
            #expect(isRest, "the other frames are served")
            let sound = await store.read(ReadChunkRequest(name: chunk.name, frames: 0..<2))
            let isSame = sound.1 == chunk.sealed(frames: 0..<2)
            #expect(isSame)
            machine.node.disk.flipBits(1, in: path, at: 9)
            let rotten = await store.read(chunk)
            #expect(rotten == (chunk.found(bad: [0, 1, 2, 3]), []), "a rotten header")
            #expect(store.counters.badFrames.value == 5)
        }
    }

    @Test func `a directory in use is refused to a second store, until the first is closed`() {
        let machine = StoreMachine()
        machine.run { store in
            await #expect(throws: ChunkStoreFault.inUse(directory: "/chunks")) {
                _ = try await machine.open()
            }
            await store.close()
            let next = try await machine.open()
            #expect(await next.put(TestChunk(1)) == .stored)
            await next.close()
        }
    }

    @Test func `closing finishes the chunks that wait and refuses new ones`() {
        let machine = StoreMachine()
        let chunks = (1...5).map { TestChunk($0) }
        let answers = Notes<[PutChunkAnswer]>()
        machine.run { store in
            await withTaskGroup(of: Void.self) { group in
                group.addTask { answers.add(await store.putTogether(chunks)) }
                group.addTask {
                    while store.counters.syncs.value == 0 {
                        try? await machine.node.environment.loops[0].sleep(for: .microseconds(10))
                    }
                    await store.close()
                    answers.add([await store.put(TestChunk(6))])
                }
            }
        }
        #expect(answers.all.contains([PutChunkAnswer](repeating: .stored, count: 5)))
        #expect(answers.all.contains([.overloaded]))
        machine.run { store in
            for chunk in chunks { #expect(await store.holds(chunk)) }
        }
    }

    @Test func `the largest chunk and many small ones live side by side`() {
        let machine = StoreMachine(segmentBytes: 4 << 20, intakeBudgetBytes: 64 << 20)
        machine.run { store in
            let small = (1...150).map { TestChunk($0, plainBytes: Int($0) * 7) }
            let large = TestChunk(1000, plainBytes: 16 << 20)
            #expect(await store.putTogether(small + [large]).allSatisfy { $0 == .stored })
            #expect(await store.holds(large))
            for chunk in small { #expect(await store.holds(chunk)) }
            #expect(store.counters.syncs.value <= 8)
        }
    }
}
