import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing

/// Random objects, uploads and copies beside random condemnations, deletions and stores that come and
/// go, in one log: whatever is proposed, nothing that a manifest names may ever be deleted.
@Suite struct DeletionModelTests {
    /// What every manifest names, found without a thought for counts.
    private struct Census: ReferenceCounting {
        var named: Set<ChunkKey> = []
        var rows: [ChunkKey: ChunkRow] = [:]

        mutating func name(_ chunk: ChunkReference, in slot: Slot) {
            self.named.insert(ChunkKey(slot: slot, name: chunk.name))
        }

        mutating func count(_ key: ChunkKey, _ row: ChunkRow) { self.rows[key] = row }
    }

    private let names = ["alpha", "beta"].map { bucketName($0) }
    private let keys = ["a", "b", "c"].map { key($0) }
    private static let nodes = (1...5).map { NodeID($0) }
    private static let grace: Duration = .seconds(2)

    private func homes(of key: ChunkKey) -> [NodeID] {
        let first = Int(key.name.counter % 5)
        return (0..<3).map { Self.nodes[(first + $0) % 5] }
    }

    /// Any chunk, of any slot: what a leader or a store proposes need not be reasonable.
    private func anyChunks(_ source: inout RandomOperations) -> [ChunkKey] {
        (0..<source.number(1...6)).map { _ in
            ChunkKey(
                slot: source.one(of: self.names).slot,
                name: chunk(UInt64(source.number(0...199))).name)
        }
    }

    private func sweeping(
        _ source: inout RandomOperations, _ group: CatalogGroup
    ) throws -> CatalogOperation {
        let chunks = self.anyChunks(&source)
        switch source.number(0...9) {
        case 0, 1: return .condemnChunks(CondemnChunks(chunks: chunks))
        case 2:
            let old = try group.view.oldest(in: .unreferenced, through: group.time, limit: 3)
            return .condemnChunks(CondemnChunks(chunks: old))
        case 3:
            let holder = source.one(of: Self.nodes)
            return .condemnChunks(CondemnChunks(holder: holder, chunks: chunks))
        case 4, 5:
            let due = try group.view.oldest(in: .condemned, through: group.time, limit: 5)
            return .authoriseDeletions(
                AuthoriseDeletions(
                    grace: Self.grace,
                    chunks: (due + chunks).map { .init(key: $0, homes: self.homes(of: $0)) }))
        case 6:
            return .confirmDeletions(
                ConfirmDeletions(node: source.one(of: Self.nodes), chunks: chunks))
        case 7: return .forgetChunks(chunks)
        case 8: return .fileBadCopy(FileBadCopy(chunk: chunks[0], node: source.one(of: Self.nodes)))
        default:
            let doomed = try group.view.doomedManifests(before: group.time, limit: 1)
            return doomed.first.map { .sweepManifest($0) } ?? .forgetChunks(chunks)
        }
    }

    /// What each node is told to delete, and some do.
    private func stores(
        _ source: inout RandomOperations, _ group: CatalogGroup, _ deleted: inout Set<ChunkKey>
    ) throws {
        for node in Self.nodes where source.once(in: 3) {
            let list = ListDeletions(node: node, after: nil, limit: 100, isDiskFull: false)
            guard case .deletions(let page) = try group.view.answer(.deletions(list)) else {
                continue
            }
            for key in page.chunks { deleted.insert(key) }
            // It dies, now and then, before it has said so.
            guard !page.chunks.isEmpty, !source.once(in: 4) else { continue }
            try group.apply(
                operation: .confirmDeletions(ConfirmDeletions(node: node, chunks: page.chunks)))
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `no chunk that a manifest names is deleted, whatever is proposed`(seed: UInt64) throws {
        var source = RandomOperations(
            buckets: self.names, keys: self.keys, random: SeededGenerator(seed: seed))
        var model = CatalogModel()
        let group = CatalogGroup()
        try group.own(self.names.map(\.slot))
        try group.open(client)
        // Chunks that some store was told to delete, ever.
        var deleted: Set<ChunkKey> = []
        var refusals = 0
        for round in 0..<800 {
            group.pass(.milliseconds(source.number(0...300)))
            var commands: [CatalogCommand] = []
            for _ in 0..<source.number(1...5) {
                commands.append(
                    source.once(in: 2)
                        ? CatalogCommand(operation: try self.sweeping(&source, group))
                        : group.command(source.operation(model)))
            }
            let applied = try group.apply(commands)
            for (position, result) in applied.results.enumerated() {
                guard commands[position].identity != nil else { continue }
                if case .chunkCondemned = result {
                    refusals += 1
                    continue
                }
                _ = model.carryOut(
                    commands[position].operation,
                    as: VersionID(index: group.index, ordinal: position),
                    at: applied.position.time)
            }
            try self.stores(&source, group, &deleted)
            if round % 10 == 0 { try self.check(group, deleted) }
        }
        try self.check(group, deleted)
        #expect(refusals > 0, "no commit met a condemned chunk")
        #expect(deleted.count > 10, "hardly anything was deleted")
    }

    private func check(_ group: CatalogGroup, _ deleted: Set<ChunkKey>) throws {
        let census = try group.audit(Census())
        #expect(census.named.isDisjoint(with: deleted))
        #expect(try group.audit(ReferenceSums()).differing == [])
        var told: [NodeID: Set<ChunkKey>] = [:]
        for (key, row) in census.rows {
            #expect(census.named.contains(key) == (row.references > 0), "\(key)")
            if case .authorised(let holders) = row.life {
                #expect(!holders.isEmpty && holders == Set(holders).sorted())
                for holder in holders { told[holder, default: []].insert(key) }
            }
        }
        for node in Self.nodes {
            let list = ListDeletions(node: node, after: nil, limit: 1_000, isDiskFull: false)
            guard case .deletions(let page) = try group.view.answer(.deletions(list)) else {
                Issue.record("no page")
                return
            }
            #expect(Set(page.chunks) == told[node, default: []])
        }
        try self.checkQueues(group, census)
    }

    /// Each chunk without a reference waits in the queue of its stage, and in no other.
    private func checkQueues(_ group: CatalogGroup, _ census: Census) throws {
        for queue in ChunkQueue.allCases {
            let waiting = census.rows.filter { _, row in
                switch (queue, row.life) {
                case (.unreferenced, .unreferenced), (.condemned, .condemned),
                    (.deleted, .deleted):
                    true
                default: false
                }
            }
            let queued = try group.view.oldest(in: queue, through: group.time, limit: 10_000)
            #expect(queued.count == waiting.count)
            #expect(Set(queued) == Set(waiting.keys))
        }
    }
}
