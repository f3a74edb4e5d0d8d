import Consensus
import Primitives

/// What a start finds of a replica on its disk, and what becomes of it: the table by which damage is
/// answered (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST '18, whose
/// point is that one answer for all of it, be it to crash, to cut off or to forget, is wrong).
///
/// | found                                              | becomes                                 |
/// |----------------------------------------------------|-----------------------------------------|
/// | no row, no entries, no state                       | a replica that starts for the first time|
/// | the log as it was written                          | sound                                   |
/// | bad entries, all of them applied                   | sound; the log begins behind them       |
/// | bad or missing entries that are not applied        | recovering behind what is good          |
/// | the state ends where no good entry stands          | begins anew, from the leader            |
/// | the state ends before the log begins               | begins anew, from the leader            |
/// | the state cannot be read, the log is whole since its first entry | the state is made again from the log |
/// | the state cannot be read                           | begins anew, from the leader            |
/// | the row of term and vote missing or unreadable     | dead                                    |
/// | the row older than the log or than the state       | dead                                    |
///
/// `raft/` that does not open is the last kind too, for all groups of the node. The row stands in
/// one atomic write with every change of the log and names the log's end, so each of the two
/// convicts the other.
///
/// **What no start finds**: a log that is cut at its very end, by whole writes. Row and entries then are
/// what an earlier write made them, as after a crash that came before the lost writes. The state
/// convicts them as far as it was made durable behind them; what was acknowledged since, at most
/// `MetaLogSettings.flushBytes` and what is not applied, it cannot know of. Another witness would
/// have to be durable before every acknowledgement, which is a second sync for each write, on the very
/// device that is doubted. One that is not synced is there when a process has ended, and then the
/// log is whole; after a power cut, when the log may not be, it is gone as well. So the others are
/// the witness: a leader counts on what this replica acknowledged, and its first heartbeat or
/// append names it (`ReplicaFault.entriesLost`). Until then what was cut off has one copy fewer than
/// its acknowledgement promised, and a vote of this replica may go to somebody who lacks it.
package enum ReplicaFinding: Equatable, Sendable {
    case new
    case whole
    case historyLost(LogBreak, applied: LogIndex)
    case entriesLost(LogBreak, held: LogPosition, end: LogPosition)
    case stateAheadOfLog(LogBreak, applied: LogIndex)
    case stateBehindLog(applied: LogIndex, begins: LogPosition)
    case stateUnreadable(String, isLogComplete: Bool)
    case rowMissing
    case rowUnreadable(String)
    case rowOlderThanLog(end: LogPosition)
    case rowOlderThanState(end: LogPosition, applied: LogIndex)
}

/// Where the good entries of a log end before the log does, and why.
package struct LogBreak: Equatable, Sendable, CustomStringConvertible {
    package enum Cause: Equatable, Sendable {
        case missing
        case unreadable(String)
        /// It does not continue the chain of the entries before it.
        case strange
    }

    /// The first index without a good entry.
    package let index: LogIndex
    package let cause: Cause

    package init(index: LogIndex, cause: Cause) {
        self.index = index
        self.cause = cause
    }

    package var description: String {
        switch self.cause {
        case .missing: "entry \(self.index) is missing"
        case .unreadable(let reason): "entry \(self.index) cannot be read: \(reason)"
        case .strange: "entry \(self.index) does not continue the log"
        }
    }
}

/// What becomes of a replica.
package enum ReplicaVerdict: Equatable, Sendable {
    /// It holds everything that it ever acknowledged.
    case sound
    /// It keeps what is good, remembers where its log ended, and catches up (`RaftReplica`).
    case recovering
    /// It drops log and state, remembers where its log ended, and gets both from the leader: as
    /// entries where the leader has them all, else by a snapshot.
    case beginsAnew
    /// It may have forgotten a vote, and nobody can say which: it must not take part again (Raft
    /// thesis §3.8).
    case dead
}

extension ReplicaFinding {
    package var verdict: ReplicaVerdict {
        switch self {
        case .new, .whole, .historyLost, .stateUnreadable(_, isLogComplete: true): .sound
        case .entriesLost: .recovering
        case .stateAheadOfLog, .stateBehindLog, .stateUnreadable(_, isLogComplete: false):
            .beginsAnew
        case .rowMissing, .rowUnreadable, .rowOlderThanLog, .rowOlderThanState: .dead
        }
    }
}

extension ReplicaFinding {
    /// Nothing to tell anybody.
    package var isOrdinary: Bool { self == .new || self == .whole }
}

extension ReplicaFinding: CustomStringConvertible {
    /// For the operator: what was found, and what happens now.
    package var description: String {
        switch self {
        case .new: "nothing is here yet"
        case .whole: "the log is whole"
        case .historyLost(let cause, let applied):
            "\(cause); it was applied long ago, so nothing is lost: the log now begins behind "
                + "entry \(applied)"
        case .entriesLost(let cause, let held, let end):
            "\(cause); entries are good through \(held) and had reached \(end): the leader sends "
                + "the rest again, and until then this replica does not lead, and votes only for "
                + "who holds as much"
        case .stateAheadOfLog(let cause, let applied):
            "\(cause), and the state, which ends at entry \(applied), cannot be joined to the log "
                + "behind it: this replica begins anew from the leader's"
        case .stateBehindLog(let applied, let begins):
            "the state ends at entry \(applied), but the log begins only behind \(begins): this "
                + "replica begins anew from the leader's"
        case .stateUnreadable(let reason, isLogComplete: true):
            "the state cannot be read (\(reason)): it is made again from the log, which is whole"
        case .stateUnreadable(let reason, isLogComplete: false):
            "the state cannot be read (\(reason)): this replica begins anew from the leader's"
        case .rowMissing: "term and vote are gone, though there are entries or a state"
        case .rowUnreadable(let reason): "term and vote cannot be read: \(reason)"
        case .rowOlderThanLog(let end):
            "term and vote are older than the log, which goes on behind \(end)"
        case .rowOlderThanState(let end, let applied):
            "term and vote are older than the state: the log ends at \(end), and entry \(applied) "
                + "has been applied"
        }
    }
}
