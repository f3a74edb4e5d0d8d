import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing

/// Counts of references that turned out to be wrong.
@Suite struct CorrectionTests {
    @discardableResult
    private func correct(
        _ group: CatalogGroup, by delta: Int64, asOf: LogIndex? = nil
    ) throws -> CommandResult? {
        try group.apply(
            operation: .correctReferences(
                CorrectReferences(
                    asOf: asOf ?? group.index,
                    chunks: [.init(key: chunkKey(1), delta: delta, sealedLength: 116)])))
    }

    private func life(_ group: CatalogGroup) throws -> ChunkLife? {
        try group.view.chunk(chunk(1).name, in: photos.slot)?.life
    }

    @Test func `a correction is made once, whoever proposes it again`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1)]))
        let audited = group.index
        #expect(try self.correct(group, by: 2, asOf: audited) == .chunks([.done]))
        #expect(try self.correct(group, by: 2, asOf: audited) == .chunks([.outdated]))
        #expect(try self.life(group) == .referenced(3))
        // A later audit has seen the first correction.
        #expect(try self.correct(group, by: -1) == .chunks([.done]))
        #expect(try self.life(group) == .referenced(2))
    }

    @Test func `a correction adds to what happened since the audit looked`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1)]))
        let audited = group.index
        try group.send(put("b", chunks: [chunk(1)]))
        try self.correct(group, by: 1, asOf: audited)
        #expect(try self.life(group) == .referenced(3))
    }

    @Test func `a count that a correction brings to zero takes the ordinary way`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1)]))
        #expect(try self.correct(group, by: -1) == .chunks([.done]))
        #expect(
            try self.life(group)
                == .unreferenced(.init(index: group.index, time: group.time)))
        #expect(
            try group.view.oldest(in: .unreferenced, through: group.time, limit: 1)
                == [chunkKey(1)])
        #expect(try self.correct(group, by: -1) == .chunks([.outdated]))
    }

    @Test func `a reference that a wrong count left nothing of is let go all the same`() throws {
        let group = try CatalogGroup.withBucket()
        for name in ["a", "b", "c"] { try group.send(put(name, chunks: [chunk(1)])) }
        try self.correct(group, by: -3)
        let gone = try self.life(group)
        group.pass(.seconds(1))
        #expect(try group.send(delete("a")) == .objectDeleted(existed: true))
        #expect(try self.life(group) == gone)
        try group.apply(operation: .condemnChunks(CondemnChunks(chunks: [chunkKey(1)])))
        let condemned = try self.life(group)
        #expect(try group.send(delete("b")) == .objectDeleted(existed: true))
        #expect(try self.life(group) == condemned)
        try group.bury(1)
        #expect(try group.send(delete("c")) == .objectDeleted(existed: true))
        #expect(try self.life(group) == nil)
        for queue in ChunkQueue.allCases {
            #expect(try group.view.oldest(in: queue, through: group.time, limit: 1) == [])
        }
    }

    @Test func `an object whose manifest is gone can be deleted`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1)]))
        var loss = WriteBatch()
        loss.delete(CatalogFamilies.manifests, in: .all)
        try group.store.write(loss, .unlogged)
        #expect(try group.send(delete("a")) == .objectDeleted(existed: true))
        #expect(try group.view.head(key("a"), in: photos) == nil)
        // What is wrong now is the audit's to find.
        #expect(try self.life(group) == .referenced(1))
        #expect(try self.correct(group, by: -1) == .chunks([.done]))
    }

    @Test func `a chunk that is condemned by a wrong count is taken back`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1)]))
        try self.correct(group, by: -1)
        try group.apply(operation: .condemnChunks(CondemnChunks(chunks: [chunkKey(1)])))
        #expect(try self.correct(group, by: 1) == .chunks([.done]))
        #expect(try self.life(group) == .referenced(1))
        #expect(try group.view.oldest(in: .condemned, through: group.time, limit: 1) == [])
    }

    @Test func `a chunk that a manifest names and no row counts gets its row back`() throws {
        let group = try CatalogGroup.withBucket()
        try self.correct(group, by: 2)
        #expect(
            try group.view.chunk(chunk(1).name, in: photos.slot)
                == ChunkRow(
                    life: .referenced(2), sealedLength: 116, placedBy: .none, exceptions: [],
                    corrected: group.index))
    }
}
