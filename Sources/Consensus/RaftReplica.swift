import Primitives

/// One replica of one Raft group, as a value: elections with PreVote and CheckQuorum, pipelined
/// replication, batched ReadIndex, asynchronous storage writes (Ongaro, "Consensus: Bridging Theory
/// and Practice", 2014, called *the thesis* in these files; the shape is that of etcd's raft).
///
/// It does no I/O and knows no clock. Its caller feeds it with `step(_:)`, as often as there is
/// something to tell, and takes what is to be done with `drain()`; nothing is decided in between,
/// so one `drain` may serve many `step`s, and batches more the busier the replica is. The same
/// inputs from the same state give the same effects: its only chance is a seeded generator inside.
///
/// **What the caller does with `Effects`**, field by field in the order of their declaration:
///
/// 1. Sends `heartbeats` and `messages` at once. They may be lost, repeated and reordered; order
///    kept between a pair of replicas saves work.
/// 2. Queues `write`. Writes of a group become durable in the order of their tokens; many writes,
///    also of many groups, may share one sync. Entries replace everything stored from the first
///    one's index on. A write that is empty still waits for the ones before it.
/// 3. When a write is durable: sends its messages, then steps `.persisted(token)`. Tokens may be
///    skipped: the last one of a batch speaks for all before it. A write that fails is never
///    retried and never reported: the process ends (Rebello et al., "Can Applications Recover from
///    fsync Failures?", ATC '20).
/// 4. Answers each of `loads` once by `.loaded`, at any time after.
/// 5. Applies `apply` in order, one call after the other, and steps `.applied(through:)` after any
///    part of it. Entries need not be durable in the state machine by then; but `.truncated` must
///    name only what is.
/// 6. Hands out `proposals`, `reads`, `roleChange`; offers those in `snapshotsNeeded` a state, and
///    fetches the one in `snapshotOffered`; and stops the group for `faults`.
///
/// **What the caller promises**: ticks come at an even pace; messages come from the replica they
/// name, of the same group; after a crash the replica is made again from what the last durable
/// write left, with the log checked to be consecutive and its chain to hold, and with an applied
/// index that is durable with its effects; or, when entries are lost, from what is left of it and
/// from where the log had ended (`HardState.remembered`). A replica whose storage was lost never comes back under
/// its old identity (it could vote twice). Nothing is stepped between taking a `drain` and queueing
/// its `write`.
package struct RaftReplica: Sendable {
    let configuration: RaftConfiguration
    /// The configuration in force: that of the last configuration entry applied.
    package internal(set) var members: Configuration
    private(set) var quorum: Quorum
    /// The other members, in order: everything that goes to several goes in this order.
    private(set) var peers: [NodeID]

    package internal(set) var term: Term
    var vote: NodeID?
    package internal(set) var role: RaftRole = .follower
    /// Whom this replica takes for the leader of its term.
    package internal(set) var leader: NodeID?

    var log: RaftLog
    /// Where the log ended before its storage lost entries of it, until it reaches as far again.
    package internal(set) var remembered: LogPosition?
    /// False from `loseState` on: nothing is handed out to be applied, and the replica does not lead.
    package internal(set) var hasState = true
    /// Known to be committed.
    package internal(set) var commit: LogIndex
    /// Reported as applied.
    package internal(set) var applied: LogIndex
    /// Handed out to be applied.
    var handedToApply: LogIndex

    /// Ticks since the leader was heard from, or since the current attempt to replace it; for a
    /// leader, since it last checked for a quorum.
    var electionElapsed = 0
    var electionTimeout = 0
    /// How many of the next election timeouts are short, because the leader is known to be gone.
    var hurriesLeft = 0
    var candidacy = Candidacy.eager
    /// Election timeouts that passed since a leader was heard and this replica did not stand.
    var timeoutsLetPass = 0
    var generator: SeededGenerator

    /// The answers to the pre-vote or the vote that is going on.
    var ballot: [NodeID: Bool] = [:]
    /// The write that makes a candidate's own vote durable; the vote counts from then on.
    var ownVoteWrite: UInt64?
    /// Empty unless leading.
    var leadership = Leadership()

    private var pending = Effects()
    private var pendingAfterPersist: [Outgoing] = []
    /// Term, vote and what is remembered, as the last write has them.
    private var written: HardState
    private var drainedRole: RoleChange

    /// A replica as its storage remembers it: `.initial` and `.empty` at its very first start.
    ///
    /// - Parameter applied: the durable applied index of the state machine.
    package init(
        configuration: RaftConfiguration, hardState: HardState, log: RestoredLog, applied: LogIndex
    ) {
        configuration.check()
        self.configuration = configuration
        self.members = configuration.members
        self.quorum = configuration.members.quorum
        self.peers = configuration.members.members.filter { $0 != configuration.node }
        self.term = hardState.term
        self.vote = hardState.vote
        self.log = RaftLog(restored: log)
        self.remembered = hardState.remembered
        self.commit = max(hardState.commit, applied)
        self.applied = applied
        self.handedToApply = applied
        self.generator = SeededGenerator(seed: configuration.seed)
        self.written = hardState
        self.drainedRole = RoleChange(role: .follower, term: hardState.term, leader: nil)

        invariant(
            log.before.index <= applied && self.commit <= self.log.last.index,
            "the storage holds every entry that is not applied, and all that are committed")
        invariant(self.term >= self.log.last.term, "no entry is of a later term than the replica")
        _ = self.log.takeConfigurations(through: applied)
        self.endRecoveryWhenWhole()
        self.resetElectionTimer()
    }

    package var node: NodeID { self.configuration.node }

    /// Takes in what happened.
    package mutating func step(_ input: RaftInput) {
        switch input {
        case .tick: self.tick()
        case .beat: self.beat()
        case .candidacy(let candidacy): self.setCandidacy(candidacy)
        case .message(let message): self.receive(message)
        case .propose(let payloads, let ticket): self.propose(payloads, ticket: ticket)
        case .readIndex(let ticket): self.requestRead(ticket: ticket)
        case .persisted(let token): self.persisted(token)
        case .applied(let index): self.applied(through: index)
        case .loaded(let answer): self.loaded(answer)
        case .truncated(let anchor): self.truncated(through: anchor)
        case .changeConfiguration(let voters, let learners, let ticket):
            self.changeConfiguration(toVoters: voters, learners: learners, ticket: ticket)
        case .forgetLeader(let node): self.forgetLeader(node)
        case .unreachable(let node): self.peerUnreachable(node)
        case .transferLeadership(let node): self.transferLeadership(to: node)
        case .campaign: self.campaignWhenAsked()
        case .offerSnapshot(let offer, let node): self.offer(offer, to: node)
        }
    }

    /// Everything that is to be done since the last time.
    package mutating func drain() -> Effects {
        if self.role == .leader {
            self.startReadRound()
            self.sendAppends()
        }
        self.handOutWrite()
        self.handOutCommitted()

        let now = RoleChange(role: self.role, term: self.term, leader: self.leader)
        if now != self.drainedRole {
            self.pending.roleChange = now
            self.drainedRole = now
        }
        var effects = Effects()
        swap(&effects, &self.pending)
        return effects
    }

    // MARK: Messages

    /// Sorts a message by its term (thesis §3.3, and §9.6 for the exceptions of PreVote). Senders
    /// need not be members as far as we know: others may have applied more of the log.
    private mutating func receive(_ message: RaftMessage) {
        guard message.from != self.node else { return }
        if message.term > self.term {
            guard self.adoptTerm(of: message) else { return }
        } else if message.term < self.term {
            guard self.outlives(message) else { return }
        }
        self.dispatch(message)
    }

    /// Whether a message of a later term is to be looked at; adopts the term unless it is a mere
    /// question.
    private mutating func adoptTerm(of message: RaftMessage) -> Bool {
        switch message.body {
        case .preVoteRequest:
            break
        case .voteRequest(let request):
            // As long as we hear a leader, somebody who does not is alone in that (thesis §4.2.3).
            if self.hearsLeader, !request.isHandover { return false }
            self.becomeFollower(in: message.term, of: nil)
        case .append, .heartbeat, .snapshotOffer:
            self.becomeFollower(in: message.term, of: message.from)
        case .preVoteAnswer, .voteAnswer, .appendAccepted, .appendRefused, .heartbeatAnswer,
            .timeoutNow, .newerTerm:
            self.becomeFollower(in: message.term, of: nil)
        }
        return true
    }

    /// Whether a message of an earlier term still means something. A sender that acts in the old
    /// term is told: under PreVote, a replica whose term is ahead has no other way to be heard.
    private mutating func outlives(_ message: RaftMessage) -> Bool {
        switch message.body {
        case .preVoteRequest, .preVoteAnswer:
            return true
        case .append, .heartbeat, .voteRequest, .snapshotOffer:
            self.send(.newerTerm, to: message.from)
            return false
        case .voteAnswer, .appendAccepted, .appendRefused, .heartbeatAnswer, .timeoutNow,
            .newerTerm:
            return false
        }
    }

    private mutating func dispatch(_ message: RaftMessage) {
        let from = message.from
        switch message.body {
        case .preVoteRequest(let request): self.answerPreVote(request, of: message)
        case .preVoteAnswer(let answer): self.preVoteAnswered(answer, by: from)
        case .voteRequest(let request): self.answerVote(request, from: from)
        case .voteAnswer(let answer): self.voteAnswered(answer, by: from)
        case .append(let append): self.follow(append, from: from)
        case .appendAccepted(let answer): self.appendAccepted(answer, by: from)
        case .appendRefused(let answer): self.appendRefused(answer, by: from)
        case .heartbeat(let heartbeat): self.follow(heartbeat, from: from)
        case .heartbeatAnswer(let answer): self.heartbeatAnswered(answer, by: from)
        case .timeoutNow: self.takeOver(from: from)
        case .newerTerm: break
        case .snapshotOffer(let offer): self.follow(offer, from: from)
        }
    }

    /// Takes on a configuration; what follows from it is `enter`'s to do.
    mutating func setMembers(_ members: Configuration) {
        self.members = members
        self.quorum = members.quorum
        self.peers = members.members.filter { $0 != self.node }
    }

    // MARK: Effects

    func message(_ body: RaftMessage.Body) -> RaftMessage {
        RaftMessage(term: self.term, from: self.node, body: body)
    }

    /// Only what a crash cannot make untrue: see `sendAfterPersist`.
    mutating func send(_ body: RaftMessage.Body, to peer: NodeID, canWait: Bool = false) {
        let outgoing = Outgoing(to: peer, message: self.message(body), canWait: canWait)
        if outgoing.message.isHeartbeat {
            self.pending.heartbeats.append(outgoing)
        } else {
            self.pending.messages.append(outgoing)
        }
    }

    /// What others count on: it leaves once term, vote and log, as they are now, are durable.
    mutating func sendAfterPersist(_ body: RaftMessage.Body, to peer: NodeID) {
        self.pendingAfterPersist.append(Outgoing(to: peer, message: self.message(body)))
    }

    mutating func answer(proposal ticket: UInt64, _ outcome: ProposalAnswer.Outcome) {
        self.pending.proposals.append(ProposalAnswer(ticket: ticket, outcome: outcome))
    }

    mutating func answer(read ticket: UInt64, _ outcome: ReadAnswer.Outcome) {
        self.pending.reads.append(ReadAnswer(ticket: ticket, outcome: outcome))
    }

    mutating func load(_ request: LoadRequest) { self.pending.loads.append(request) }

    mutating func needsSnapshot(_ peer: NodeID) {
        if !self.pending.snapshotsNeeded.contains(peer) {
            self.pending.snapshotsNeeded.append(peer)
        }
    }

    /// A newer offer takes the place of an older one.
    mutating func take(_ offer: SnapshotOffer, from leader: NodeID) {
        self.pending.snapshotOffered = OfferedSnapshot(offer: offer, from: leader)
    }

    mutating func fault(_ fault: ReplicaFault) { self.pending.faults.append(fault) }

    // MARK: The storage and the state machine

    private mutating func handOutWrite() {
        let mustWriteState =
            self.written.term != self.term || self.written.vote != self.vote
            || self.written.remembered != self.remembered
        let isEmpty = !mustWriteState && !self.log.hasUnwritten
        if isEmpty, !self.log.hasWritesUnderWay {
            self.pending.messages += self.pendingAfterPersist
            self.pendingAfterPersist.removeAll()
            return
        }
        if isEmpty, self.pendingAfterPersist.isEmpty { return }

        var hardState: HardState?
        if !isEmpty {
            // The commit index rides along: alone it is not worth a write.
            let now = HardState(
                term: self.term, vote: self.vote, commit: self.commit, remembered: self.remembered)
            if now != self.written { hardState = now }
            self.written = now
        }
        let (entries, number) = self.log.handOut()
        self.pending.write = LogWrite(
            entries: entries, hardState: hardState, messages: self.pendingAfterPersist,
            token: WriteToken(number: number))
        self.pendingAfterPersist.removeAll()
    }

    private mutating func persisted(_ token: WriteToken) {
        self.log.persisted(write: token.number)
        self.endRecoveryWhenWhole()
        if let own = self.ownVoteWrite, own <= token.number {
            self.ownVoteWrite = nil
            if self.role == .candidate { self.count(true, from: self.node) }
        }
        if self.role == .leader { self.commitWhatAQuorumHolds() }
        self.trimLog()
    }

    /// Hands out what is committed *and* durable here: were it only committed, the state machine
    /// could come back from a crash ahead of its log.
    private mutating func handOutCommitted() {
        let end = min(self.commit, self.log.persisted)
        guard self.handedToApply < end, self.hasState else { return }
        let applying = self.log.sizeBytes(after: self.applied, through: self.handedToApply)
        let room = self.configuration.maximumApplyingBytes - applying
        guard room > 0 else { return }
        let entries = self.log.entries(
            from: self.handedToApply.next, through: end, limitBytes: room)
        self.pending.apply = entries
        self.handedToApply = entries.last?.index ?? self.handedToApply
    }

    private mutating func applied(through index: LogIndex) {
        invariant(index <= self.handedToApply, "only what was handed out is applied")
        self.applied = max(self.applied, index)
        for configuration in self.log.takeConfigurations(through: index) {
            self.enter(configuration)
        }
        self.leaveJointWhenPossible()
        self.trimLog()
    }

    private mutating func trimLog() {
        self.log.trim(
            through: min(self.applied, self.log.persisted),
            limitBytes: self.configuration.maximumCachedBytes)
    }
}
