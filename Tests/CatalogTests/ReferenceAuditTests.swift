import Catalog
import Primitives
import Testing

@Suite struct ReferenceAuditTests {
    /// A group with objects of several kinds: chunks shared between objects, twice in one object,
    /// and chunks without a reference.
    private static func group() throws -> CatalogGroup {
        let group = try CatalogGroup.withBucket()
        for counter in 1...40 as ClosedRange<UInt64> {
            try group.send(
                put("\(counter)", chunks: [chunk(counter), chunk(1), chunk(counter + 100)]))
        }
        try group.send(put("small"))
        try group.send(delete("7"))
        return group
    }

    private func miscount(_ counter: UInt64, by delta: Int64, in group: CatalogGroup) throws {
        let correction = CorrectReferences(
            asOf: group.index,
            chunks: [.init(key: chunkKey(counter), delta: delta, sealedLength: 116)])
        #expect(
            try group.apply(operation: .correctReferences(correction)) == .chunks([.done]))
    }

    @Test func `rows that count what manifests name have the same sums`() throws {
        let sums = try Self.group().audit(ReferenceSums())
        #expect(sums.differing == [])
        #expect(sums.chunks == 80)
        #expect(sums.references == 3 * 39)
    }

    @Test(
        arguments: [
            [(1, 2)], [(1, -1)], [(3, 1), (4, -1)], [(500, 1)], [(7, 3), (107, 1), (9, -1)],
        ] as [[(UInt64, Int64)]])
    func `a count that is off is found and corrected by just what it is off`(
        miscounts: [(counter: UInt64, delta: Int64)]
    ) throws {
        let group = try Self.group()
        for miscount in miscounts {
            try self.miscount(miscount.counter, by: miscount.delta, in: group)
        }
        let parts = try group.audit(ReferenceSums()).differing
        #expect(!parts.isEmpty)
        var corrections: [CorrectReferences.Correction] = []
        for part in parts {
            corrections += try group.audit(ReferenceTally(part, limit: 100)).corrections
        }
        #expect(
            Set(corrections.map { "\($0.key) \($0.delta)" })
                == Set(miscounts.map { "\(chunkKey($0.counter)) \(-$0.delta)" }))
        try group.apply(
            operation: .correctReferences(
                CorrectReferences(asOf: group.index, chunks: corrections)))
        #expect(try group.audit(ReferenceSums()).differing == [])
    }

    @Test func `a part with too many chunks is counted in narrower parts`() throws {
        let group = try Self.group()
        let whole = ReferencePart(bits: 1, value: 0)
        let tally = try group.audit(ReferenceTally(whole, limit: 5))
        #expect(tally.isOverfull)
        #expect(tally.corrections == [])
        #expect(whole.narrowed == ReferencePart(bits: 5, value: 0))
        #expect(ReferencePart(bits: 5, value: 3).narrowed == ReferencePart(bits: 9, value: 48))
        #expect(ReferencePart(bits: 17, value: 0).narrowed == nil)
        // The narrowed part is a part of the whole, and counts no other chunk.
        var narrow: [ChunkKey] = []
        for counter in 1...40 as ClosedRange<UInt64> {
            try self.miscount(counter, by: 1, in: group)
        }
        for value in 0..<16 as Range<UInt32> {
            let part = ReferencePart(bits: 5, value: value)
            narrow += try group.audit(ReferenceTally(part, limit: 100)).corrections.map(\.key)
        }
        let wide = try group.audit(ReferenceTally(whole, limit: 1_000)).corrections.map(\.key)
        #expect(narrow.sorted() == wide)
        #expect(!wide.isEmpty && wide.count < 40)
    }

    @Test func `an audit of a view corrects what has changed since as well`() throws {
        let group = try Self.group()
        try self.miscount(1, by: 2, in: group)
        let asOf = group.index
        let parts = try group.audit(ReferenceSums()).differing
        let tally = try group.audit(ReferenceTally(unwrap(parts.first), limit: 100))
        try group.send(delete("3"))
        try group.send(put("later", chunks: [chunk(1)]))
        try group.apply(
            operation: .correctReferences(
                CorrectReferences(asOf: asOf, chunks: tally.corrections)))
        #expect(try group.audit(ReferenceSums()).differing == [])
    }
}
