import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Segments, and what a disk without room does to them.
struct DiskSpaceTests {
    @Test func `a full segment is ended at its true size and the next is begun`() throws {
        let machine = StoreMachine(segmentBytes: 64 << 10)
        let chunks = (1...12).map { TestChunk($0, plainBytes: 15_000) }
        machine.run { store in
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
            #expect(await store.status().segments == 3)
            for chunk in chunks { #expect(await store.holds(chunk)) }
        }
        for path in machine.segments.dropLast() {
            #expect(try machine.files.status(path)?.sizeBytes == 64 << 10)
        }
    }

    @Test(arguments: [false, true])
    func `what a segment had reserved is given back when it is closed, or at the next start`(
        isKilled: Bool
    ) {
        let machine = StoreMachine()
        machine.run { store in
            #expect(await store.put(TestChunk(1)) == .stored)
            #expect(machine.node.disk.usedBytes >= 1 << 20)
            if isKilled { machine.node.crash() }
        }
        if !isKilled { #expect(machine.node.disk.usedBytes < 64 << 10) }
        machine.run { _ in #expect(machine.node.disk.usedBytes < 64 << 10) }
        machine.run { store in #expect(await store.holds(TestChunk(1))) }
    }

    @Test func `without room beside the reserve chunks are refused, until there is`() {
        let machine = StoreMachine(
            capacityBytes: 200 << 10, segmentBytes: 64 << 10, reserveBytes: 64 << 10)
        let chunks = (1...12).map { TestChunk($0, plainBytes: 15_000) }
        machine.run { store in
            var answers: [PutChunkAnswer] = []
            for chunk in chunks { answers.append(await store.put(chunk)) }
            let stored = answers.count { $0 == .stored }
            #expect((4...8).contains(stored), "what fits beside the reserve: \(answers)")
            #expect(answers.dropFirst(stored).allSatisfy { $0 == .full })
            #expect(store.counters.refusedFull.value == UInt64(12 - stored))
            #expect(machine.node.disk.freeBytes >= 64 << 10, "the reserve is left alone")
            #expect(machine.segments.count == (stored + 3) / 4, "a refusal leaves no file behind")
            for chunk in chunks.prefix(stored) {
                #expect(await store.holds(chunk))
                #expect(await store.put(chunk) == .stored, "what is there needs no room")
            }
            machine.node.disk.capacityBytes = 1 << 20
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
        }
        machine.run { store in
            for chunk in chunks { #expect(await store.holds(chunk)) }
            #expect(await store.status().chunks == 12)
        }
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `a chunk of a group stays when there is no room for the segment behind it`(seed: UInt64) {
        let machine = StoreMachine(
            seed: seed, capacityBytes: 80 << 10, segmentBytes: 64 << 10)
        let chunks = (1...6).map { TestChunk($0, plainBytes: 15_000) }
        let stored = Notes<TestChunk>()
        machine.run { store in
            let answers = await store.putTogether(chunks)
            #expect(answers.count { $0 == .stored } == 4)
            #expect(answers.count { $0 == .full } == 2)
            for (chunk, answer) in zip(chunks, answers) where answer == .stored {
                #expect(await store.holds(chunk))
                stored.add(chunk)
            }
            #expect(await store.status().chunks == 4)
        }
        machine.node.powerCut()
        machine.run { store in
            for chunk in stored.all { #expect(await store.holds(chunk)) }
        }
    }

    @Test func `a disk that somebody else filled refuses chunks and goes on serving them`() {
        let machine = StoreMachine()
        machine.run { store in
            #expect(await store.put(TestChunk(1)) == .stored)
            machine.node.disk.capacityBytes = 0
            #expect(await store.put(TestChunk(2)) == .full)
            #expect(await store.holds(TestChunk(1)))
            #expect(await store.read(TestChunk(2)).0 == .missing)
            #expect(await store.status().chunks == 1)
            machine.node.disk.capacityBytes = 64 << 20
            #expect(await store.put(TestChunk(2)) == .stored)
            #expect(await store.holds(TestChunk(2)))
        }
        #expect(machine.node.terminations == [])
    }
}
