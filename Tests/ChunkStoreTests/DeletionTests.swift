import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// What is deleted stays deleted, and gives its room back.
struct DeletionTests {
    private static let chunks = (1...8).map { TestChunk($0, plainBytes: 9000) }

    @Test func `a deleted chunk is missing at once, after a restart and in a new index`() throws {
        let machine = StoreMachine()
        let doomed = [Self.chunks[1], Self.chunks[4]]
        machine.run { store in
            for chunk in Self.chunks { #expect(await store.put(chunk) == .stored) }
            try await store.delete(doomed.map(\.name) + [ChunkName(incarnation: 9, counter: 9)])
            #expect(store.counters.chunksDeleted.value == 2)
            await Self.check(store, without: doomed)
            try await store.delete(doomed.map(\.name))
            #expect(store.counters.chunksDeleted.value == 2, "nothing is left to delete")
            let rotten = await store.check(Self.chunks[1].name)
            #expect(rotten == .missing)
        }
        machine.run { await Self.check($0, without: doomed) }
        try machine.loseIndex()
        machine.run { store in
            #expect(store.counters.indexRebuilds.value == 1)
            await Self.check(store, without: doomed)
        }
    }

    private static func check(_ store: ChunkStore, without gone: [TestChunk]) async {
        let names = Set(gone.map(\.name))
        for chunk in Self.chunks {
            if names.contains(chunk.name) {
                #expect(await store.read(chunk).0 == .missing)
            } else {
                #expect(await store.holds(chunk))
            }
        }
        let status = await store.status()
        #expect(status.chunks == UInt64(Self.chunks.count - names.count))
    }

    @Test func `the room of deleted chunks comes back, and no other byte changes`() {
        let machine = StoreMachine()
        machine.run { store in
            for chunk in Self.chunks { #expect(await store.put(chunk) == .stored) }
            await store.upkeepFinished()
            let before = machine.node.disk.usedBytes
            try await store.delete(Self.chunks.prefix(6).map(\.name))
            await store.upkeepFinished()
            #expect(store.counters.bytesGivenBack.value == 6 * 12_288)
            // The rows of the index and the tombstone take a little.
            #expect(machine.node.disk.usedBytes + 60_000 < before)
            let usage = try #require(try await store.usages().first)
            #expect(usage.liveBytes == 2 * 12_288)
            #expect(usage.deadBytes == 0)
            #expect(usage.tombstones == 1)
            for chunk in Self.chunks.dropFirst(6) { #expect(await store.holds(chunk)) }
        }
    }

    @Test func `a delete is durable when it returns, and shares its sync with puts`() {
        let machine = StoreMachine()
        machine.node.disk.conditions.syncTime = .seconds(2)...(.seconds(2))
        machine.run { store in
            _ = await store.putTogether(Self.chunks)
            let begun = machine.node.environment.now
            let syncs = store.counters.syncs.value
            await withTaskGroup(of: Void.self) { group in
                group.addTask { _ = await store.put(TestChunk(50)) }
                for chunk in Self.chunks.prefix(4) {
                    group.addTask {
                        do { try await store.delete([chunk.name]) } catch {
                            Issue.record(error)
                        }
                        #expect(machine.node.environment.now - begun >= .seconds(2))
                    }
                }
            }
            #expect(store.counters.syncs.value - syncs <= 2)
        }
    }

    @Test func `a chunk stored again behind its tombstone stays, through every restart`() throws {
        let machine = StoreMachine()
        let chunk = Self.chunks[0]
        machine.run { store in
            #expect(await store.put(chunk) == .stored)
            try await store.delete([chunk.name])
            #expect(await store.put(chunk) == .stored)
            await store.upkeepFinished()
            #expect(await store.holds(chunk))
        }
        try machine.loseIndex()
        machine.run { store in #expect(await store.holds(chunk)) }
    }

    @Test func `an inventory shows every chunk once, in the order of names, page by page`() {
        let machine = StoreMachine()
        machine.run { store in
            for chunk in Self.chunks.reversed() { #expect(await store.put(chunk) == .stored) }
            try await store.delete([Self.chunks[2].name])
            var rows: [InventoryRow] = []
            while true {
                let page = try await store.inventory(after: rows.last?.name, limit: 3)
                rows += page
                if page.count < 3 { break }
            }
            let expected = Self.chunks.filter { $0.name != Self.chunks[2].name }
            #expect(rows.map(\.name) == expected.map(\.name))
            #expect(rows.map(\.slot) == expected.map(\.request.slot))
            #expect(rows.allSatisfy { $0.sealedBytes == 9016 })
            let now = machine.node.environment.wallClock
            #expect(rows.allSatisfy { $0.storedAt <= now && $0.storedAt.milliseconds > 0 })
            let none = try await store.inventory(after: rows.last?.name, limit: 3)
            #expect(none.isEmpty)
        }
    }

    @Test func `a check names the bad frames of a chunk, and all where its header is bad`() {
        let machine = StoreMachine()
        let chunk = TestChunk(1, plainBytes: 3 * 65_536)
        machine.run { store in
            #expect(await store.put(chunk) == .stored)
            let sound = await store.check(chunk.name)
            #expect(sound == .sound(sealedBytes: UInt32(chunk.sealed.count)))
            machine.node.disk.flipBits(1, in: machine.segments[0], at: 100_000)
            #expect(await store.check(chunk.name) == .bad(frames: [1]))
            machine.node.disk.flipBits(1, in: machine.segments[0], at: 9)
            #expect(await store.check(chunk.name) == .bad(frames: [0, 1, 2]))
            #expect(await store.check(TestChunk(2).name) == .missing)
        }
    }

    @Test
    func `on a disk without any room chunks are deleted, and stored again in what that frees`() {
        let machine = StoreMachine(
            capacityBytes: 2 << 20, segmentBytes: 512 << 10, reserveBytes: 128 << 10)
        let many = (1...200).map { TestChunk($0, plainBytes: 15_000) }
        machine.run { store in
            await store.upkeepFinished()
            var stored: [TestChunk] = []
            for chunk in many where await store.put(chunk) == .stored { stored.append(chunk) }
            #expect(stored.count < many.count)
            await store.close()
            // Somebody else takes the reserve, to the last page.
            let disk = machine.node.disk
            disk.capacityBytes = disk.usedBytes
            let again = try await machine.open()
            #expect(await again.put(TestChunk(900)) == .full)
            try await again.delete(stored.prefix(stored.count / 2).map(\.name))
            await again.upkeepFinished()
            #expect(disk.freeBytes > 256 << 10)
            #expect(await again.put(TestChunk(900)) == .stored)
            await again.close()
        }
        machine.run { store in
            #expect(await store.holds(TestChunk(900)))
            #expect(await store.read(many[0]).0 == .missing)
        }
    }
}
