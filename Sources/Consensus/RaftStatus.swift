import Primitives

/// A replica as an operator sees it.
package struct RaftStatus: Sendable {
    package let node: NodeID
    package let members: Configuration
    package let role: RaftRole
    package let term: Term
    package let vote: NodeID?
    package let leader: NodeID?
    package let truncated: LogIndex
    package let applied: LogIndex
    package let commit: LogIndex
    package let persisted: LogIndex
    package let last: LogAnchor
    /// Where the log ended before its storage lost entries of it; nil once it is whole.
    package let remembered: LogPosition?
    /// What the log holds beyond what is applied.
    package let unappliedBytes: Int
    package let waitingReads: Int
    /// Whether the log holds a configuration that is not applied yet.
    package let isChanging: Bool
    /// Who is to take over, while proposals are refused for it.
    package let handingOverTo: NodeID?
    /// The followers, in order; empty unless leading.
    package let peers: [Peer]

    package struct Peer: Sendable {
        package let node: NodeID
        package let state: Progress.State
        package let match: LogIndex
        package let next: LogIndex
        /// It was heard from within the last two election timeouts.
        package let isRecentlyActive: Bool
        /// It is recently active, and would take over, as it last said.
        package let mayTakeOver: Bool
    }
}

extension RaftStatus {
    /// The members who vote, in order.
    package var voters: [NodeID] { self.members.quorum.members }
}

extension RaftReplica {
    /// The chain hash of the log at `index`, where the memory reaches back to it.
    package func chain(at index: LogIndex) -> UInt64? { self.log.anchor(at: index)?.chain }

    package var status: RaftStatus {
        RaftStatus(
            node: self.node, members: self.members, role: self.role, term: self.term,
            vote: self.vote,
            leader: self.leader, truncated: self.log.truncated.index, applied: self.applied,
            commit: self.commit, persisted: self.log.persisted, last: self.log.last,
            remembered: self.remembered,
            unappliedBytes: self.log.sizeBytes(after: self.applied, through: self.log.last.index),
            waitingReads: self.leadership.reads.waiting,
            isChanging: !self.log.configurations.isEmpty,
            handingOverTo: self.leadership.successor,
            peers: self.peers.compactMap { node in
                self.leadership.progress[node].map {
                    RaftStatus.Peer(
                        node: node, state: $0.state, match: $0.match, next: $0.next,
                        isRecentlyActive: $0.isRecentlyActive || $0.wasActiveBefore,
                        mayTakeOver: $0.mayTakeOver
                            && ($0.isRecentlyActive || $0.wasActiveBefore))
                }
            })
    }
}
