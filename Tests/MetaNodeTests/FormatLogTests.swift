import Consensus
import MetaNode
import OrderedStorage
import Primitives
import Testing

@Suite struct FormatLogTests {
    @Test func `the rows of a log have these bytes for ever`() throws {
        var log = FormatLog()
        let first = Entry(
            term: Term(2), index: LogIndex(1), kind: .noop, payload: [],
            chain: 0x0102_0304_0506_0708)
        let second = Entry(
            term: Term(2), index: LogIndex(2), kind: .command, payload: [0xaa, 0xbb], chain: 0xff)
        try log.write(
            [first, second],
            HardState(
                term: Term(5), vote: NodeID(2), commit: LogIndex(3),
                remembered: LogPosition(term: Term(5), index: LogIndex(7))))
        #expect(
            RaftLogTables.key(FormatLog.group, LogIndex(2)) == [0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2])
        #expect(
            Hex.encode(try log.row(1)) == "01" + "0200000000000000" + "00" + "0807060504030201"
                + "00000000")
        #expect(
            Hex.encode(try log.row(2)) == "01" + "0200000000000000" + "01" + "ff00000000000000"
                + "02000000" + "aabb")

        try log.truncate(
            through: LogAnchor(
                position: LogPosition(term: Term(4), index: LogIndex(1)),
                chain: 0x1122_3344_5566_7788))
        #expect(
            Hex.encode(try log.hardRow)
                == "01" + "0500000000000000" + "0102000000" + "0300000000000000"
                + "01" + "0500000000000000" + "0700000000000000"
                + "0400000000000000" + "0100000000000000" + "8877665544332211"
                + "0200000000000000" + "0200000000000000" + "ff00000000000000"
                + "0000000000000000" + "00" + "00" + "d6674b5d")
    }

    @Test func `a log that was never written begins at the beginning`() throws {
        let (standing, log) = try FormatLog().restore()
        #expect(standing == .initial)
        #expect(log == .empty)
    }

    @Test(arguments: [0, 1, 4, 5] as [UInt64])
    func `a sound log comes back whole, without what is applied`(applied: UInt64) throws {
        let (log, entries) = try FormatLog.holding(5, commit: 2)
        let (standing, restored) = try log.restore(applied: applied)
        #expect(standing == log.standing)
        #expect(standing.last == entries[4].anchor)
        #expect(restored.truncated == .zero)
        #expect(restored.before == (applied == 0 ? .zero : entries[Int(applied) - 1].anchor))
        #expect(restored.entries == Array(entries.dropFirst(Int(applied))))
    }

    // MARK: Damage

    @Test func `a flipped bit anywhere in an entry's row is damage`() throws {
        let (log, _) = try FormatLog.holding(5)
        let row = try log.row(3)
        for bit in 0..<row.count * 8 {
            var flipped = row
            flipped[bit / 8] ^= 1 << (bit % 8)
            try log.change {
                $0.put(RaftLogTables.log, RaftLogTables.key(FormatLog.group, LogIndex(3)), flipped)
            }
            #expect(try log.damage() != nil, "bit \(bit)")
        }
    }

    @Test func `a flipped bit anywhere in the row of term and vote is damage`() throws {
        let (log, _) = try FormatLog.holding(5)
        let row = try log.hardRow
        for bit in 0..<row.count * 8 {
            var flipped = row
            flipped[bit / 8] ^= 1 << (bit % 8)
            try log.change {
                $0.put(RaftLogTables.hard, RaftLogTables.key(FormatLog.group), flipped)
            }
            #expect(try log.damage() != nil, "bit \(bit)")
        }
    }

    @Test func `a row that is cut short or goes on behind its end is damage`() throws {
        let (log, _) = try FormatLog.holding(5)
        let (entryRow, hardRow) = (try log.row(3), try log.hardRow)
        let entryKey = RaftLogTables.key(FormatLog.group, LogIndex(3))
        for length in 0...entryRow.count where length != entryRow.count {
            try log.change { $0.put(RaftLogTables.log, entryKey, Array(entryRow.prefix(length))) }
            #expect(try log.damage() != nil)
        }
        try log.change { $0.put(RaftLogTables.log, entryKey, entryRow + [0]) }
        #expect(try log.damage() != nil)
        try log.change { $0.put(RaftLogTables.log, entryKey, entryRow) }
        #expect(try log.damage() == nil)

        let hardKey = RaftLogTables.key(FormatLog.group)
        for length in 0..<hardRow.count {
            try log.change { $0.put(RaftLogTables.hard, hardKey, Array(hardRow.prefix(length))) }
            #expect(try log.damage() != nil)
        }
        try log.change { $0.put(RaftLogTables.hard, hardKey, hardRow + [0]) }
        #expect(try log.damage() != nil)
    }

    @Test func `an entry under another's key is damage`() throws {
        let (log, _) = try FormatLog.holding(5)
        let other = try log.row(4)
        try log.change {
            $0.put(RaftLogTables.log, RaftLogTables.key(FormatLog.group, LogIndex(3)), other)
        }
        #expect(try log.damage() == Self.lost(from: 3, .strange))
    }

    private static func lost(
        from index: UInt64, _ cause: LogBreak.Cause, of count: UInt64 = 5
    ) -> ReplicaFinding {
        .entriesLost(
            LogBreak(index: LogIndex(index), cause: cause),
            held: LogPosition(term: Term(1), index: LogIndex(index - 1)),
            end: LogPosition(term: Term(1), index: LogIndex(count)))
    }

    @Test func `an entry of another history is damage, though it has its place and its term`()
        throws
    {
        var (log, entries) = try FormatLog.holding(2)
        let stranger = FormatLog.entries(1, after: entries[0].anchor, term: 1, payload: [1])
        let next = FormatLog.entries(1, after: stranger[0].anchor, term: 1)
        try log.write(next)
        #expect(try log.damage() == Self.lost(from: 3, .strange, of: 3))
    }

    @Test func `another group's rows are not this group's`() throws {
        let (log, _) = try FormatLog.holding(5)
        for group in [GroupID(2), GroupID(4)] {
            let restored = try log.tables.restore(group, applied: .zero)
            #expect(restored.finding == .new)
            #expect(restored.standing == .initial)
            #expect(restored.log == .empty)
        }
    }

    // MARK: Replaced suffixes and truncation

    @Test func `a shorter suffix that replaces a longer one leaves nothing of it`() throws {
        var (log, entries) = try FormatLog.holding(9)
        let replacement = FormatLog.entries(2, after: entries[3].anchor, term: 2)
        try log.write(replacement, HardState(term: Term(2), vote: nil, commit: .zero))
        let (standing, restored) = try log.restore()
        #expect(restored.entries == Array(entries.prefix(4)) + replacement)
        #expect(standing.last == replacement.last?.anchor)
        for index in 7...9 {
            let key = RaftLogTables.key(FormatLog.group, LogIndex(UInt64(index)))
            #expect(try log.store.get(RaftLogTables.log, key) == nil)
        }
    }

    @Test func `a truncated log begins behind its anchor, and may be empty`() throws {
        var (log, entries) = try FormatLog.holding(5)
        try log.truncate(through: entries[1].anchor)
        var (standing, restored) = try log.restore(applied: 2)
        #expect(
            restored
                == RestoredLog(
                    truncated: entries[1].anchor, before: entries[1].anchor,
                    entries: Array(entries.dropFirst(2))))
        try log.truncate(through: entries[4].anchor)
        (standing, restored) = try log.restore(applied: 5)
        #expect(
            restored
                == RestoredLog(
                    truncated: entries[4].anchor, before: entries[4].anchor, entries: []))
        #expect(standing == log.standing)
        let cursor = log.store.scan(RaftLogTables.log, .all)
        #expect(try cursor.next() == nil)
        // And it goes on from there.
        let more = FormatLog.entries(1, after: entries[4].anchor, term: 1)
        try log.write(more)
        #expect(try log.restore(applied: 5).1.entries == more)
    }

    @Test func `a truncation that comes late changes nothing`() throws {
        var (log, entries) = try FormatLog.holding(5)
        try log.truncate(through: entries[3].anchor)
        let standing = log.standing
        try log.truncate(through: entries[1].anchor)
        #expect(log.standing == standing)
    }

    // MARK: Replicas that begin anew

    @Test func `a reset drops the log, begins behind the anchor, and names the next state`() throws
    {
        var (log, entries) = try FormatLog.holding(5, commit: 4)
        let anchor = FormatLog.entries(4, after: entries[4].anchor, term: 3)[3].anchor
        let replica = RaftReplica(
            configuration: RaftConfiguration(node: NodeID(1), voters: [NodeID(1)], seed: 1),
            hardState: .initial, log: .empty, applied: .zero)
        let restart = try #require(replica.restart(installing: anchor))
        try log.reset(RaftLogTables.Reset(restart))
        let (standing, restored) = try log.restore(applied: 9)
        #expect(standing == log.standing)
        #expect(standing.stateGeneration == 1)
        #expect(standing.hardState == restart.hardState)
        #expect(standing.hardState.commit == anchor.index)
        #expect(restored == restart.log)
        #expect(try log.damage(applied: 8) != nil, "the old state does not go with the new log")
        #expect(try log.tables.standings() == [FormatLog.group: standing])
    }

    @Test func `a removed replica leaves its term and its vote, and nothing else`() throws {
        var (log, _) = try FormatLog.holding(5, commit: 4)
        let vote = log.standing.hardState
        let last = log.last.position
        try log.reset(RaftLogTables.Reset(removing: vote, endingAt: last))
        #expect(log.standing.hardState.remembered == last)
        let (standing, restored) = try log.restore()
        #expect(standing.isRemoved && standing.stateGeneration == 1)
        #expect(
            standing.hardState
                == HardState(term: vote.term, vote: vote.vote, commit: .zero, remembered: last))
        #expect(restored == .empty)
    }

    // MARK: Loads

    private func loaded(_ answer: LoadedEntries) -> (previous: LogAnchor, entries: [Entry])? {
        guard case .entries(let previous, let entries) = answer.outcome else { return nil }
        return (previous, entries)
    }

    @Test func `a load answers from the first entry through the last one asked for`() throws {
        let (log, entries) = try FormatLog.holding(6)
        for from in 1...6 {
            for through in from...6 {
                let answer = try log.load(UInt64(from), through: UInt64(through))
                #expect(answer.from == LogIndex(UInt64(from)) && answer.peer == NodeID(2))
                let found = try #require(self.loaded(answer))
                #expect(found.previous == (from == 1 ? .zero : entries[from - 2].anchor))
                #expect(found.entries == Array(entries[(from - 1)..<through]))
            }
        }
    }

    @Test(arguments: [(0, 1), (1, 1), (35, 1), (36, 2), (70, 2), (71, 3), (1 << 20, 6)])
    func `a load ends when its bytes are enough, with one entry at least`(
        limitBytes: Int, count: Int
    ) throws {
        // Each entry counts 35 bytes.
        let (log, entries) = try FormatLog.holding(6)
        let found = try #require(
            self.loaded(try log.load(1, through: 6, limitBytes: limitBytes)))
        #expect(found.entries == Array(entries.prefix(count)))
    }

    @Test func `a load finds its anchor where the log begins, and nothing before`() throws {
        var (log, entries) = try FormatLog.holding(6)
        try log.truncate(through: entries[2].anchor)
        let found = try #require(self.loaded(try log.load(4, through: 6)))
        #expect(found.previous == entries[2].anchor)
        #expect(found.entries == Array(entries.dropFirst(3)))
        for from in 1...3 as ClosedRange<UInt64> {
            guard case .truncated = try log.load(from, through: 6).outcome else {
                Issue.record("entry \(from) is gone")
                continue
            }
        }
    }

    @Test func `a load that misses entries which were never truncated proves damage`() throws {
        let (log, _) = try FormatLog.holding(6)
        try log.change {
            $0.delete(RaftLogTables.log, RaftLogTables.key(FormatLog.group, LogIndex(3)))
        }
        for from in [3, 4] as [UInt64] {
            #expect(throws: RaftLogTables.Fault.self) { try log.load(from, through: 6) }
        }
        try log.change {
            $0.put(RaftLogTables.log, RaftLogTables.key(FormatLog.group, LogIndex(3)), [9])
        }
        #expect(throws: RaftLogTables.Fault.self) { try log.load(2, through: 6) }
        #expect(try self.loaded(log.load(1, through: 2))?.entries.count == 2, "it lies behind")
    }

    @Test func `an anchor is that of the entry, or nil where there is none`() throws {
        var (log, entries) = try FormatLog.holding(4)
        try log.truncate(through: entries[1].anchor)
        #expect(try log.tables.anchor(of: LogIndex(3), in: FormatLog.group) == entries[2].anchor)
        #expect(try log.tables.anchor(of: LogIndex(2), in: FormatLog.group) == nil)
        #expect(try log.tables.anchor(of: LogIndex(5), in: FormatLog.group) == nil)
    }
}
