import Consensus
import OrderedStorage
import Primitives

/// What can be read of a group's rows, with nothing decided yet.
struct LogSurvey: Sendable {
    enum Row: Sendable {
        case absent(hasEntries: Bool)
        case unreadable(String)
        case read(RaftLogTables.Standing)
    }

    /// Entries that follow one another, from a known place on.
    struct Run: Sendable {
        /// The entry before the first of `entries`.
        var before: LogAnchor
        /// Those that are not applied.
        var entries: [Entry] = []
        /// How many entries follow one another, the applied ones among them.
        var count = 0
        /// How much those take.
        var sizes = LogSizes()
        var end: LogAnchor
        /// Why the run ends before the log does.
        var broken: LogBreak?

        init(from anchor: LogAnchor) {
            self.before = anchor
            self.end = anchor
        }
    }

    let row: Row
    /// The entry that the state ends at; zero for a state that cannot be read.
    let applied: LogIndex
    let stateFault: String?
    /// From where the log begins.
    var first: Run
    /// From the last applied entry on, where `first` does not reach it and that entry is proven by
    /// one that follows it, or by the row as the log's last.
    var behindApplied: Run?
    /// Entries stand behind what the row names as the last one.
    var hasEntriesBeyondEnd = false
    /// The store itself could not give back what it holds: what is good must move to another.
    var isStoreCorrupt = false

    var finding: ReplicaFinding {
        switch self.row {
        case .absent(let hasEntries):
            return hasEntries || self.applied > .zero || self.stateFault != nil
                ? .rowMissing : .new
        case .unreadable(let reason):
            return .rowUnreadable(reason)
        case .read(let standing):
            return self.finding(by: standing)
        }
    }

    private func finding(by standing: RaftLogTables.Standing) -> ReplicaFinding {
        let end = standing.last
        if self.hasEntriesBeyondEnd || self.first.end.index == end.index && self.first.end != end {
            return .rowOlderThanLog(end: end.position)
        }
        if let fault = self.stateFault {
            let isLogComplete = self.first.end == end && standing.truncated == .zero
            return .stateUnreadable(fault, isLogComplete: isLogComplete)
        }
        if self.applied > end.index {
            return .rowOlderThanState(end: end.position, applied: self.applied)
        }
        if self.applied < standing.truncated.index {
            return .stateBehindLog(applied: self.applied, begins: standing.truncated.position)
        }
        guard let broken = self.first.broken else { return .whole }
        if self.first.end.index >= self.applied {
            return .entriesLost(
                broken, held: self.first.end.position, end: end.position)
        }
        guard let run = self.behindApplied else {
            return .stateAheadOfLog(broken, applied: self.applied)
        }
        guard let second = run.broken else {
            return .historyLost(broken, applied: self.applied)
        }
        return .entriesLost(second, held: run.end.position, end: end.position)
    }

    /// The run that the replica goes on with.
    var kept: Run { self.behindApplied ?? self.first }
}

extension RaftLogTables {
    /// Reads all that can be read of a group's rows. Blocking.
    ///
    /// - Throws: what does not speak of damage: a device that fails to answer, a store that is
    ///   closed.
    func survey(
        _ group: GroupID, applied: LogIndex, stateFault: String?
    ) throws(StoreFault) -> LogSurvey {
        let row = try self.row(of: group)
        guard case .read(let standing) = row else {
            return LogSurvey(
                row: row, applied: applied, stateFault: stateFault, first: .init(from: .zero))
        }
        let applied = stateFault == nil ? applied : .zero
        var survey = LogSurvey(
            row: row, applied: applied, stateFault: stateFault,
            first: .init(from: standing.truncated))
        survey.hasEntriesBeyondEnd = try self.hasEntries(of: group, behind: standing.last.index)
        let isFirstCorrupt = try self.read(
            &survey.first, of: group, through: standing.last, applied: applied)
        var isSecondCorrupt = false
        if survey.first.end.index < applied, applied <= standing.last.index {
            (survey.behindApplied, isSecondCorrupt) = try self.run(
                fromApplied: applied, of: group, through: standing.last)
        }
        survey.isStoreCorrupt = isFirstCorrupt || isSecondCorrupt
        return survey
    }

    private func row(of group: GroupID) throws(StoreFault) -> LogSurvey.Row {
        do throws(Fault) {
            if let standing = try self.standing(of: group) { return .read(standing) }
        } catch {
            switch error {
            case .damaged(_, let reason), .store(.corrupt(let reason)): return .unreadable(reason)
            case .store(let fault): throw fault
            }
        }
        return .absent(hasEntries: try self.hasEntries(of: group, behind: .zero))
    }

    private func hasEntries(of group: GroupID, behind index: LogIndex) throws(StoreFault) -> Bool {
        let range = KeyRange(
            start: Self.key(group, index.next), end: KeyRange(prefix: Self.key(group)).end)
        do throws(StoreFault) {
            return try self.store.scan(Self.log, range).next() != nil
        } catch {
            // What cannot be read there convicts nobody.
            guard case .corrupt = error else { throw error }
            return false
        }
    }

    /// Goes on with a run to the log's end or to the first entry that is not good; says whether that
    /// was for the store.
    private func read(
        _ run: inout LogSurvey.Run, of group: GroupID, through last: LogAnchor, applied: LogIndex
    ) throws(StoreFault) -> Bool {
        guard run.end.index < last.index else { return false }
        let cursor = self.store.scan(
            Self.log,
            KeyRange(
                start: Self.key(group, run.end.index.next),
                end: Self.key(group, last.index.next)))
        while run.end.index < last.index {
            let index = run.end.index.next
            func end(_ cause: LogBreak.Cause) { run.broken = LogBreak(index: index, cause: cause) }
            do throws(Fault) {
                guard let entry = try self.next(cursor, group), entry.index == index else {
                    end(.missing)
                    return false
                }
                guard entry.follows(run.end) else {
                    end(.strange)
                    return false
                }
                run.end = entry.anchor
                run.count += 1
                run.sizes.append([entry])
                if index <= applied { run.before = entry.anchor } else { run.entries.append(entry) }
            } catch {
                switch error {
                case .damaged(_, let reason):
                    end(.unreadable(reason))
                    return false
                case .store(.corrupt(let reason)):
                    end(.unreadable(reason))
                    return true
                case .store(let fault): throw fault
                }
            }
        }
        return false
    }

    /// The run that begins with the last applied entry, if anything proves that entry.
    private func run(
        fromApplied applied: LogIndex, of group: GroupID, through last: LogAnchor
    ) throws(StoreFault) -> (LogSurvey.Run?, isStoreCorrupt: Bool) {
        if applied == last.index { return (LogSurvey.Run(from: last), false) }
        let anchor: LogAnchor?
        do throws(Fault) { anchor = try self.anchor(of: applied, in: group) } catch {
            switch error {
            case .damaged: return (nil, false)
            case .store(.corrupt): return (nil, true)
            case .store(let fault): throw fault
            }
        }
        guard let anchor else { return (nil, false) }
        var run = LogSurvey.Run(from: anchor)
        let isStoreCorrupt = try self.read(&run, of: group, through: last, applied: applied)
        return (run.count > 0 ? run : nil, isStoreCorrupt)
    }
}
