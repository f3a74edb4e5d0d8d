import Primitives
import Wire

/// Changes of the configuration, by joint consensus (thesis §4.3), each in force on a replica once it
/// has *applied* the entry, as in etcd's raft; the thesis would have it in force once it is appended.
///
/// What makes the later moment safe:
///
/// 1. One change at a time: a leader takes none while its log holds a configuration that it has not
///    applied, nor before the first entry of its term is.
/// 2. The entry that ends a joint configuration is proposed only where the joint one is applied. So
///    it travels with a commit index at or behind the joint entry, and that index is persisted in
///    the same write: whoever holds the later configuration knows that the joint one is committed.
/// 3. Nobody stands for election while it knows of a committed configuration that it has not
///    applied. With 2, a candidate that would count the votes of the old configuration alone lacks
///    the entry of the new one, and a majority of the old voters, who hold it, do not vote for it.
///
/// The price is in liveness: a candidate may have to apply first (etcd #12359). And whoever has
/// applied the end of a joint configuration that it is not in stands no more, but is still asked by
/// those who have not; had its log gone on behind that entry, it would refuse them for ever. So:
///
/// 4. A leader takes no proposals from the entry that ends a joint configuration until it has
///    applied it. A round trip later it takes them again, or another leads.
///
/// A replica that was removed disturbs nobody: who hears a leader answers no question for a vote (PreVote, §9.6).
extension RaftReplica {
    /// The voters but ourselves, in order.
    var otherVoters: [NodeID] { self.quorum.members.filter { $0 != self.node } }

    /// Whether we may ask for votes: as a voter that holds everything it ever acknowledged and can
    /// show what comes of it, and by the newest configuration that we know to be committed (rule 3).
    var mayStand: Bool {
        guard self.quorum.contains(self.node), !self.isRecovering, self.hasState else {
            return false
        }
        guard let next = self.log.configurations.first else { return true }
        return next.index > self.commit
    }

    /// Whether the entry that ends the joint configuration stands in the log, and is not applied
    /// (rule 4).
    var isLeavingJoint: Bool { self.members.isJoint && !self.log.configurations.isEmpty }

    mutating func changeConfiguration(
        toVoters voters: [NodeID], learners: [NodeID], ticket: UInt64
    ) {
        guard self.role == .leader else {
            self.answer(proposal: ticket, .refused(.notLeader(hint: self.leader)))
            return
        }
        if let successor = self.leadership.successor {
            self.answer(proposal: ticket, .refused(.handingOver(to: successor)))
            return
        }
        guard !self.members.isJoint, self.log.configurations.isEmpty,
            self.applied >= self.leadership.firstIndex
        else {
            self.answer(proposal: ticket, .refused(.changing))
            return
        }
        let next = self.members.step(toVoters: voters, learners: learners)
        guard next.isWellFormed else {
            self.answer(proposal: ticket, .refused(.malformedConfiguration))
            return
        }
        self.answer(
            proposal: ticket, .appended(term: self.term, first: self.log.last.index.next))
        self.append(next)
    }

    private mutating func append(_ configuration: Configuration) {
        self.log.append([
            Entry(
                after: self.log.last, term: self.term, kind: .configuration,
                payload: configuration.encoded)
        ])
    }

    /// A leader in a joint configuration leads out of it, whoever began the change: the client that
    /// asked for it may be gone.
    mutating func leaveJointWhenPossible() {
        guard self.role == .leader, self.members.isJoint, self.log.configurations.isEmpty,
            self.applied >= self.leadership.firstIndex
        else { return }
        self.append(self.members.withoutOutgoing)
    }

    /// A configuration is applied: from here on it decides.
    mutating func enter(_ configuration: Configuration) {
        // Who leaves hears of the commit that lets it go, if it can hear: it will not be told again.
        if self.role == .leader { self.sendAppends() }
        self.setMembers(configuration)
        switch self.role {
        case .follower:
            break
        case .preCandidate, .candidate:
            // What was counted was counted by another configuration.
            self.becomeFollower(in: self.term, of: nil)
        case .leader:
            self.enterAsLeader()
        }
    }

    private mutating func enterAsLeader() {
        guard self.quorum.contains(self.node) else {
            // Removed, or a learner from here on; the change is committed, and ours is done (§4.2.2).
            self.becomeFollower(in: self.term, of: nil)
            return
        }
        let known = self.leadership.progress
        self.leadership.progress = [:]
        for peer in self.peers {
            var newcomer = self.newProgress(next: self.log.last.index.next)
            // It gets a whole interval to be heard from before CheckQuorum misses it.
            newcomer.isRecentlyActive = true
            self.leadership.progress[peer] = known[peer] ?? newcomer
        }
        if let handover = self.leadership.handover, !self.members.voters.contains(handover.node) {
            self.leadership.handover = nil
        }
        // Fewer voters may have reached what more had not.
        self.commitWhatAQuorumHolds()
        self.confirmReads()
    }
}
