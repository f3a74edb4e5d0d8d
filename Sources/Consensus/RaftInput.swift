import Primitives

/// What can happen to a replica.
package enum RaftInput: Sendable {
    /// One more tick has passed.
    case tick
    /// The heartbeats of this node go out now, so that those of all its groups leave together. A
    /// leader whose own went out with the last tick sends none.
    case beat
    /// Whether this replica is to lead from now on. It goes on leading until leadership is handed
    /// over.
    case candidacy(Candidacy)
    /// A message of another replica of the group came, as the transport authenticated it.
    case message(RaftMessage)
    /// Append these payloads, in order, as one entry each. `Effects.proposals` answers the ticket.
    case propose(payloads: [[UInt8]], ticket: UInt64)
    /// Which index must be applied here before a linearizable read? `Effects.reads` answers.
    case readIndex(ticket: UInt64)
    /// A write and all before it are durable, and its messages are on their way.
    case persisted(WriteToken)
    /// Entries handed out in `Effects.apply` are applied through this index.
    case applied(through: LogIndex)
    /// The storage answers an `Effects.loads`.
    case loaded(LoadedEntries)
    /// The storage dropped the entries through this one (applied, and durable in the state machine;
    /// the caller decides how much to keep for followers).
    case truncated(through: LogAnchor)
    /// This node holds a state ready for the follower, asked for by `Effects.snapshotsNeeded`.
    /// Ignored unless leading, and unless the follower still needs one and could go on from this one.
    case offerSnapshot(SnapshotOffer, to: NodeID)
    /// The process of this node is gone: its connection was reset *and* a new one refused. A
    /// follower of it stands for election after a short jitter instead of a timeout. Safe however
    /// wrong the news is, because terms decide; it would not be under leases, and there are none.
    case forgetLeader(NodeID)
    /// Messages to this node were lost; stop pipelining.
    case unreachable(NodeID)
    /// Lead the group to these members, by one entry or (where the voters change) by two; the second
    /// one follows by itself, whoever leads then. `Effects.proposals` answers the ticket with the
    /// place of the first.
    case changeConfiguration(voters: [NodeID], learners: [NodeID], ticket: UInt64)
    /// Hand leadership over to this voter, when it says that it would take over. Ignored unless
    /// leading, for who does not vote or will not when the change under way is over, and while a
    /// handover is under way; given up when the voter says no, and after an election timeout.
    case transferLeadership(to: NodeID)
    /// Stand for election now, unless leading. At the start of a group its preferred voter may be
    /// told so, and a group of one, to save the timeout; where others hear a leader, none of them
    /// answers.
    case campaign
}

/// Whether a replica stands for election.
package enum Candidacy: Hashable, Sendable {
    /// When it hears no leader, or is asked to.
    case eager
    /// Only when nobody else has been elected within several election timeouts: others would lead
    /// better, but a group without a leader is worse.
    case reluctant
    /// Never: what it would answer as a leader is not to be trusted. It votes and takes entries.
    case barred
}

/// Names a write of `Effects.write`. Writes are numbered in the order they are handed out.
package struct WriteToken: Hashable, Sendable {
    package let number: UInt64

    package init(number: UInt64) { self.number = number }
}

/// The answer to a `LoadRequest`.
package struct LoadedEntries: Sendable {
    package enum Outcome: Sendable {
        /// The entry before the first one asked for, and consecutive entries from there on, none
        /// behind the last one asked for.
        case entries(previous: LogAnchor, [Entry])
        /// The storage no longer has the first one.
        case truncated
        /// The storage could not answer now. The leader asks again after the next heartbeat.
        case failed
    }

    package let peer: NodeID
    package let from: LogIndex
    package let outcome: Outcome

    package init(peer: NodeID, from: LogIndex, outcome: Outcome) {
        self.peer = peer
        self.from = from
        self.outcome = outcome
    }
}
