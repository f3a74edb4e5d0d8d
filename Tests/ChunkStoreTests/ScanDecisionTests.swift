import ChunkProtocol
import ChunkStore
import IORuntime
import OrderedStorage
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Walks every row of the table that a start decides by, on a disk that is made to fit it.
struct ScanDecisionTests {
    private let chunk = TestChunk(1, plainBytes: 5000)

    @Test func `the table has one row for everything that may stand and be known`() {
        for standing in ScanDecision.Standing.allCases {
            for known in ScanDecision.Known.allCases {
                let rows = ScanDecision.table.count {
                    $0.standing == standing && $0.known == known
                }
                #expect(rows == 1, "\(standing), \(known)")
            }
        }
        #expect(ScanDecision.table.count == 12)
    }

    @Test(arguments: ScanDecision.table)
    func `a start does with each row what the table says`(row: ScanDecision) throws {
        let machine = StoreMachine()
        machine.run { _ in }
        // What the index knows, it has learnt from this record.
        let known: UInt64? =
            switch row.known {
            case .unknown: nil
            case .here, .later: 2
            case .earlier: 1
            }
        if let known {
            try self.write(.wholeRecord, into: known, machine)
            machine.run { store in #expect(await store.holds(self.chunk)) }
        }
        try Self.forgetCoverage(machine)
        let place: UInt64 = row.known == .earlier || row.known == .here ? 2 : 1
        try self.write(row.standing, into: place, machine)
        let chunk = self.chunk
        machine.run { store in
            let void = try await store.usages().reduce(0) { $0 + $1.deadBytes }
            let answer = await store.read(chunk).0
            switch row.action {
            case .enter:
                let isWhole = row.standing == .wholeRecord
                #expect(answer == (isWhole ? chunk.found() : chunk.found(bad: [0])))
                #expect(void == 0)
            case .supersede, .bury:
                #expect(answer == chunk.found())
                #expect(void == 8192)
            case .remove:
                #expect(answer == .missing)
                #expect(void == 8192)
            case .keep:
                switch (row.standing, row.known) {
                case (.tombstone, .unknown): #expect(answer == .missing)
                case (.badRecord, _): #expect(answer == chunk.found(bad: [0]))
                case (.tombstone, _), (.wholeRecord, _): #expect(answer == chunk.found())
                }
                #expect(void == 0)
            }
        }
    }

    private func write(
        _ standing: ScanDecision.Standing, into segment: UInt64, _ machine: StoreMachine
    ) throws {
        let path = "/chunks/segments/000000000000000\(segment).segment"
        let file = try machine.files.open(path, .openOrCreate)
        switch standing {
        case .tombstone:
            let tombstones = SegmentFormat.Tombstones(
                deletedAt: Timestamp(milliseconds: 1),
                chunks: [.init(name: self.chunk.name, slot: self.chunk.request.slot)])
            try file.write(
                SegmentFormat.record(of: tombstones, segment: segment, offset: 0), at: 0)
        case .wholeRecord, .badRecord:
            let record = SegmentFormat.Record(
                chunk: self.chunk.name, slot: self.chunk.request.slot,
                storedAt: Timestamp(milliseconds: 1), frames: self.chunk.request.frames)
            var sealed = self.chunk.sealed
            if standing == .badRecord { sealed[9] ^= 1 }
            try file.write(
                SegmentFormat.header(of: record, segment: segment, offset: 0) + sealed, at: 0)
        }
        file.close()
    }

    /// Lets the index know its chunks, and not up to where it covers the segments.
    private static func forgetCoverage(_ machine: StoreMachine) throws {
        let names = ["chunks", "facts", "segments", "remains"]
        let families = names.enumerated().map { Family(index: $0.offset, name: $0.element) }
        let index = try SimulatedStoreFactory(machine.node).open(
            "/chunks/index", StoreOptions(families: families, isLogged: false))
        var batch = WriteBatch()
        batch.delete(families[1], Array("watermark".utf8))
        batch.delete(families[2], in: .all)
        try index.write(batch, .unlogged)
        try index.flush()
        index.close()
    }
}
