import Primitives

/// What a replica must not forget, besides its log (Raft thesis figure 3.1).
package struct HardState: Hashable, Sendable {
    package let term: Term
    /// Whom the replica voted for in `term`.
    package let vote: NodeID?
    /// Known to be committed. Written along with other things only: a lower value found at start
    /// costs a repeated message, nothing else.
    package let commit: LogIndex
    /// Where the log ended before its storage lost entries of it: the replica is *recovering* (see
    /// `RaftReplica+Recovery`). Nil while the log is whole.
    package let remembered: LogPosition?

    package init(term: Term, vote: NodeID?, commit: LogIndex, remembered: LogPosition? = nil) {
        self.term = term
        self.vote = vote
        self.commit = commit
        self.remembered = remembered
    }

    /// Of a replica that starts for the first time.
    package static let initial = HardState(term: .zero, vote: nil, commit: .zero)
}

/// The log as its storage has it at start.
package struct RestoredLog: Hashable, Sendable {
    /// The last entry that was truncated away; zero if none was.
    package let truncated: LogAnchor
    /// The entry before the first of `entries`: at or behind `truncated`, and not behind what is
    /// applied.
    package let before: LogAnchor
    /// All stored entries behind `before`; the caller has checked that they follow one another.
    package let entries: [Entry]

    package init(truncated: LogAnchor, before: LogAnchor, entries: [Entry]) {
        self.truncated = truncated
        self.before = before
        self.entries = entries
    }

    /// Of a replica that starts for the first time.
    package static let empty = RestoredLog(truncated: .zero, before: .zero, entries: [])
}
