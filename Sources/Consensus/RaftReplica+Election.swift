import Primitives

/// Elections (thesis §3.4), preceded by a question (§9.6) and guarded by CheckQuorum (§6.2).
extension RaftReplica {
    /// How many timeouts are short after the leader was found to be gone; each is longer than the
    /// one before, so that candidates who collide drift apart.
    private static let hurriedAttempts = 4
    /// How many election timeouts a reluctant replica lets pass before it stands all the same.
    private static let reluctantTimeouts = 4

    /// Whether a leader was heard from within the shortest election timeout (for a leader: whether
    /// it still leads). Elections that others want do not disturb us then.
    var hearsLeader: Bool {
        self.leader != nil && self.electionElapsed < self.configuration.electionTicks
    }

    mutating func tick() {
        self.electionElapsed += 1
        switch self.role {
        case .follower, .preCandidate, .candidate:
            if self.electionElapsed >= self.electionTimeout { self.timedOut() }
        case .leader:
            self.tickAsLeader()
        }
    }

    /// After how many ticks, at the earliest, a tick does more than count; 1 at least. Nothing is
    /// missed by whoever hands in so many ticks together.
    package var ticksUntilDue: Int {
        switch self.role {
        case .follower, .preCandidate, .candidate:
            return max(1, self.electionTimeout - self.electionElapsed)
        case .leader:
            return max(
                1,
                min(
                    self.configuration.electionTicks - self.electionElapsed,
                    self.ticksUntilHandoverEnds,
                    self.configuration.heartbeatTicks - self.leadership.heartbeatElapsed))
        }
    }

    /// No leader was heard from for an election timeout.
    private mutating func timedOut() {
        guard self.mayStand else { return self.letOthersStand() }
        switch self.candidacy {
        case .eager: self.askForPreVotes()
        case .reluctant where self.timeoutsLetPass >= Self.reluctantTimeouts:
            self.askForPreVotes()
        case .reluctant, .barred: self.letOthersStand()
        }
    }

    /// Forgets the leader, so that whoever stands has this replica's vote, and does not stand itself.
    private mutating func letOthersStand() {
        self.timeoutsLetPass += 1
        self.hurriesLeft = 0
        self.becomeFollower(in: self.term, of: nil)
    }

    mutating func setCandidacy(_ candidacy: Candidacy) {
        guard candidacy != self.candidacy else { return }
        self.candidacy = candidacy
        self.timeoutsLetPass = 0
        switch self.role {
        case .preCandidate, .candidate:
            if candidacy != .eager { self.becomeFollower(in: self.term, of: nil) }
        case .follower, .leader: break
        }
    }

    private mutating func tickAsLeader() {
        if self.electionElapsed >= self.configuration.electionTicks {
            self.electionElapsed = 0
            guard self.hasQuorumAnswered() else {
                self.becomeFollower(in: self.term, of: nil)
                return
            }
        }
        self.leadership.handover?.elapsed += 1
        if self.ticksUntilHandoverEnds <= 0 { self.leadership.handover = nil }
        self.leadership.heartbeatElapsed += 1
        if self.leadership.heartbeatElapsed >= self.configuration.heartbeatTicks {
            self.sendPeriodicHeartbeats()
        }
    }

    /// A handover gets the time of one election timeout to begin, and one to succeed.
    private var ticksUntilHandoverEnds: Int {
        self.leadership.handover.map { self.configuration.electionTicks - $0.elapsed } ?? .max
    }

    mutating func beat() {
        guard self.role == .leader, self.leadership.heartbeatElapsed > 0 else { return }
        self.sendPeriodicHeartbeats()
    }

    private mutating func sendPeriodicHeartbeats() {
        self.leadership.heartbeatElapsed = 0
        for peer in self.peers { self.leadership.progress[peer]?.isProbeDue = true }
        self.sendHeartbeats()
    }

    /// Whether a quorum was heard from since the last call. A leader that it was not heard from may
    /// have been replaced, and its clients should look elsewhere.
    private mutating func hasQuorumAnswered() -> Bool {
        let verdict = self.quorum.verdict { node in
            node == self.node || self.leadership.progress[node]?.isRecentlyActive == true
        }
        for peer in self.peers { self.leadership.progress[peer]?.activityChecked() }
        return verdict == .won
    }

    /// Draws how long to wait for a leader this time; anew each time, so that candidates who split
    /// the vote once do not go on doing so (thesis §3.4).
    mutating func resetElectionTimer() {
        func draw(below count: Int) -> Int { Int(self.generator.next() % UInt64(count)) }
        self.electionElapsed = 0
        if self.hurriesLeft > 0 {
            let attempt = Self.hurriedAttempts - self.hurriesLeft
            let jitter = self.configuration.hurriedElectionTicks
            self.hurriesLeft -= 1
            self.electionTimeout = attempt * jitter + 1 + draw(below: jitter * (attempt + 1))
        } else {
            let ticks = self.configuration.electionTicks
            self.electionTimeout = ticks + 1 + draw(below: ticks)
        }
    }

    // MARK: Changing role

    mutating func becomeFollower(in term: Term, of leader: NodeID?) {
        invariant(term >= self.term, "terms only grow")
        if term > self.term {
            self.term = term
            self.vote = nil
        }
        let hasLed = self.role == .leader
        self.role = .follower
        self.leader = leader
        self.ballot = [:]
        self.ownVoteWrite = nil
        if leader != nil {
            self.hurriesLeft = 0
            self.timeoutsLetPass = 0
        }
        self.resetElectionTimer()
        if hasLed { self.endLeadership() }
    }

    private mutating func endLeadership() {
        let reads = self.leadership.reads
        self.leadership = Leadership()
        for ticket in reads.rounds.flatMap(\.tickets) + reads.newcomers {
            self.answer(read: ticket, .refused(.notLeader(hint: self.leader)))
        }
    }

    private mutating func becomeLeader() {
        self.role = .leader
        self.leader = self.node
        self.ballot = [:]
        self.electionElapsed = 0
        self.hurriesLeft = 0

        self.leadership = Leadership()
        let next = self.log.last.index.next
        for peer in self.peers { self.leadership.progress[peer] = self.newProgress(next: next) }
        self.leadership.firstIndex = next
        // Entries of earlier terms are committed by one of ours behind them, never by counting who
        // holds them (Raft paper, figure 8); and until it is committed we do not know what is
        // committed, so no read is answered (thesis §6.4).
        self.log.append([Entry(after: self.log.last, term: self.term, kind: .noop, payload: [])])
    }

    /// Of a follower whose log is not known yet.
    func newProgress(next: LogIndex) -> Progress {
        Progress(
            next: next,
            window: InflightWindow(
                maximumMessages: self.configuration.maximumInflightAppends,
                maximumBytes: self.configuration.maximumInflightBytes))
    }

    /// The process of `node` is gone.
    mutating func forgetLeader(_ node: NodeID) {
        guard self.role == .follower, self.leader == node else { return }
        self.leader = nil
        self.hurriesLeft = Self.hurriedAttempts
        self.resetElectionTimer()
    }

    // MARK: Asking

    mutating func campaignWhenAsked() {
        if self.role != .leader, self.mayStand, self.candidacy == .eager { self.askForPreVotes() }
    }

    private mutating func askForPreVotes() {
        self.role = .preCandidate
        self.leader = nil
        self.ballot = [:]
        self.ownVoteWrite = nil
        self.resetElectionTimer()
        let request = VoteRequest(last: self.log.last.position, isHandover: false)
        for voter in self.otherVoters { self.send(.preVoteRequest(request), to: voter) }
        self.count(true, from: self.node)
    }

    private mutating func campaign(isHandover: Bool) {
        self.term = self.term.next
        self.vote = self.node
        self.role = .candidate
        self.leader = nil
        self.ballot = [:]
        self.ownVoteWrite = self.log.lastWrite + 1
        self.resetElectionTimer()
        // Behind the persist: a candidate that forgets its term could win it twice, with two
        // different logs.
        let request = VoteRequest(last: self.log.last.position, isHandover: isHandover)
        for voter in self.otherVoters { self.sendAfterPersist(.voteRequest(request), to: voter) }
    }

    /// Counts an answer; the first of a voter stands.
    mutating func count(_ granted: Bool, from voter: NodeID) {
        if self.ballot[voter] == nil { self.ballot[voter] = granted }
        switch self.quorum.verdict({ self.ballot[$0] }) {
        case .open:
            break
        case .lost:
            self.becomeFollower(in: self.term, of: nil)
        case .won:
            if self.role == .preCandidate {
                self.campaign(isHandover: false)
            } else {
                self.becomeLeader()
            }
        }
    }

    mutating func preVoteAnswered(_ answer: PreVoteAnswer, by voter: NodeID) {
        guard self.role == .preCandidate, answer.campaignTerm == self.term.next else { return }
        self.count(answer.granted, from: voter)
    }

    mutating func voteAnswered(_ answer: VoteAnswer, by voter: NodeID) {
        guard self.role == .candidate else { return }
        self.count(answer.granted, from: voter)
    }

    // MARK: Answering

    /// Says whether we would vote; promises nothing and changes nothing.
    mutating func answerPreVote(_ request: VoteRequest, of message: RaftMessage) {
        let campaignTerm = message.term.next
        let isLate = campaignTerm <= self.term
        if !isLate, self.hearsLeader { return }
        let granted = !isLate && request.last >= self.longestHeld
        self.send(
            .preVoteAnswer(PreVoteAnswer(campaignTerm: campaignTerm, granted: granted)),
            to: message.from)
    }

    /// Answers a request for our vote (thesis §3.4; §3.6.1 for what "up to date" means). Whether we
    /// vote at all is the candidate's to know: our own configuration may be older than its, and a
    /// learner that has been promoted without having heard of it must not be missing.
    mutating func answerVote(_ request: VoteRequest, from candidate: NodeID) {
        let isFree = self.vote == candidate || (self.vote == nil && self.leader == nil)
        guard isFree, request.last >= self.longestHeld else {
            self.send(.voteAnswer(VoteAnswer(granted: false)), to: candidate)
            return
        }
        self.vote = candidate
        self.resetElectionTimer()
        // Behind the persist: a vote that a crash can make us forget is a vote we can give twice.
        self.sendAfterPersist(.voteAnswer(VoteAnswer(granted: true)), to: candidate)
    }

    // MARK: Handing over (thesis §3.10)

    /// Whether we stand when a leader asks us to.
    var mayTakeOver: Bool { self.mayStand && self.candidacy == .eager }

    /// Asks the voter first whether it would take over: one that is recovering, whose state is being
    /// fetched or whose clock is wrong acknowledges like any other and does not stand, and proposals
    /// would be refused for nothing meanwhile.
    ///
    /// A handover that has begun is left alone and not prolonged, so that whoever goes on asking for
    /// handovers does not keep the group from its work.
    mutating func transferLeadership(to node: NodeID) {
        guard self.role == .leader, self.leadership.progress[node] != nil,
            self.members.voters.contains(node), self.leadership.successor == nil
        else { return }
        self.leadership.handover = Leadership.Handover(to: node)
        self.sendHeartbeat(to: node, isUrgent: true)
    }

    /// A voter has said whether it would take over.
    mutating func mayTakeOver(_ mayTakeOver: Bool, says peer: NodeID) {
        self.leadership.progress[peer]?.mayTakeOver = mayTakeOver
        guard let handover = self.leadership.handover, handover.node == peer else { return }
        guard mayTakeOver else {
            self.leadership.handover = nil
            return
        }
        if !handover.hasBegun { self.leadership.handover?.begin() }
        self.handOverWhenReady()
    }

    /// Tells the successor to stand once it holds the whole log, and again with each of its answers:
    /// the first word may have been lost.
    mutating func handOverWhenReady() {
        guard let successor = self.leadership.successor,
            self.leadership.progress[successor]?.match == self.log.last.index
        else { return }
        self.send(.timeoutNow, to: successor)
    }

    mutating func takeOver(from leader: NodeID) {
        guard self.role == .follower else { return }
        guard self.mayTakeOver else {
            self.send(
                .heartbeatAnswer(HeartbeatAnswer(readPosition: 0, mayTakeOver: false)), to: leader)
            return
        }
        self.campaign(isHandover: true)
    }
}
