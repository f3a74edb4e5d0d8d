import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing

@Suite struct DeletionTests {
    private static let homes = [NodeID(1), NodeID(2), NodeID(3)]
    private static let grace: Duration = .seconds(100)

    private static func condemn(_ counter: UInt64, heldBy holder: NodeID? = nil) -> CatalogOperation
    {
        .condemnChunks(CondemnChunks(holder: holder, chunks: [chunkKey(counter)]))
    }

    private static func authorise(_ counter: UInt64) -> CatalogOperation {
        .authoriseDeletions(
            AuthoriseDeletions(
                grace: Self.grace, chunks: [.init(key: chunkKey(counter), homes: Self.homes)]))
    }

    private static func confirm(_ counter: UInt64, by node: NodeID) -> CatalogOperation {
        .confirmDeletions(ConfirmDeletions(node: node, chunks: [chunkKey(counter)]))
    }

    /// A group that has brought chunk 1, stored with an exception on node 5, to some stage.
    private enum Stage: String, CaseIterable {
        case absent, referenced, unreferenced, condemned, authorised, deleted
    }

    private static func group(_ stage: Stage) throws -> CatalogGroup {
        let group = try CatalogGroup.withBucket()
        for step in Stage.allCases where stage != .absent {
            switch step {
            case .absent: break
            case .referenced:
                try group.send(put("a", chunks: [chunk(1, exceptions: [NodeID(5)])]))
            case .unreferenced: try group.send(delete("a"))
            case .condemned: try group.apply(operation: Self.condemn(1))
            case .authorised:
                group.pass(Self.grace)
                try group.apply(operation: Self.authorise(1))
            case .deleted:
                for node in Self.homes + [NodeID(5)] {
                    try group.apply(operation: Self.confirm(1, by: node))
                }
            }
            if step == stage { break }
        }
        return group
    }

    private func life(_ group: CatalogGroup) throws -> ChunkLife? {
        try group.view.chunk(chunk(1).name, in: photos.slot)?.life
    }

    private func told(_ node: NodeID, _ group: CatalogGroup) throws -> [ChunkKey] {
        let list = ListDeletions(node: node, after: nil, limit: 10, isDiskFull: false)
        guard case .deletions(let page) = try group.view.answer(.deletions(list)) else {
            Issue.record("no page")
            return []
        }
        return page.chunks
    }

    /// What each command comes to at each stage: by the leader's sweep, by a store that found the
    /// chunk without a row, and so on.
    @Test(arguments: [
        ("absent", "condemn", ChunkVerdict.absent), ("referenced", "condemn", .referenced),
        ("unreferenced", "condemn", .done), ("condemned", "condemn", .done),
        ("authorised", "condemn", .done), ("deleted", "condemn", .done),
        ("absent", "orphan", .done), ("referenced", "orphan", .referenced),
        ("unreferenced", "orphan", .unreferenced), ("condemned", "orphan", .done),
        ("authorised", "orphan", .done), ("deleted", "orphan", .done),
        ("absent", "authorise", .absent), ("referenced", "authorise", .notCondemned),
        ("unreferenced", "authorise", .notCondemned), ("condemned", "authorise", .tooEarly),
        ("authorised", "authorise", .done), ("deleted", "authorise", .done),
        ("absent", "confirm", .done), ("referenced", "confirm", .done),
        ("unreferenced", "confirm", .done), ("condemned", "confirm", .done),
        ("authorised", "confirm", .done), ("deleted", "confirm", .done),
        ("absent", "forget", .done), ("referenced", "forget", .notCondemned),
        ("unreferenced", "forget", .notCondemned), ("condemned", "forget", .notCondemned),
        ("authorised", "forget", .notCondemned), ("deleted", "forget", .tooEarly),
        ("absent", "file", .absent), ("referenced", "file", .done),
        ("unreferenced", "file", .done), ("condemned", "file", .done),
        ("authorised", "file", .done), ("deleted", "file", .done),
        ("absent", "correct", .done), ("referenced", "correct", .done),
        ("unreferenced", "correct", .done), ("condemned", "correct", .done),
        ("authorised", "correct", .lost), ("deleted", "correct", .lost),
    ])
    func `each command has its verdict at each stage of a chunk's life`(
        stage: String, command: String, verdict: ChunkVerdict
    ) throws {
        let group = try Self.group(unwrap(Stage(rawValue: stage)))
        let operation: CatalogOperation =
            switch command {
            case "condemn": Self.condemn(1)
            case "orphan": Self.condemn(1, heldBy: NodeID(6))
            case "authorise": Self.authorise(1)
            case "confirm": Self.confirm(1, by: NodeID(1))
            case "forget": .forgetChunks([chunkKey(1)])
            case "file": .fileBadCopy(FileBadCopy(chunk: chunkKey(1), node: NodeID(1)))
            default:
                .correctReferences(
                    CorrectReferences(
                        asOf: group.index,
                        chunks: [.init(key: chunkKey(1), delta: 1, sealedLength: 116)]))
            }
        #expect(try group.apply(operation: operation) == .chunks([verdict]))
    }

    @Test(arguments: ["absent", "referenced", "unreferenced", "condemned", "authorised", "deleted"])
    func `a commit may name a chunk until it is condemned, and never again`(stage: String) throws {
        let group = try Self.group(unwrap(Stage(rawValue: stage)))
        let before = try self.life(group)
        let result = try group.send(put("b", chunks: [chunk(2), chunk(1)]))
        if ["absent", "referenced", "unreferenced"].contains(stage) {
            #expect(
                result
                    == .stored(
                        unwrap(try group.view.head(key("b"), in: photos)).version, at: group.time))
            #expect(try self.life(group) == .referenced(stage == "referenced" ? 2 : 1))
        } else {
            #expect(result == .chunkCondemned(chunk(1).name))
            // The whole command is refused: the other chunk has no row either.
            #expect(try self.life(group) == before)
            #expect(try group.view.chunk(chunk(2).name, in: photos.slot) == nil)
            #expect(try group.view.head(key("b"), in: photos) == nil)
        }
    }

    @Test func `every node that may hold a copy is told, and only when the time has come`() throws {
        let group = try Self.group(.condemned)
        group.pass(Self.grace - .milliseconds(1))
        #expect(try group.apply(operation: Self.authorise(1)) == .chunks([.tooEarly]))
        #expect(try self.told(NodeID(1), group) == [])
        group.pass(.milliseconds(1))
        #expect(try group.apply(operation: Self.authorise(1)) == .chunks([.done]))
        for node in Self.homes + [NodeID(5)] {
            #expect(try self.told(node, group) == [chunkKey(1)])
        }
        #expect(try self.told(NodeID(4), group) == [])
    }

    @Test func `a chunk is deleted when the last node has confirmed it, and remembered for a day`()
        throws
    {
        let group = try Self.group(.authorised)
        for node in [3, 1, 5].map({ NodeID($0) }) {
            try group.apply(operation: Self.confirm(1, by: node))
        }
        #expect(try self.life(group) == .authorised([NodeID(2)]))
        #expect(try self.told(NodeID(1), group) == [])
        try group.apply(operation: Self.confirm(1, by: NodeID(2)))
        #expect(try self.life(group) == .deleted(at: group.time))

        group.pass(.seconds(86_399))
        #expect(try group.apply(operation: .forgetChunks([chunkKey(1)])) == .chunks([.tooEarly]))
        group.pass(.seconds(1))
        let due = try group.view.oldest(in: .deleted, through: group.time, limit: 10)
        #expect(due == [chunkKey(1)])
        #expect(try group.apply(operation: .forgetChunks(due)) == .chunks([.done]))
        #expect(try self.life(group) == nil)
        for queue in ChunkQueue.allCases {
            #expect(try group.view.oldest(in: queue, through: group.time, limit: 1) == [])
        }
    }

    @Test func `the queues are in the order of time, and a chunk stands in one at most`() throws {
        let group = try CatalogGroup.withBucket()
        for counter in [3, 1, 2] as [UInt64] {
            try group.send(put("\(counter)", chunks: [chunk(counter)]))
        }
        for counter in [2, 3, 1] as [UInt64] {
            group.pass(.seconds(1))
            try group.send(delete("\(counter)"))
        }
        let all = [chunkKey(2), chunkKey(3), chunkKey(1)]
        #expect(try group.view.oldest(in: .unreferenced, through: group.time, limit: 9) == all)
        #expect(
            try group.view.oldest(
                in: .unreferenced, through: group.time + .seconds(-1), limit: 9)
                == [chunkKey(2), chunkKey(3)])
        try group.apply(operation: Self.condemn(3))
        try group.send(put("again", chunks: [chunk(2)]))
        #expect(
            try group.view.oldest(in: .unreferenced, through: group.time, limit: 9)
                == [chunkKey(1)])
        #expect(
            try group.view.oldest(in: .condemned, through: group.time, limit: 9) == [chunkKey(3)])
    }

    @Test func `a commit that was asleep while its chunk was deleted and forgotten is refused`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let sealed = group.time
        try group.apply(operation: Self.condemn(1, heldBy: NodeID(1)))
        try group.bury(1)
        let late = put("late", chunks: [chunk(1)], oldestSealed: sealed)
        #expect(try group.send(late) == .chunkCondemned(chunk(1).name))
        #expect(try self.life(group) == nil)
        #expect(try group.view.head(key("late"), in: photos) == nil)
    }

    @Test(arguments: [
        (Duration.zero, true), (.seconds(-9), true),
        (CatalogLimits.newChunkLifetime + .milliseconds(-1), true),
        (CatalogLimits.newChunkLifetime, false), (.seconds(86_400 * 365), false),
    ])
    func `only a chunk that was sealed lately may be new`(age: Duration, isNew: Bool) throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("known", chunks: [chunk(1)]))
        let sealed = group.time + (.zero - age)
        let both = put("both", chunks: [chunk(1), chunk(2)], oldestSealed: sealed)
        let version = VersionID(index: group.index.next, ordinal: 0)
        #expect(
            try group.send(both)
                == (isNew ? .stored(version, at: group.time) : .chunkCondemned(chunk(2).name)))
        // What has a row needs no proof of being new.
        let known = put("again", chunks: [chunk(1)], oldestSealed: sealed)
        let next = VersionID(index: group.index.next, ordinal: 0)
        #expect(try group.send(known) == .stored(next, at: group.time))
    }

    @Test(arguments: [nil, Timestamp(milliseconds: .min)])
    func `a command that does not say when its new chunks were sealed is refused`(
        sealed: Timestamp?
    ) throws {
        let group = try CatalogGroup.withBucket()
        let result = try group.send(put("a", chunks: [chunk(1)], oldestSealed: sealed))
        #expect(result == .chunkCondemned(chunk(1).name))
    }

    @Test
    func `the copies of an upload that was never committed go, each where its store found it`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        try group.apply(operation: Self.condemn(1, heldBy: NodeID(4)))
        #expect(
            try group.send(put("late", chunks: [chunk(1)])) == .chunkCondemned(chunk(1).name))
        group.pass(Self.grace)
        try group.apply(operation: Self.authorise(1))
        // A store that comes with its copy later is told as well.
        try group.apply(operation: Self.condemn(1, heldBy: NodeID(7)))
        for node in [1, 2, 3, 4, 7] as [UInt32] {
            #expect(try self.told(NodeID(node), group) == [chunkKey(1)])
            try group.apply(operation: Self.confirm(1, by: NodeID(node)))
        }
        #expect(try self.life(group) == .deleted(at: group.time))
        // So is one that comes after the end.
        try group.apply(operation: Self.condemn(1, heldBy: NodeID(8)))
        #expect(try self.life(group) == .authorised([NodeID(8)]))
        try group.apply(operation: Self.confirm(1, by: NodeID(8)))
        #expect(try self.told(NodeID(8), group) == [])
        #expect(try self.life(group) == .deleted(at: group.time))
    }

    @Test func `a store with a copy too many changes nothing about a chunk that is needed`() throws
    {
        for stage in [Stage.referenced, .unreferenced] {
            let group = try Self.group(stage)
            let before = try group.view.chunk(chunk(1).name, in: photos.slot)
            try group.apply(operation: Self.condemn(1, heldBy: NodeID(9)))
            #expect(try group.view.chunk(chunk(1).name, in: photos.slot) == before)
        }
    }

    @Test func `only the owner of a slot decides on its chunks`() throws {
        let group = try Self.group(.authorised)
        try group.apply(
            operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(2))))
        for operation in [
            Self.condemn(1), Self.condemn(2, heldBy: NodeID(1)), Self.authorise(1),
            Self.confirm(1, by: NodeID(1)), .forgetChunks([chunkKey(1)]),
        ] {
            #expect(try group.apply(operation: operation) == .chunks([.slotNotOwned]))
        }
        #expect(
            try group.apply(
                operation: .fileBadCopy(FileBadCopy(chunk: chunkKey(1), node: NodeID(1))))
                == .slotNotOwned(Epoch(2)))
        #expect(try self.told(NodeID(1), group) == [])
        #expect(try group.view.answer(.chunkStates([chunkKey(1)])) == .chunkStates([.slotNotOwned]))
    }

    @Test func `a chunk of one command is decided for itself`() throws {
        let group = try Self.group(.unreferenced)
        try group.send(put("b", chunks: [chunk(2)]))
        let foreign = ChunkKey(slot: Slot(rawValue: photos.slot.rawValue &+ 1), name: chunk(3).name)
        let keys = [foreign, chunkKey(2), chunkKey(1), chunkKey(4)]
        #expect(
            try group.apply(operation: .condemnChunks(CondemnChunks(chunks: keys)))
                == .chunks([.slotNotOwned, .referenced, .done, .absent]))
        group.pass(Self.grace)
        #expect(
            try group.apply(
                operation: .authoriseDeletions(
                    AuthoriseDeletions(
                        grace: Self.grace,
                        chunks: keys.enumerated().map {
                            .init(key: $1, homes: [NodeID(UInt32($0 + 10))])
                        })))
                == .chunks([.slotNotOwned, .notCondemned, .done, .absent]))
        #expect(try self.told(NodeID(12), group) == [chunkKey(1)])
    }

    @Test func `what a node has to delete comes in pages`() throws {
        let group = try CatalogGroup.withBucket()
        let keys = (1...5).map { chunkKey($0) }
        try group.apply(
            operation: .condemnChunks(CondemnChunks(holder: NodeID(1), chunks: keys)))
        group.pass(Self.grace)
        try group.apply(
            operation: .authoriseDeletions(
                AuthoriseDeletions(
                    grace: Self.grace, chunks: keys.map { .init(key: $0, homes: [NodeID(1)]) })))
        var pages: [[ChunkKey]] = []
        var after: ChunkKey?
        repeat {
            let list = ListDeletions(node: NodeID(1), after: after, limit: 2, isDiskFull: false)
            guard case .deletions(let page) = try group.view.answer(.deletions(list)) else { break }
            pages.append(page.chunks)
            after = page.next
        } while after != nil
        #expect(pages == [Array(keys[..<2]), Array(keys[2..<4]), Array(keys[4...])])
    }

    @Test func `a bad copy is filed once, and not for ever more nodes`() throws {
        let group = try Self.group(.referenced)
        for node in [4, 2, 4, 9] as [UInt32] {
            try group.send(.fileBadCopy(FileBadCopy(chunk: chunkKey(1), node: NodeID(node))))
        }
        let row = unwrap(try group.view.chunk(chunk(1).name, in: photos.slot))
        #expect(row.suspects == [2, 4, 9].map { NodeID($0) })
        #expect(row.life == .referenced(1))
        for node in 10...14 as ClosedRange<UInt32> {
            try group.send(.fileBadCopy(FileBadCopy(chunk: chunkKey(1), node: NodeID(node))))
        }
        #expect(
            try group.send(.fileBadCopy(FileBadCopy(chunk: chunkKey(1), node: NodeID(15))))
                == .chunks([.limitReached]))
    }
}
