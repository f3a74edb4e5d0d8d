import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Sparse segments are emptied, and nothing that was promised is lost or comes back on the way.
struct UpkeepTests {
    /// What was asked for, and what was answered.
    private struct Model: Sendable {
        let stored = Notes<TestChunk>()
        let doomed = Notes<TestChunk>()
        let deleted = Notes<TestChunk>()
    }

    private static let chunks = (1...14).map { TestChunk($0, plainBytes: 2000 + Int($0) * 300) }

    private func machine(seed: UInt64) -> StoreMachine {
        StoreMachine(seed: seed, segmentBytes: 24 << 10)
    }

    /// Three segments are filled, holes punched in them, the sparse ones emptied, twice.
    private func work(_ machine: StoreMachine, _ model: Model, _ emptied: Notes<UInt64> = Notes()) {
        machine.run { store in
            await Self.put(Self.chunks[..<8], store, model)
            try await Self.delete(Self.chunks[1..<4], store, model)
            await store.upkeepFinished()
            await Self.put(Self.chunks[8...], store, model)
            // The tombstones' own segments, and what was moved, become sparse as well.
            try await Self.delete(Self.chunks[5..<8], store, model)
            try await Self.delete(Self.chunks[9..<12], store, model)
            await store.upkeepFinished()
            emptied.add(store.counters.segmentsEmptied.value)
        }
    }

    private static func put(
        _ chunks: ArraySlice<TestChunk>, _ store: ChunkStore, _ model: Model
    ) async {
        await withTaskGroup(of: Void.self) { group in
            for chunk in chunks {
                group.addTask { if await store.put(chunk) == .stored { model.stored.add(chunk) } }
            }
        }
    }

    private static func delete(
        _ chunks: ArraySlice<TestChunk>, _ store: ChunkStore, _ model: Model
    ) async throws {
        for chunk in chunks { model.doomed.add(chunk) }
        try await store.delete(chunks.map(\.name))
        for chunk in chunks { model.deleted.add(chunk) }
    }

    @Test func `what the cache has wrong is moved as the device has it`() throws {
        let machine = self.machine(seed: 1)
        let live = TestChunk(1, plainBytes: 4000)
        machine.run { store in
            #expect(await store.put(live) == .stored)
            for number in 2...12 {
                _ = await store.put(TestChunk(UInt64(number), plainBytes: 4000))
            }
        }
        let first = machine.segments[0]
        #expect(machine.node.disk.flipCachedBits(1, in: first, at: 200))
        machine.run { store in
            try await store.delete((2...12).map { TestChunk(UInt64($0)).name })
            await store.upkeepFinished()
            #expect(!machine.segments.contains(first), "its segment is gone")
            let (answer, bytes) = await store.read(live)
            #expect(answer == live.found())
            let isSame = bytes == live.sealed
            #expect(isSame)
        }
    }

    @Test func `emptied segments go, and what was live in them is read elsewhere`() throws {
        let machine = self.machine(seed: 1)
        let emptied = Notes<UInt64>()
        let model = Model()
        self.work(machine, model, emptied)
        #expect((emptied.all.first ?? 0) >= 2, "segments are emptied")
        machine.run { store in
            await Self.check(store, model, "at the end")
            await store.upkeepFinished()
            for usage in try await store.usages() {
                #expect(usage.deadBytes == 0, "no remains are left behind")
                #expect(!usage.isLeaving)
            }
            #expect(machine.segments.count <= 4)
        }
    }

    @Test(
        arguments: [SimulatedDeath.powerCut, .killed], [false, true])
    func `a death at any operation of the disk loses nothing and brings nothing back`(
        death: SimulatedDeath, isIndexLost: Bool
    ) throws {
        let sound = self.machine(seed: 1)
        self.work(sound, Model())
        let operations = sound.node.disk.operationCount
        #expect(operations > 100)
        // A lost index makes every death a rebuild: some of them will do.
        for count in stride(from: 0, through: operations, by: isIndexLost ? 7 : 1) {
            let machine = self.machine(seed: UInt64(count))
            let model = Model()
            machine.node.die(death, afterDiskOperations: count)
            self.work(machine, model)
            if isIndexLost {
                machine.node.disk.crashPoint = nil
                if !machine.node.isRunning { machine.node.restart() }
                try machine.loseIndex()
            }
            machine.run { store in
                await Self.check(store, model, "after \(count) operations")
                // The work goes on, and ends as it would have.
                for chunk in Self.chunks
                where !model.doomed.all.contains(where: {
                    $0.name == chunk.name
                }) { #expect(await store.put(chunk) == .stored) }
                try await store.delete(model.doomed.all.map(\.name))
                for chunk in model.doomed.all { model.deleted.add(chunk) }
                await store.upkeepFinished()
                await Self.check(store, model, "went on after \(count) operations")
            }
            guard isIndexLost || count % 4 == 0 else {
                machine.simulator.discard()
                continue
            }
            machine.node.powerCut()
            machine.node.restart()
            if isIndexLost { try machine.loseIndex() }
            machine.run { store in
                await Self.check(store, model, "a power cut later than \(count) operations")
            }
            machine.simulator.discard()
        }
    }

    /// Holds a store to what was answered: stored chunks are there, deleted ones are not; what was
    /// under way may be either, but never something else.
    private static func check(_ store: ChunkStore, _ model: Model, _ comment: String) async {
        let stored = Set(model.stored.all.map(\.name))
        let doomed = Set(model.doomed.all.map(\.name))
        let deleted = Set(model.deleted.all.map(\.name))
        var found: UInt64 = 0
        for chunk in Self.chunks {
            let (answer, bytes) = await store.read(chunk)
            if answer != .missing { found += 1 }
            if deleted.contains(chunk.name) {
                #expect(answer == .missing, "\(comment): \(chunk.name) is back")
            } else if stored.contains(chunk.name), !doomed.contains(chunk.name) {
                let isSame = answer == chunk.found() && bytes == chunk.sealed
                #expect(isSame, "\(comment): \(chunk.name) is lost")
            }
        }
        let status = await store.status()
        #expect(status.chunks == found, "\(comment)")
    }
}

extension UpkeepTests {
    /// A segment of which little is live is being copied, slowly. Meanwhile a chunk of another
    /// segment is deleted, and the segment with its tombstone ends and is emptied in its turn, while
    /// the chunk's record still stands.
    private func race(_ machine: StoreMachine, _ events: Notes<Race>) {
        machine.run { store in
            // Live, beside much that is not: the first to be emptied, and slow.
            for number in 1...4 { _ = await store.put(TestChunk(UInt64(number), plainBytes: 4000)) }
            // Fills a segment of its own together with another.
            let doomed = TestChunk(10, plainBytes: 7000)
            _ = await store.put(TestChunk(11, plainBytes: 12_000))
            _ = await store.put(doomed)
            _ = await store.put(TestChunk(12, plainBytes: 20_000))
            try await store.delete((1...3).map { TestChunk($0).name })
            while store.counters.bytesGivenBack.value == 0 {
                try await machine.node.environment.loops[0].sleep(for: .milliseconds(10))
            }
            try await machine.node.environment.loops[0].sleep(for: .milliseconds(500))
            events.add(.deleting)
            // Fills the segment that the live chunk was copied to, so that the tombstone begins one.
            _ = await store.put(TestChunk(14, plainBytes: 20_000))
            try await store.delete([doomed.name])
            events.add(.deleted(segmentsEmptied: store.counters.segmentsEmptied.value))
            _ = await store.put(TestChunk(13, plainBytes: 22_000))
            for _ in 0..<2000 where store.counters.segmentsEmptied.value < 2 {
                try await machine.node.environment.loops[0].sleep(for: .milliseconds(10))
            }
            events.add(.emptied(bytesGivenBack: store.counters.bytesGivenBack.value))
            machine.node.crash()
        }
    }

    private enum Race: Equatable {
        case deleting
        case deleted(segmentsEmptied: UInt64)
        case emptied(bytesGivenBack: UInt64)
    }

    @Test func `a tombstone outlives the record that it makes void`() throws {
        var machine = StoreMachine(segmentBytes: 24 << 10)
        machine.settings.upkeepBytesPerSecond = 2000
        let events = Notes<Race>()
        self.race(machine, events)
        #expect(
            events.all == [
                .deleting, .deleted(segmentsEmptied: 0), .emptied(bytesGivenBack: 3 * 4096),
            ], "the segment of the tombstone has gone, and the chunk's record has not")
        if !machine.node.isRunning { machine.node.restart() }
        try machine.loseIndex()
        machine.run { store in
            #expect(await store.read(TestChunk(10, plainBytes: 7000)).0 == .missing)
            #expect(await store.holds(TestChunk(11, plainBytes: 12_000)))
            #expect(await store.holds(TestChunk(4, plainBytes: 4000)))
        }
    }
}
