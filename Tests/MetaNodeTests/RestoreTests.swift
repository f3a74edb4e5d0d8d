import Consensus
import MetaNode
import OrderedStorage
import Primitives
import Testing

/// What a start makes of a damaged replica. The log has five entries of term 1 unless a test says
/// otherwise.
@Suite struct RestoreTests {
    private static func position(_ index: UInt64) -> LogPosition {
        LogPosition(term: Term(1), index: LogIndex(index))
    }

    private static func missing(_ index: UInt64) -> LogBreak {
        LogBreak(index: LogIndex(index), cause: .missing)
    }

    /// What is lost, what is applied, what is found, and which entries the replica goes on with.
    struct Case: Sendable, CustomTestStringConvertible {
        let dropped: [UInt64]
        let applied: UInt64
        let finding: ReplicaFinding
        let verdict: ReplicaVerdict
        let kept: ClosedRange<UInt64>?

        var testDescription: String { "without \(self.dropped), applied \(self.applied)" }
    }

    private static func lost(from index: UInt64, held: UInt64) -> ReplicaFinding {
        .entriesLost(
            Self.missing(index), held: held == 0 ? .zero : Self.position(held),
            end: Self.position(5))
    }

    static let cases: [Case] = [
        Case(dropped: [], applied: 0, finding: .whole, verdict: .sound, kept: 1...5),
        Case(dropped: [], applied: 5, finding: .whole, verdict: .sound, kept: nil),
        // The end is gone.
        Case(
            dropped: [5], applied: 0, finding: Self.lost(from: 5, held: 4), verdict: .recovering,
            kept: 1...4),
        Case(
            dropped: [4, 5], applied: 3, finding: Self.lost(from: 4, held: 3),
            verdict: .recovering, kept: nil),
        // A hole: what stands behind it cannot be joined to anything.
        Case(
            dropped: [3], applied: 1, finding: Self.lost(from: 3, held: 2), verdict: .recovering,
            kept: 2...2),
        Case(
            dropped: [1], applied: 0, finding: Self.lost(from: 1, held: 0), verdict: .recovering,
            kept: nil),
        // What is lost was applied, and the last applied entry is proven by the one behind it.
        Case(
            dropped: [1, 2], applied: 3,
            finding: .historyLost(Self.missing(1), applied: LogIndex(3)), verdict: .sound,
            kept: 4...5),
        // Or it is the last entry, which the row names.
        Case(
            dropped: [4, 5], applied: 5,
            finding: .historyLost(Self.missing(4), applied: LogIndex(5)), verdict: .sound,
            kept: nil),
        // Both sides of what is applied.
        Case(
            dropped: [1, 5], applied: 3, finding: Self.lost(from: 5, held: 4),
            verdict: .recovering, kept: 4...4),
        // Nothing proves the last applied entry.
        Case(
            dropped: [3], applied: 3,
            finding: .stateAheadOfLog(Self.missing(3), applied: LogIndex(3)),
            verdict: .beginsAnew, kept: nil),
        Case(
            dropped: [2, 4], applied: 3,
            finding: .stateAheadOfLog(Self.missing(2), applied: LogIndex(3)),
            verdict: .beginsAnew, kept: nil),
        Case(
            dropped: [], applied: 6,
            finding: .rowOlderThanState(end: Self.position(5), applied: LogIndex(6)),
            verdict: .dead, kept: nil),
    ]

    @Test(arguments: Self.cases)
    func `what is lost decides what becomes of the replica`(_ test: Case) throws {
        let (log, entries) = try FormatLog.holding(5, commit: 5)
        for index in test.dropped { try log.drop(index) }
        let restored = try log.restored(applied: test.applied)
        #expect(restored.finding == test.finding)
        #expect(restored.finding.verdict == test.verdict)
        let kept = test.kept.map { Array(entries[Int($0.lowerBound - 1)..<Int($0.upperBound)]) }
        #expect(restored.log.entries == kept ?? [])
        guard test.verdict != .dead else { return }

        // Whoever lost an entry that it may have acknowledged remembers how far it had come.
        let remembers = test.verdict == .recovering || test.verdict == .beginsAnew
        #expect(restored.standing.hardState.remembered == (remembers ? Self.position(5) : nil))
        #expect(restored.standing.hardState.term == Term(1))
        #expect(restored.standing.hardState.vote == NodeID(1))
        #expect(restored.standing.stateGeneration == (test.verdict == .beginsAnew ? 1 : 0))
        let applied = test.verdict == .beginsAnew ? 0 : test.applied
        #expect(restored.log.before.index == LogIndex(applied))
        try self.expectLasting(restored, applied: applied, in: log)
    }

    /// A second start, after the repairs, finds nothing more to repair, and the same replica.
    private func expectLasting(
        _ restored: RaftLogTables.Restored, applied: UInt64, in log: FormatLog
    ) throws {
        try log.store.write(restored.repairs, .synced)
        let again = try log.restored(applied: applied)
        #expect(again.finding == .whole)
        #expect(again.repairs.isEmpty)
        #expect(again.standing == restored.standing)
        #expect(again.log == restored.log)
        _ = RaftReplica(
            configuration: RaftConfiguration(node: NodeID(1), voters: [NodeID(1)], seed: 1),
            hardState: again.standing.hardState, log: again.log, applied: LogIndex(applied))
    }

    @Test func `what was remembered stays until it is reached, whatever is lost next`() throws {
        var (log, _) = try FormatLog.holding(5)
        try log.drop(4)
        let first = try log.restored()
        try log.store.write(first.repairs, .synced)
        try log.drop(2)
        let second = try log.restored()
        #expect(second.standing.last.position == Self.position(1))
        #expect(second.standing.hardState.remembered == Self.position(5))
        try self.expectLasting(second, applied: 0, in: log)
    }

    @Test func `a log that begins behind its state is no use to it`() throws {
        var (log, entries) = try FormatLog.holding(5)
        try log.truncate(through: entries[2].anchor)
        #expect(try log.damage(applied: 3) == nil)
        let restored = try log.restored(applied: 2)
        #expect(
            restored.finding == .stateBehindLog(applied: LogIndex(2), begins: Self.position(3)))
        #expect(restored.standing.hardState.remembered == Self.position(5))
        #expect(restored.standing.truncated == .zero)
        try self.expectLasting(restored, applied: 0, in: log)
    }

    @Test func `a state that cannot be read is made again from a log that reaches back`() throws {
        var (log, entries) = try FormatLog.holding(5)
        let complete = try log.restored(stateFault: "bad block")
        #expect(complete.finding.verdict == .sound)
        #expect(complete.log.entries == entries)
        #expect(complete.standing.stateGeneration == 1)
        #expect(complete.standing.hardState.remembered == nil)

        try log.truncate(through: entries[0].anchor)
        let truncated = try log.restored(stateFault: "bad block")
        #expect(truncated.finding == .stateUnreadable("bad block", isLogComplete: false))
        #expect(truncated.finding.verdict == .beginsAnew)
        #expect(truncated.standing.hardState.remembered == Self.position(5))
        try self.expectLasting(truncated, applied: 0, in: log)
    }

    // MARK: Votes that may be forgotten

    @Test func `without the row of term and vote the replica is dead`() throws {
        let (log, _) = try FormatLog.holding(5)
        let key = RaftLogTables.key(FormatLog.group)
        let row = try log.hardRow
        try log.change { $0.delete(RaftLogTables.hard, key) }
        #expect(try log.damage() == .rowMissing)
        #expect(try log.damage(applied: 2) == .rowMissing)
        try log.change { $0.put(RaftLogTables.hard, key, Array(row.dropLast())) }
        let finding = try #require(try log.damage())
        guard case .rowUnreadable = finding else {
            Issue.record("\(finding)")
            return
        }
        #expect(finding.verdict == .dead)
    }

    @Test func `a row that is older than the log beside it is not believed`() throws {
        var (log, entries) = try FormatLog.holding(5)
        let old = try log.hardRow
        let key = RaftLogTables.key(FormatLog.group)
        try log.write(FormatLog.entries(1, after: entries[4].anchor, term: 1))
        try log.change { $0.put(RaftLogTables.hard, key, old) }
        #expect(try log.damage() == .rowOlderThanLog(end: Self.position(5)))

        // The same length, and another history.
        (log, entries) = try FormatLog.holding(5)
        try log.write(
            FormatLog.entries(1, after: entries[3].anchor, term: 2),
            HardState(term: Term(2), vote: nil, commit: .zero))
        try log.change { $0.put(RaftLogTables.hard, key, old) }
        #expect(try log.damage() == .rowOlderThanLog(end: Self.position(5)))
    }

    @Test func `what is told names the entries and what happens now`() {
        let finding = Self.lost(from: 4, held: 3)
        #expect(
            finding.description
                == "entry 4 is missing; entries are good through 1/3 and had reached 1/5: the "
                + "leader sends the rest again, and until then this replica does not lead, and "
                + "votes only for who holds as much")
    }
}
