import Consensus
import OrderedStorage
import Primitives

/// What a replica starts from.
extension RaftLogTables {
    /// A replica as its rows have it, damage answered.
    package struct Restored: Sendable {
        package let finding: ReplicaFinding
        /// What the rows say once `repairs` is written; worth nothing to the dead.
        package var standing: Standing
        package let log: RestoredLog
        /// To be written, synced, before the replica starts: a second start must find the same.
        package let repairs: WriteBatch
        /// The store cannot give back all that it holds, and would fail again when it moves it:
        /// what is good is to move to a store made anew.
        package let isStoreCorrupt: Bool
        /// How much the entries that are kept take.
        let logSizes: LogSizes
    }

    /// Reads and proves a group's log, and says what becomes of the replica. Damage is an answer,
    /// never an error. Blocking.
    ///
    /// - Parameters:
    ///   - applied: what the state machine holds durably; entries at or below it are proven and not
    ///     returned.
    ///   - stateFault: why the state cannot be read, if so.
    /// - Throws: what does not speak of damage.
    package func restore(
        _ group: GroupID, applied: LogIndex, stateFault: String? = nil
    ) throws(StoreFault) -> Restored {
        let survey = try self.survey(group, applied: applied, stateFault: stateFault)
        let finding = survey.finding
        guard case .read(let standing) = survey.row else {
            return Restored(
                finding: finding, standing: .initial, log: .empty, repairs: WriteBatch(),
                isStoreCorrupt: false, logSizes: LogSizes())
        }
        var repaired = standing
        var repairs = WriteBatch()
        var log = RestoredLog(
            truncated: standing.truncated, before: survey.first.before,
            entries: survey.first.entries)
        switch finding {
        case .new, .whole, .rowMissing, .rowUnreadable, .rowOlderThanLog, .rowOlderThanState:
            break
        case .historyLost, .entriesLost:
            log = Self.keep(survey.kept, of: group, &repaired, &repairs)
        case .stateUnreadable(_, isLogComplete: true):
            repaired.stateGeneration += 1
            Self.put(repaired, of: group, to: &repairs)
        case .stateAheadOfLog, .stateBehindLog, .stateUnreadable(_, isLogComplete: false):
            Self.addReset(
                Reset(beginningAnew: standing.hardState, from: standing.last.position),
                of: group, &repaired, to: &repairs)
            log = .empty
        }
        return Restored(
            finding: finding, standing: repaired, log: log, repairs: repairs,
            isStoreCorrupt: survey.isStoreCorrupt, logSizes: survey.kept.sizes)
    }

    /// Adds to a batch that of the log there is only this run, and where the log had ended.
    private static func keep(
        _ run: LogSurvey.Run, of group: GroupID, _ standing: inout Standing,
        _ repairs: inout WriteBatch
    ) -> RestoredLog {
        let end = KeyRange(prefix: Self.key(group)).end
        repairs.delete(
            Self.log, in: KeyRange(start: Self.key(group, run.end.index.next), end: end))
        let isWhole = run.end == standing.last
        let former = standing.hardState
        standing.hardState = HardState(
            term: former.term, vote: former.vote, commit: min(former.commit, run.end.index),
            remembered: isWhole
                ? former.remembered
                : max(former.remembered ?? .zero, standing.last.position))
        standing.last = run.end
        if run.end.index.rawValue - UInt64(run.count) > standing.truncated.index.rawValue {
            // Behind the last applied entry: what is before it has no way back to the beginning.
            repairs.delete(
                Self.log,
                in: KeyRange(start: Self.key(group), end: Self.key(group, run.before.index.next)))
            standing.truncated = run.before
        }
        Self.put(standing, of: group, to: &repairs)
        return RestoredLog(
            truncated: standing.truncated, before: run.before, entries: run.entries)
    }
}
