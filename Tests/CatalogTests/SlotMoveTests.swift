import Catalog
import OrderedStorage
import Primitives
import Testing
import Wire

/// Two groups between which slots move, driven as the leader of the old one does.
private struct Groups {
    /// What moves.
    static let slots = SlotRange(first: Slot(rawValue: 1_000), last: Slot(rawValue: 1_199))
    static let names = ["alpha", "beta", "gamma"].map { word in
        unwrap(
            (0..<10_000).lazy.map { bucketName("\(word)-\($0)") }
                .first { Self.slots.contains($0.slot) })
    }
    static let keys = ["a", "b", "b/1", "b/2", "c"].map { key($0) }
    static let accessKey = AccessKey(
        id: unwrap(
            (0..<10_000).lazy.map { accessKeyID("AKID\($0)") }
                .first { Self.slots.contains($0.slot) }),
        owner: alice, state: .active,
        wrappedSecret: MasterKeyTests.envelope(MasterKeyTests.masterKey(7), 1))

    var source: CatalogGroup
    var target: CatalogGroup
    var operations: RandomOperations
    var model = CatalogModel()
    var attempt = Epoch(2)

    init(seed: UInt64) throws {
        self.source = CatalogGroup(GroupID(1))
        self.target = CatalogGroup(GroupID(2))
        self.operations = RandomOperations(
            buckets: Self.names, keys: Self.keys, random: SeededGenerator(seed: seed))
        try self.source.apply(
            operation: .adoptSlots(AdoptSlots(slots: Self.slots, epoch: .firstOfSlots)))
        for group in [self.source, self.target] { try group.open(client) }
        try self.source.apply(operation: .createAccessKey(Self.accessKey))
    }

    /// Random commands at whoever owns the slots, each compared with what plain dictionaries say; the
    /// names of the rows of `slots` that they wrote.
    mutating func work(
        _ count: Int, at group: CatalogGroup, watching slots: SlotRange
    ) throws -> [SlotRowName] {
        var written: [SlotRowName] = []
        for _ in 0..<count {
            group.pass(.milliseconds(self.operations.number(0...50)))
            let command = group.command(self.operations.operation(self.model))
            let base = try self.versionBase(in: group, of: command.operation)
            let applied = try group.apply([command])
            let expected = self.model.carryOut(
                command.operation, as: VersionID(index: group.index, ordinal: 0, base: base),
                at: applied.position.time)
            #expect(applied.results == [expected], "\(command.operation)")
            written += applied.batch.slotRows(of: slots)
        }
        return written
    }

    private func versionBase(
        in group: CatalogGroup, of operation: CatalogOperation
    ) throws -> UInt64 {
        guard let slot = operation.slot,
            case .owned(_, let base) = try group.view.ownership(of: slot)
        else { return 0 }
        return base
    }

    func prepare(_ slots: SlotRange) throws {
        let clear = ClearImport(slots: slots, epoch: Epoch(self.attempt.rawValue + 1))
        while try self.target.apply(operation: .clearImport(clear)) != .rowsErased(isDone: true) {}
        #expect(
            try self.source.apply(
                operation: .retainSlots(RetainSlots(slots: slots, epoch: self.attempt)))
                == .slotsRetained(self.attempt))
    }

    /// Copies rows while commands go on; the number of pieces that came.
    mutating func copy(_ slots: SlotRange, limitBytes: Int, work: Int) throws -> UInt64 {
        var copy = SlotCopy(of: slots)
        var written: [SlotRowName] = []
        var piece: UInt64 = 0
        while !copy.isFinished {
            let rows = try copy.piece(
                over: self.source.store.snapshot(), written: written, limitBytes: limitBytes)
            try self.send(rows, of: slots, piece)
            piece += 1
            guard !copy.hasPassedAll else {
                written = []
                continue
            }
            written = try self.work(work, at: self.source, watching: slots)
        }
        // The last commands before the release, and what they wrote behind the copy.
        written = try self.work(work, at: self.source, watching: slots)
        let released = try self.source.apply(
            operation: .releaseSlots(
                ReleaseSlots(slots: slots, epoch: Epoch(self.attempt.rawValue + 1))))
        guard case .slotsReleased(_, let floor) = released else {
            Issue.record("not released: \(String(describing: released))")
            return piece
        }
        while true {
            let rows = try copy.piece(
                over: self.source.store.snapshot(), written: written, limitBytes: limitBytes)
            written = []
            guard !rows.isEmpty else { break }
            try self.send(rows, of: slots, piece)
            piece += 1
        }
        #expect(
            try self.target.apply(
                operation: .adoptSlots(
                    AdoptSlots(
                        slots: slots, epoch: Epoch(self.attempt.rawValue + 1),
                        versionFloor: floor)))
                == .slotsAdopted(Epoch(self.attempt.rawValue + 1)))
        return piece
    }

    func send(_ rows: [ImportedRow], of slots: SlotRange, _ piece: UInt64) throws {
        let command = CatalogCommand(
            operation: .importRows(
                ImportRows(
                    slots: slots, epoch: Epoch(self.attempt.rawValue + 1), piece: piece,
                    rows: rows)))
        let decoded = try CatalogCommand(decoding: command.encoded)
        #expect(
            try self.target.apply([decoded]).results == [.rowsImported(pieces: piece + 1)])
        // A copy of it that the network kept changes nothing.
        let repeated = try self.target.apply([decoded])
        #expect(repeated.results == [.rowsImported(pieces: piece + 1)])
        #expect(repeated.batch.changes.count == 1)
    }

    func drop(_ slots: SlotRange) throws {
        let drop = CatalogOperation.dropRows(
            DropRows(slots: slots, epoch: Epoch(self.attempt.rawValue + 1)))
        while try self.source.apply(operation: drop) != .rowsErased(isDone: true) {}
    }

    /// Everything that a group holds of slots, indices and queues included, as text; without what
    /// differs between groups for good reason.
    static func content(of group: CatalogGroup) throws -> [String] {
        var lines: [String] = []
        for family in CatalogFamilies.all {
            let cursor = group.store.scan(family, .all)
            while let pair = try cursor.next() {
                let isOfGroup = family == CatalogFamilies.rows && pair.key[0] < 0x40
                guard !isOfGroup else { continue }
                var value = pair.value
                if family == CatalogFamilies.rows, pair.key[0] == 0x43 {
                    var chunk = try ChunkRow(decoding: value)
                    chunk.corrected = .zero
                    value = chunk.encoded
                }
                lines.append("\(family) \(Hex.encode(pair.key)) \(Hex.encode(value))")
            }
        }
        return lines
    }
}

@Suite struct SlotMoveTests {
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func `whatever is done meanwhile, the new group ends with every row, index and count`(
        seed: UInt64
    ) throws {
        var groups = try Groups(seed: seed)
        _ = try groups.work(300, at: groups.source, watching: Groups.slots)
        try groups.prepare(Groups.slots)
        let pieces = try groups.copy(Groups.slots, limitBytes: 600, work: 3)
        #expect(pieces > 10)
        let content = try Groups.content(of: groups.source)
        #expect(content.count > 20)
        #expect(try Groups.content(of: groups.target) == content)
        #expect(
            try groups.source.view.masterKeys().secrets
                == groups.target.view.masterKeys().secrets)
        let sums = try groups.target.audit(ReferenceSums())
        #expect(sums.differing == [] && sums.chunks > 0)
        // Rows of slots that are another's are not counted, and nothing else is left of them.
        #expect(try groups.source.audit(ReferenceSums()).chunks == 0)
        // Whoever believes in an earlier move, of slots that have come back since, drops nothing.
        let late = CatalogOperation.dropRows(DropRows(slots: Groups.slots, epoch: groups.attempt))
        #expect(
            try groups.source.apply(operation: late)
                == .staleEpoch(Epoch(groups.attempt.rawValue + 1)))
        try groups.drop(Groups.slots)
        #expect(try Groups.content(of: groups.source) == [])
        #expect(try groups.source.view.masterKeys().secrets == [])
        #expect(try groups.source.view.ownedSlots() == SlotTally())
        // Life goes on there, and comes back.
        _ = try groups.work(100, at: groups.target, watching: Groups.slots)
        swap(&groups.source, &groups.target)
        groups.attempt = Epoch(8)
        try groups.prepare(Groups.slots)
        _ = try groups.copy(Groups.slots, limitBytes: 2_000, work: 2)
        try groups.drop(Groups.slots)
        _ = try groups.work(100, at: groups.target, watching: Groups.slots)
        #expect(try groups.target.audit(ReferenceSums()).differing == [])
    }

    @Test func `an attempt that nobody finished is taken back, and cannot end behind its back`()
        throws
    {
        var groups = try Groups(seed: 7)
        _ = try groups.work(200, at: groups.source, watching: Groups.slots)
        let slots = Self.photosOnly
        try groups.source.own([photos.slot])
        try groups.prepare(slots)
        let lost = Epoch(3)
        var copy = SlotCopy(of: slots)
        let rows = try copy.piece(
            over: groups.source.store.snapshot(), written: [], limitBytes: 1 << 20)
        try groups.send(rows, of: slots, 0)
        let release = CatalogOperation.releaseSlots(ReleaseSlots(slots: slots, epoch: lost))
        let adopt = CatalogOperation.adoptSlots(AdoptSlots(slots: slots, epoch: lost))
        try groups.source.apply(operation: release)
        // Another leader begins again: the new group first.
        groups.attempt = Epoch(4)
        try groups.prepare(slots)
        #expect(try groups.target.apply(operation: adopt) == .staleEpoch(Epoch(5)))
        #expect(try groups.source.apply(operation: release) == .staleEpoch(Epoch(4)))
        #expect(
            try groups.target.apply(
                operation: .importRows(
                    ImportRows(slots: slots, epoch: lost, piece: 1, rows: [])))
                == .staleEpoch(Epoch(5)))
        #expect(
            try groups.source.view.ownership(of: photos.slot)?.epoch == Epoch(4))
        #expect(try groups.target.view.ownership(of: photos.slot) == nil)
        _ = try groups.copy(slots, limitBytes: 1 << 20, work: 0)
        // What comes late now meets its owner.
        for late in [adopt, .clearImport(ClearImport(slots: slots, epoch: Epoch(5)))] {
            #expect(try groups.target.apply(operation: late) == .staleEpoch(Epoch(5)))
        }
    }

    private static let photosOnly = SlotRange(first: photos.slot, last: photos.slot)

    @Test func `rows come in their order, for slots that are being taken over, and to no owner`()
        throws
    {
        let target = CatalogGroup(GroupID(2))
        let slots = Self.photosOnly
        func send(_ piece: UInt64, _ rows: [ImportedRow] = []) throws -> CommandResult? {
            try target.apply(
                operation: .importRows(
                    ImportRows(slots: slots, epoch: Epoch(3), piece: piece, rows: rows)))
        }
        #expect(try send(0) == .slotsNotImported)
        #expect(
            try target.apply(
                operation: .adoptSlots(AdoptSlots(slots: slots, epoch: Epoch(3))))
                == .slotsNotImported)
        let clear = CatalogOperation.clearImport(ClearImport(slots: slots, epoch: Epoch(3)))
        #expect(try target.apply(operation: clear) == .rowsErased(isDone: true))
        #expect(try send(1) == .slotsNotImported)
        let foreign = ImportedRow(
            name: SlotRowName(section: .heads, key: [0, 0, 1]), value: [1])
        let unreadable = ImportedRow(
            name: SlotRowName(
                section: .buckets, key: SlotSection.buckets.keys(of: slots).start + [1]),
            value: [9])
        #expect(try send(0, [foreign]) == .malformed)
        #expect(try send(0, [unreadable]) == .malformed)
        #expect(try send(0) == .rowsImported(pieces: 1))
        // Clearing again, late, does not undo what came.
        #expect(try target.apply(operation: clear) == .rowsErased(isDone: true))
        #expect(try send(1) == .rowsImported(pieces: 2))
        // Nobody sees them yet.
        #expect(try target.view.answer(.bucket(photos)) == .slotNotOwned(Epoch(0)))
        #expect(try target.view.ownedSlots() == SlotTally())
    }

    @Test func `what the old group decided it still says, and what it refused it refuses for ever`()
        throws
    {
        let old = try CatalogGroup.withBucket()
        let (heard, late) = (old.command(put("a", if: .absent)), old.command(put("b")))
        let first = try old.apply([heard]).results
        let slots = Self.photosOnly
        func give(_ epoch: UInt64) throws {
            try old.apply(
                operation: .releaseSlots(ReleaseSlots(slots: slots, epoch: Epoch(epoch))))
        }
        try give(2)
        let repeated = try old.apply([heard])
        #expect(repeated.results == first && repeated.sessionHits == 1)
        #expect(try old.apply([late]).results == [.slotNotOwned(Epoch(2))])
        // Back again, a copy of it that the network kept is still refused.
        try old.apply(operation: .retainSlots(RetainSlots(slots: slots, epoch: Epoch(3))))
        #expect(try old.apply([late]).results == [.slotNotOwned(Epoch(2))])
        #expect(try old.view.head(key("b"), in: photos) == nil)
        try give(4)
        // Without the session nobody can say; it is told so, and never as a failed condition.
        old.pass(CatalogLimits.sessionLifetime + .seconds(1))
        #expect(try old.apply([heard]).results == [.sessionUnknown])
    }

    @Test func `a chunk in transit is neither an orphan nor unreferenced anywhere`() throws {
        var groups = try Groups(seed: 8)
        let old = groups.source
        try old.own([photos.slot])
        let create = CatalogOperation.createBucket(create(photos))
        #expect(try old.send(create) == .bucketCreated)
        let version = try old.version(of: photos)
        #expect(version > VersionID(rawValue: 0))
        let holder = NodeID(1)
        try old.apply(
            operation: .condemnChunks(CondemnChunks(holder: holder, chunks: [chunkKey(1)])))
        let slots = Self.photosOnly
        let stages = [
            { try groups.prepare(slots) },
            { _ = try groups.copy(slots, limitBytes: 100, work: 0) },
            { try groups.drop(slots) },
        ]
        for stage in stages {
            try stage()
            // At most one group answers for the chunk, and that one knows it.
            let answers = try [groups.source, groups.target].map {
                try $0.view.answer(.chunkStates([chunkKey(1)]))
            }
            for answer in answers where answer != .chunkStates([.slotNotOwned]) {
                guard case .chunkStates(let states) = answer,
                    case .present(let row) = states.first
                else {
                    Issue.record("\(answer)")
                    continue
                }
                #expect(row.life != .referenced(0))
            }
            // A store that asks the wrong one changes nothing.
            for group in [groups.source, groups.target]
            where try group.view.ownership(of: photos.slot)?.isOwned != true {
                for operation in [
                    CatalogOperation.condemnChunks(
                        CondemnChunks(holder: NodeID(2), chunks: [chunkKey(2)])),
                    .confirmDeletions(ConfirmDeletions(node: holder, chunks: [chunkKey(1)])),
                ] {
                    #expect(try group.apply(operation: operation) == .chunks([.slotNotOwned]))
                }
                #expect(try group.view.oldest(in: .condemned, through: lately, limit: 9) == [])
            }
        }
        #expect(
            try groups.target.view.oldest(in: .condemned, through: lately, limit: 9)
                == [chunkKey(1)])
    }
}

extension SlotOwnership {
    fileprivate var isOwned: Bool {
        if case .owned = self { true } else { false }
    }
}

@Suite struct SlotMoveTableTests {
    private func system() throws -> CatalogGroup {
        let group = CatalogGroup(.system)
        let bootstrap = try SystemTests.bootstrap()
        let groups = (0...3).map { GroupDescriptor(id: GroupID($0), voters: [NodeID(1)]) }
        try group.apply(
            operation: .bootstrap(
                Bootstrap(
                    cluster: bootstrap.cluster, firstAccessKey: bootstrap.firstAccessKey,
                    linkKey: bootstrap.linkKey, nodes: bootstrap.nodes,
                    layout: bootstrap.layout,
                    groupTable: GroupTable(version: 1, dealingSlotsTo: groups))))
        return group
    }

    private static func range(_ first: Int, _ last: Int) -> SlotRange {
        SlotRange(first: Slot(rawValue: UInt16(first)), last: Slot(rawValue: UInt16(last)))
    }

    private func ask(
        _ group: CatalogGroup, _ slots: SlotRange, to: UInt32
    ) throws -> CommandResult? {
        try group.apply(operation: .moveSlots(MoveSlots(slots: slots, to: GroupID(to))))
    }

    @Test func `a range over two groups becomes two moves, and asking again finds them`() throws {
        let group = try self.system()
        // 65,536 slots in three runs: 0, 21,845, 43,690.
        let slots = Self.range(21_000, 22_000)
        let moves = [
            SlotMove(
                id: Epoch(2), slots: Self.range(21_000, 21_844), from: GroupID(1), to: GroupID(3),
                attempt: Epoch(2)),
            SlotMove(
                id: Epoch(3), slots: Self.range(21_845, 22_000), from: GroupID(2), to: GroupID(3),
                attempt: Epoch(3)),
        ]
        for _ in 0..<2 { #expect(try self.ask(group, slots, to: 3) == .slotMoves(moves)) }
        let table = unwrap(try group.view.groupTable())
        #expect(table.version == 2 && table.epoch == Epoch(3) && table.moves == moves)
        #expect(try self.ask(group, slots, to: 1) == .slotsInMotion(Epoch(3)))
        #expect(try self.ask(group, Self.range(21_100, 21_100), to: 3) == .slotsInMotion(Epoch(2)))
        #expect(try self.ask(group, slots, to: 7) == .noSuchGroup)
        #expect(try self.ask(group, slots, to: 0) == .noSuchGroup)
        #expect(try self.ask(group, Self.range(0, 9), to: 1) == .slotMoves([]))
    }

    @Test func `each attempt has two epochs that no other has, and the table changes at the end`()
        throws
    {
        let group = try self.system()
        let slots = Self.range(100, 200)
        _ = try self.ask(group, slots, to: 2)
        func advance(_ step: AdvanceSlotMove.Step) throws -> CommandResult? {
            try group.apply(
                operation: .advanceSlotMove(AdvanceSlotMove(id: Epoch(2), step: step)))
        }
        var move = SlotMove(
            id: Epoch(2), slots: slots, from: GroupID(1), to: GroupID(2), attempt: Epoch(3))
        #expect(try advance(.begin(after: Epoch(2))) == .slotMoves([move]))
        // Somebody else began since.
        #expect(try advance(.begin(after: Epoch(2))) == .slotsInMotion(Epoch(3)))
        move.attempt = Epoch(5)
        #expect(try advance(.begin(after: Epoch(3))) == .slotMoves([move]))
        #expect(try advance(.end) == .slotMoves([move]))
        #expect(
            unwrap(try group.view.groupTable()).group(owning: Slot(rawValue: 150)) == GroupID(1))
        move.stage = .dropping
        for _ in 0..<2 { #expect(try advance(.assign) == .slotMoves([move])) }
        let table = unwrap(try group.view.groupTable())
        #expect(
            [99, 100, 200, 201].map { table.group(owning: Slot(rawValue: $0))?.rawValue }
                == [1, 2, 2, 1])
        #expect(table.tally == SlotTally(.all))
        #expect(try advance(.end) == .slotMoves([move]))
        #expect(try advance(.end) == .noSuchSlotMove)
        // Back, and the runs join again.
        _ = try self.ask(group, slots, to: 1)
        let back = unwrap(try group.view.groupTable()).moves[0]
        #expect(back.id == Epoch(7))
        for step in [AdvanceSlotMove.Step.assign, .end] {
            try group.apply(
                operation: .advanceSlotMove(AdvanceSlotMove(id: back.id, step: step)))
        }
        #expect(unwrap(try group.view.groupTable()).slots.count == 3)
    }
}
