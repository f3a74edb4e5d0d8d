import Primitives

/// What a replica wants done. The fields stand in the order in which they are to be carried out.
package struct Effects: Sendable {
    /// To be sent at once, and before everything else: they must not wait behind data or a disk.
    /// The caller may coalesce those of many groups.
    package var heartbeats: [Outgoing] = []
    /// To be sent now, in this order, before the write: a leader's appends travel while its own
    /// disk works (Raft thesis §10.2.1).
    package var messages: [Outgoing] = []
    /// To be made durable, in order with the writes before it, and then to be reported.
    package var write: LogWrite?
    /// Entries that a follower needs and the memory no longer has: to be read from the storage, and
    /// answered by `RaftInput.loaded`, each once.
    package var loads: [LoadRequest] = []
    /// Committed entries, durable here, to be applied in order; `RaftInput.applied` reports them. A
    /// configuration is kept with the state, in the same write as the index that it is applied at.
    package var apply: [Entry] = []
    /// The answers to proposals, in the order of the proposals.
    package var proposals: [ProposalAnswer] = []
    /// The answers to requests for a read index.
    package var reads: [ReadAnswer] = []
    /// The role, the term or the leader changed: how they are now.
    package var roleChange: RoleChange?
    /// These followers need entries that even the storage no longer has. Repeated with every
    /// periodic heartbeat while it is so; such a follower goes on by itself once it holds a later
    /// state.
    package var snapshotsNeeded: [NodeID] = []
    /// The leader holds a state ready that leads further than the log here. To be fetched, unless
    /// that is under way; `RaftReplica.restart(installing:)` says what to do with it then. Repeated
    /// by the leader while it is so.
    package var snapshotOffered: OfferedSnapshot?
    /// Proof that a log is damaged, here or at a peer. The replica ignored what showed it; the
    /// caller stops the group and treats its storage as damaged.
    package var faults: [ReplicaFault] = []

    package init() {}

    package var isEmpty: Bool {
        self.heartbeats.isEmpty && self.messages.isEmpty && self.write == nil
            && self.loads.isEmpty && self.apply.isEmpty && self.proposals.isEmpty
            && self.reads.isEmpty && self.roleChange == nil && self.snapshotsNeeded.isEmpty
            && self.snapshotOffered == nil && self.faults.isEmpty
    }
}

/// A message and whom it is for.
package struct Outgoing: Hashable, Sendable {
    package let to: NodeID
    package let message: RaftMessage
    /// Nothing depends on when the message comes, as long as it comes within a heartbeat's time: it
    /// may leave together with what else goes to the same node by then.
    package let canWait: Bool

    package init(to: NodeID, message: RaftMessage, canWait: Bool = false) {
        self.to = to
        self.message = message
        self.canWait = canWait
    }
}

/// What the storage must hold before anybody may be told.
package struct LogWrite: Sendable {
    /// Consecutive; they replace whatever the storage has from the first one's index on.
    package let entries: [Entry]
    package let hardState: HardState?
    /// To be sent once this write and all writes before it are durable: votes, acknowledgements,
    /// requests for votes. Sent earlier, a crash could make us give a vote twice or lose what a
    /// commit counted on (thesis §3.8).
    package let messages: [Outgoing]
    /// To be given back by `RaftInput.persisted` when the messages have been sent.
    package let token: WriteToken

    package init(
        entries: [Entry], hardState: HardState?, messages: [Outgoing], token: WriteToken
    ) {
        self.entries = entries
        self.hardState = hardState
        self.messages = messages
        self.token = token
    }

    /// Nothing to write: the messages wait for the writes before.
    package var isEmpty: Bool { self.entries.isEmpty && self.hardState == nil }
}

/// An offer, and who made it.
package struct OfferedSnapshot: Hashable, Sendable {
    package let offer: SnapshotOffer
    package let from: NodeID

    package init(offer: SnapshotOffer, from: NodeID) {
        self.offer = offer
        self.from = from
    }
}

package struct LoadRequest: Hashable, Sendable {
    package let peer: NodeID
    /// The first index wanted; the answer has the anchor before it too.
    package let from: LogIndex
    /// The last index wanted. All that is asked for is applied and durable, so it cannot change,
    /// and an answer is true however late it comes. What lies behind may be about to be replaced.
    package let through: LogIndex
    /// Enough when the entries come to this many bytes; one entry at least.
    package let limitBytes: Int

    package init(peer: NodeID, from: LogIndex, through: LogIndex, limitBytes: Int) {
        self.peer = peer
        self.from = from
        self.through = through
        self.limitBytes = limitBytes
    }
}

/// Why something was not done. Values, not errors: a client's proxy acts on them.
package enum Refusal: Hashable, Sendable {
    /// Another replica leads, perhaps `hint`.
    case notLeader(hint: NodeID?)
    /// The leader is handing over to this node.
    case handingOver(to: NodeID)
    /// A bound is reached; nothing was done, and trying later may help.
    case overloaded
    /// The payload is larger than an entry may be.
    case tooLarge(limitBytes: Int)
    /// A change of the configuration is under way, or the leader's term has only just begun; for
    /// proposals of other kinds, the change is about to end.
    case changing
    /// No group can have this configuration.
    case malformedConfiguration
}

package struct ProposalAnswer: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// The payloads are the entries from `first` on, in `term`. They are decided when the entry
        /// at such an index is applied: with this term, it is that payload; with another, the
        /// payload was never and will never be applied.
        case appended(term: Term, first: LogIndex)
        case refused(Refusal)
    }

    package let ticket: UInt64
    package let outcome: Outcome
}

package struct ReadAnswer: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// A state that has this index applied shows everything that was acknowledged before the
        /// request.
        case ready(LogIndex)
        case refused(Refusal)
    }

    package let ticket: UInt64
    package let outcome: Outcome
}

package enum RaftRole: Hashable, Sendable {
    /// Follows the leader, if it knows one.
    case follower
    /// Asks whether it could win before it disturbs anybody (thesis §9.6). Entered by timeout.
    case preCandidate
    /// Asks for votes. Entered with enough pre-votes, or at a leader's request.
    case candidate
    /// Entered with the votes of a quorum; left when a newer term shows, or no quorum answers.
    case leader
}

package struct RoleChange: Hashable, Sendable {
    package let role: RaftRole
    package let term: Term
    package let leader: NodeID?
}

/// Proof that somewhere a log is not what its owner believes. Facts for the log line.
package enum ReplicaFault: Hashable, Sendable {
    /// Two logs hold this position with different histories.
    case diverged(at: LogPosition, peer: NodeID, ours: UInt64, theirs: UInt64)
    /// A leader sent entries that replace committed ones.
    case commitContradicted(at: LogPosition, by: NodeID, commit: LogIndex)
    /// Another replica claims to lead the term that we lead.
    case secondLeader(NodeID, term: Term)
    /// A leader counts on entries that our log no longer has.
    case entriesLost(leader: NodeID, commit: LogIndex, last: LogPosition)
    /// Entries in a message do not follow one another, or their chain is not theirs.
    case malformedEntries(from: NodeID, after: LogPosition)
    /// Entries from our storage do not follow one another, or their chain is not theirs.
    case damagedStorage(after: LogPosition)
}
