import ChunkProtocol
import ChunkStore
import IORuntime
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// What a start finds, whatever ended the process before it.
struct RecoveryTests {
    private static let chunks = (1...10).map { TestChunk($0, plainBytes: 3000 + Int($0) * 1700) }

    private func machine(seed: UInt64) -> StoreMachine {
        StoreMachine(seed: seed, segmentBytes: 64 << 10)
    }

    /// Three alone, the rest together.
    private func work(_ machine: StoreMachine, _ stored: Notes<TestChunk>) {
        machine.run { store in
            for chunk in Self.chunks.prefix(3) where await store.put(chunk) == .stored {
                stored.add(chunk)
            }
            await withTaskGroup(of: Void.self) { group in
                for chunk in Self.chunks.dropFirst(3) {
                    group.addTask { if await store.put(chunk) == .stored { stored.add(chunk) } }
                }
            }
        }
    }

    @Test(arguments: [SimulatedDeath.powerCut, .killed])
    func `whatever was acknowledged is there after a death at any operation of the disk`(
        death: SimulatedDeath
    ) {
        let sound = self.machine(seed: 1)
        self.work(sound, Notes())
        let operations = sound.node.disk.operationCount
        #expect(operations > 40)
        var partial = 0
        for count in 0...operations {
            let machine = self.machine(seed: UInt64(count))
            let stored = Notes<TestChunk>()
            machine.node.die(death, afterDiskOperations: count)
            self.work(machine, stored)
            let acknowledged = Set(stored.all.map(\.name))
            if !acknowledged.isEmpty, acknowledged.count < Self.chunks.count { partial += 1 }
            machine.run { store in
                await Self.check(store, acknowledged, "after \(count) operations")
                // A retry is told the truth as well: what it hears is durable.
                for chunk in Self.chunks { #expect(await store.put(chunk) == .stored) }
            }
            machine.node.powerCut()
            machine.run { store in
                await Self.check(store, Set(Self.chunks.map(\.name)), "retried after \(count)")
            }
            machine.simulator.discard()
        }
        #expect(partial > 10, "deaths must strike in the middle")
    }

    private static func check(
        _ store: ChunkStore, _ acknowledged: Set<ChunkName>, _ comment: String
    ) async {
        var found: UInt64 = 0
        var sealedBytes: UInt64 = 0
        for chunk in Self.chunks {
            let (answer, bytes) = await store.read(chunk)
            if case .found(_, let lengths) = answer, lengths.contains(0),
                !acknowledged.contains(chunk.name)
            {
                // Torn before it was durable: known as bad, and its bad frames never served.
                let rest = lengths.indices.filter { lengths[$0] != 0 }
                    .flatMap { chunk.sealed(frames: $0..<$0 + 1) }
                let isRest = bytes == rest
                #expect(isRest, "\(comment)")
                found += 1
                sealedBytes += UInt64(chunk.sealed.count)
            } else if acknowledged.contains(chunk.name) || answer != .missing {
                #expect(answer == chunk.found(), "\(comment)")
                let isSame = bytes == chunk.sealed
                #expect(isSame, "\(comment)")
                found += 1
                sealedBytes += UInt64(chunk.sealed.count)
            }
        }
        let status = await store.status()
        #expect(status.chunks == found, "\(comment)")
        #expect(status.sealedBytes == sealedBytes, "\(comment)")
    }

    /// How often, of forty, a chunk is gone after a power cut whose put was acknowledged by the
    /// process that came after a failed sync.
    private func losses(readingDevice: Bool) -> Int {
        (1...40 as ClosedRange<UInt64>).count { seed in
            let machine = self.machine(seed: seed)
            machine.simulator.allowsTermination = true
            var taking = machine
            taking.settings.mustReadDevice = readingDevice
            let chunk = Self.chunks[4]
            machine.run { store in
                #expect(await store.put(Self.chunks[0]) == .stored)
                machine.node.disk.failingSync = 0
                _ = await store.put(chunk)
            }
            #expect(machine.node.terminations.count == 1)
            taking.run { store in #expect(await store.put(chunk) == .stored) }
            machine.node.powerCut()
            let isThere = Notes<Bool>()
            machine.run { store in
                #expect(await store.holds(Self.chunks[0]))
                let (answer, bytes) = await store.read(chunk)
                isThere.add(answer == chunk.found() && bytes == chunk.sealed)
            }
            machine.simulator.discard()
            return isThere.all != [true]
        }
    }

    @Test func `after a failed sync only what the device gives back is called stored`() {
        #expect(self.losses(readingDevice: true) == 0)
    }

    @Test func `a lost index is made anew from the segments`() throws {
        let machine = self.machine(seed: 1)
        self.work(machine, Notes())
        try machine.loseIndex()
        machine.run { store in
            #expect(store.counters.indexRebuilds.value == 1)
            #expect(store.counters.recordsRecovered.value == 10)
            await Self.check(store, Set(Self.chunks.map(\.name)), "rebuilt")
            #expect(await store.put(TestChunk(99)) == .stored)
        }
        machine.run { store in
            #expect(store.counters.indexRebuilds.value == 0)
            #expect(store.counters.recordsRecovered.value == 0)
            #expect(await store.holds(TestChunk(99)))
        }
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Where the bit lies in the record of the second chunk; nil for none.
        let flippedByte: UInt64?
        let recovered: UInt64
        let torn: UInt64
        /// A chunk whose header holds does not vanish: it is known, and its bad frame refused.
        var held: UInt64 { self.recovered + self.torn }
    }

    @Test(arguments: [
        Damage(testDescription: "none", flippedByte: nil, recovered: 3, torn: 0),
        Damage(testDescription: "magic", flippedByte: 0, recovered: 2, torn: 0),
        Damage(testDescription: "name", flippedByte: 9, recovered: 2, torn: 0),
        Damage(testDescription: "checksum", flippedByte: 58, recovered: 2, torn: 0),
        Damage(testDescription: "first frame", flippedByte: 61, recovered: 2, torn: 1),
        Damage(testDescription: "last frame", flippedByte: 70_000, recovered: 2, torn: 1),
        Damage(testDescription: "padding", flippedByte: 81_919, recovered: 3, torn: 0),
    ])
    func
        `the scan takes whole records, knows bad ones, and goes on at the next boundary after others`(
            damage: Damage
        ) throws
    {
        let machine = StoreMachine()
        let chunks = (1...3).map { TestChunk($0, plainBytes: 80_000) }
        machine.run { store in
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
        }
        let recordBytes: UInt64 = 81_920
        if let byte = damage.flippedByte {
            machine.node.disk.flipBits(1, in: machine.segments[0], at: recordBytes + byte)
        }
        try machine.loseIndex()
        machine.run { store in
            #expect(store.counters.recordsRecovered.value == damage.recovered)
            #expect(store.counters.recordsTorn.value == damage.torn)
            #expect(await store.holds(chunks[0]))
            #expect(await store.holds(chunks[1]) == (damage.recovered == 3))
            #expect(await store.holds(chunks[2]))
            #expect(await store.status().chunks == damage.held)
        }
    }

    @Test func `records behind the index are entered, and a tombstone takes its chunk away`() throws
    {
        let machine = StoreMachine()
        machine.run { store in
            for number in 1...2 { #expect(await store.put(TestChunk(UInt64(number))) == .stored) }
        }
        // A dead process had come so far, and its index not.
        let late = TestChunk(3)
        let file = try machine.files.open(machine.segments[0], .update)
        let record = SegmentFormat.Record(
            chunk: late.name, slot: late.request.slot,
            storedAt: Timestamp(milliseconds: 5), frames: late.request.frames)
        try file.write(
            SegmentFormat.header(of: record, segment: 1, offset: 8192) + late.sealed, at: 8192)
        let tombstones = SegmentFormat.Tombstones(
            deletedAt: Timestamp(milliseconds: 6),
            chunks: [
                .init(name: TestChunk(1).name, slot: TestChunk(1).request.slot),
                .init(name: ChunkName(incarnation: 9, counter: 9), slot: Slot(rawValue: 1)),
            ])
        try file.write(
            SegmentFormat.record(of: tombstones, segment: 1, offset: 12_288), at: 12_288)
        file.close()
        machine.run { store in
            #expect(store.counters.recordsRecovered.value == 1)
            #expect(await store.read(TestChunk(1)).0 == .missing)
            #expect(await store.holds(TestChunk(2)))
            #expect(await store.holds(late))
            let status = await store.status()
            #expect(status.chunks == 2)
            #expect(status.sealedBytes == 2032)
        }
    }

    @Test(arguments: ["lost", "cut short"])
    func `an index that speaks of records nobody has is made anew`(what: String) throws {
        let machine = StoreMachine()
        let chunks = (1...4).map { TestChunk($0) }
        machine.run { store in
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
        }
        let path = machine.segments[0]
        if what == "lost" {
            try machine.files.remove(path)
        } else {
            let file = try machine.files.open(path, .update)
            try file.truncate(to: 8192)
            file.close()
        }
        let left = what == "lost" ? 0 : 2
        machine.run { store in
            #expect(await store.status().chunks == UInt64(left))
            for (position, chunk) in chunks.enumerated() {
                #expect(await store.holds(chunk) == (position < left))
            }
            for chunk in chunks { #expect(await store.put(chunk) == .stored) }
        }
        #expect(!machine.segments.contains(path) || what != "lost", "a number is not used again")
        machine.node.powerCut()
        machine.run { store in
            for chunk in chunks { #expect(await store.holds(chunk)) }
            #expect(await store.status().chunks == 4)
        }
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `a store agrees with a map through restarts, kills and power cuts`(seed: UInt64) {
        let machine = self.machine(seed: seed)
        var generator = SeededGenerator(seed: seed)
        let stored = Notes<TestChunk>()
        for _ in 0..<8 {
            let first = UInt64(generator.below(30))
            let chunks = (0..<6).map {
                TestChunk((first + $0) % 30, plainBytes: 100 + Int((first + $0) % 30) * 4001)
            }
            machine.run { store in
                for chunk in stored.all { #expect(await store.holds(chunk)) }
                let names = Set(stored.all.map(\.name))
                #expect(await store.status().chunks == UInt64(names.count))
                for (chunk, answer) in zip(chunks, await store.putTogether(chunks)) {
                    #expect(answer == .stored)
                    stored.add(chunk)
                }
            }
            switch generator.below(3) {
            case 0: machine.node.crash()
            case 1: machine.node.powerCut()
            default: break
            }
        }
        machine.simulator.discard()
    }
}
