import Primitives

/// What one replica of a group says to another. The group stands in the transport's envelope.
package struct RaftMessage: Hashable, Sendable {
    /// The sender's current term.
    package let term: Term
    package let from: NodeID
    package let body: Body

    package init(term: Term, from: NodeID, body: Body) {
        self.term = term
        self.from = from
        self.body = body
    }

    package enum Body: Hashable, Sendable {
        /// "Would you vote for me in the term after mine?" (Raft thesis §9.6.)
        case preVoteRequest(VoteRequest)
        case preVoteAnswer(PreVoteAnswer)
        /// "Vote for me in my term" (thesis §3.4).
        case voteRequest(VoteRequest)
        case voteAnswer(VoteAnswer)
        case append(Append)
        case appendAccepted(AppendAccepted)
        case appendRefused(AppendRefused)
        case heartbeat(Heartbeat)
        case heartbeatAnswer(HeartbeatAnswer)
        /// "Stand for election at once": the leader hands over (thesis §3.10). Whoever would not is
        /// heard at once, by a heartbeat's answer that says so.
        case timeoutNow
        /// "Your term is over": the answer to a request of an older term.
        case newerTerm
        /// "Your log ends before mine begins; here is a state to go on from" (thesis §5). Nothing
        /// answers it: a follower that has such a state by whatever way accepts the next append.
        case snapshotOffer(SnapshotOffer)
    }

    /// Whether this is a heartbeat or its answer, which travel on their own (coalesced over all
    /// groups of a pair of nodes) and never behind data.
    package var isHeartbeat: Bool {
        switch self.body {
        case .heartbeat, .heartbeatAnswer: true
        case .preVoteRequest, .preVoteAnswer, .voteRequest, .voteAnswer, .append, .appendAccepted,
            .appendRefused, .timeoutNow, .newerTerm, .snapshotOffer:
            false
        }
    }
}

package struct VoteRequest: Hashable, Sendable {
    /// The candidate's last entry.
    package let last: LogPosition
    /// The leader asked for this election, so its own followers need not protect it.
    package let isHandover: Bool

    package init(last: LogPosition, isHandover: Bool) {
        self.last = last
        self.isHandover = isHandover
    }
}

package struct PreVoteAnswer: Hashable, Sendable {
    /// The term the asker would campaign in.
    package let campaignTerm: Term
    package let granted: Bool

    package init(campaignTerm: Term, granted: Bool) {
        self.campaignTerm = campaignTerm
        self.granted = granted
    }
}

package struct VoteAnswer: Hashable, Sendable {
    package let granted: Bool

    package init(granted: Bool) { self.granted = granted }
}

/// "Behind `previous` come `entries`" (AppendEntries, Raft thesis §3.5).
package struct Append: Hashable, Sendable {
    package let previous: LogAnchor
    /// Consecutive, the first one behind `previous`; at most the configured bytes, or one entry.
    package let entries: [Entry]
    /// The leader's commit index.
    package let commit: LogIndex

    package init(previous: LogAnchor, entries: [Entry], commit: LogIndex) {
        self.previous = previous
        self.entries = entries
        self.commit = commit
    }

    /// The index of the last entry that the sender's and the receiver's logs have in common once
    /// the append is accepted.
    package var last: LogIndex { self.entries.last?.index ?? self.previous.index }
}

/// "My log is durable, and equal to yours, up to `match`."
package struct AppendAccepted: Hashable, Sendable {
    package let match: LogIndex

    package init(match: LogIndex) { self.match = match }
}

/// "I do not hold the entry before yours."
package struct AppendRefused: Hashable, Sendable {
    /// The index that the refused append had to stand behind; it names the append.
    package let previous: LogIndex
    /// The highest position in the follower's log, at or below `previous`, whose term is not above
    /// that of the append's previous entry: everything above it cannot match, whole terms at a
    /// time.
    package let hint: LogPosition
    /// The follower's storage has lost entries: what it acknowledged behind the hint is no longer
    /// there.
    package let hasLostEntries: Bool

    package init(previous: LogIndex, hint: LogPosition, hasLostEntries: Bool = false) {
        self.previous = previous
        self.hint = hint
        self.hasLostEntries = hasLostEntries
    }
}

/// "I am still the leader."
package struct Heartbeat: Hashable, Sendable {
    /// The commit index, as far as the receiver is known to hold the log.
    package let commit: LogIndex
    /// The chain hash of the leader's log at `commit`, where its memory reaches back to it. The
    /// receiver's log has the same there, or one of the two is damaged.
    package let chain: UInt64?
    /// The highest read position that waits to be confirmed.
    package let readPosition: UInt64
    /// The leader waits for the answer: a read, or what the receiver still lacks, depends on it. That
    /// of another heartbeat may wait until its sender has something to say anyway.
    package let isUrgent: Bool

    package init(
        commit: LogIndex, chain: UInt64? = nil, readPosition: UInt64, isUrgent: Bool = true
    ) {
        self.commit = commit
        self.chain = chain
        self.readPosition = readPosition
        self.isUrgent = isUrgent
    }
}

package struct HeartbeatAnswer: Hashable, Sendable {
    /// That of the heartbeat.
    package let readPosition: UInt64
    /// The sender would stand for election at once if it was asked to: see `timeoutNow`.
    package let mayTakeOver: Bool

    package init(readPosition: UInt64, mayTakeOver: Bool) {
        self.readPosition = readPosition
        self.mayTakeOver = mayTakeOver
    }
}

/// A state of the group that the sender holds ready to be fetched.
package struct SnapshotOffer: Hashable, Sendable {
    /// Names the state at its sender.
    package let snapshot: SnapshotID
    /// The last entry that is in it.
    package let anchor: LogAnchor

    package init(snapshot: SnapshotID, anchor: LogAnchor) {
        self.snapshot = snapshot
        self.anchor = anchor
    }
}

/// Names a snapshot among those that its maker ever made.
package struct SnapshotID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package var description: String { "\(self.rawValue)" }
}
