import OrderedStorage
import Primitives
import Testing

@Suite struct OverlayReaderTests {
    private static let families = [Family(index: 0, name: "a"), Family(index: 1, name: "b")]
    private static let a = families[0]

    private static func key(_ random: inout SeededGenerator) -> [UInt8] {
        (0..<Int.random(in: 0...2, using: &random)).map { _ in
            UInt8.random(in: 0..<12, using: &random)
        }
    }

    private static func batch(_ random: inout SeededGenerator) -> WriteBatch {
        var batch = WriteBatch()
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            let family = self.families[Int.random(in: 0...1, using: &random)]
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                batch.put(family, self.key(&random), [UInt8.random(in: 0...255, using: &random)])
            case 6..<9: batch.delete(family, self.key(&random))
            default:
                let end = Bool.random(using: &random) ? self.key(&random) : nil
                batch.delete(family, in: KeyRange(start: self.key(&random), end: end))
            }
        }
        return batch
    }

    private static func pairs(_ cursor: any OrderedCursor, limit: Int = .max) throws -> [KeyValue] {
        var pairs: [KeyValue] = []
        while pairs.count < limit, let pair = try cursor.next() { pairs.append(pair) }
        return pairs
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `an overlay reads as the store will once the batch is written`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<40 {
            let base = MemoryStore(families: Self.families)
            let after = MemoryStore(families: Self.families)
            for _ in 0..<20 {
                let batch = Self.batch(&random)
                try base.write(batch, .unlogged)
                try after.write(batch, .unlogged)
            }
            let overlay = OverlayReader(over: base)
            for _ in 0..<8 {
                let batch = Self.batch(&random)
                overlay.append(batch)
                try after.write(batch, .unlogged)
                try Self.compare(overlay, after, &random)
            }
            try base.write(overlay.pending, .unlogged)
            for family in Self.families {
                #expect(
                    try Self.pairs(base.scan(family, .all)) == Self.pairs(after.scan(family, .all)))
            }
        }
    }

    private static func compare(
        _ overlay: any OrderedReader, _ after: any OrderedReader, _ random: inout SeededGenerator
    ) throws {
        for family in self.families {
            let probe = self.key(&random)
            #expect(try overlay.get(family, probe) == after.get(family, probe))
            let end = Bool.random(using: &random) ? self.key(&random) : nil
            let range = KeyRange(start: self.key(&random), end: end)
            let (left, right) = (overlay.scan(family, range), after.scan(family, range))
            for _ in 0..<3 {
                let limit = Int.random(in: 0...5, using: &random)
                #expect(try self.pairs(left, limit: limit) == self.pairs(right, limit: limit))
                let target = self.key(&random)
                left.seek(target)
                right.seek(target)
            }
            #expect(try self.pairs(left) == self.pairs(right))
        }
    }

    @Test func `a put behind a range delete is seen, and a put before it is not`() throws {
        let base = MemoryStore(families: Self.families)
        var old = WriteBatch()
        for number in 0..<9 as Range<UInt8> { old.put(Self.a, [number], [0]) }
        try base.write(old, .unlogged)
        var batch = WriteBatch()
        batch.put(Self.a, [3], [1])
        batch.delete(Self.a, in: KeyRange(start: [2], end: [7]))
        batch.put(Self.a, [5], [2])
        let overlay = OverlayReader(over: base)
        overlay.append(batch)
        let keys = try Self.pairs(overlay.scan(Self.a, .all)).map(\.key)
        #expect(keys == [[0], [1], [5], [7], [8]])
        #expect(try overlay.get(Self.a, [3]) == nil)
        #expect(try overlay.get(Self.a, [5]) == [2])
    }

    @Test func `a cursor shows what was pending when it was made`() throws {
        let overlay = OverlayReader(over: MemoryStore(families: Self.families))
        var batch = WriteBatch()
        batch.put(Self.a, [1], [1])
        overlay.append(batch)
        let cursor = overlay.scan(Self.a, .all)
        var later = WriteBatch()
        later.put(Self.a, [2], [2])
        overlay.append(later)
        #expect(try Self.pairs(cursor).map(\.key) == [[1]])
    }

    @Test func `an overlay over an overlay shows both`() throws {
        let lower = OverlayReader(over: MemoryStore(families: Self.families))
        var first = WriteBatch()
        first.put(Self.a, [1], [1])
        first.put(Self.a, [2], [1])
        lower.append(first)
        let upper = OverlayReader(over: lower)
        var second = WriteBatch()
        second.delete(Self.a, [1])
        upper.append(second)
        #expect(try Self.pairs(upper.scan(Self.a, .all)).map(\.key) == [[2]])
        #expect(try lower.get(Self.a, [1]) == [1])
    }
}
