import Primitives

/// Linearizable reads without the log (ReadIndex, thesis §6.4): the commit index of a leader that
/// was still the leader after the read began. No clock takes part.
///
/// Rounds are numbered, every heartbeat carries the highest number, and the numbers that followers
/// answered are counted like match indices. A number is given out once: one that was reused for a
/// retry would accept the confirmations of the first try, and answer with a state that is too old
/// (etcd #20418).
extension RaftReplica {
    mutating func requestRead(ticket: UInt64) {
        guard self.role == .leader else {
            self.answer(read: ticket, .refused(.notLeader(hint: self.leader)))
            return
        }
        guard self.leadership.reads.waiting < self.configuration.maximumWaitingReads else {
            self.answer(read: ticket, .refused(.overloaded))
            return
        }
        self.leadership.reads.newcomers.append(ticket)
    }

    /// Starts a round for the reads that came since the last one. They wait while the term has
    /// committed nothing: its leader does not know yet how far the ones before it had committed
    /// (etcd #7331).
    mutating func startReadRound() {
        guard !self.leadership.reads.newcomers.isEmpty,
            self.leadership.reads.rounds.count < self.configuration.maximumReadRounds,
            self.log.anchor(at: self.commit)?.term == self.term
        else { return }
        self.leadership.reads.position += 1
        let round = WaitingReads.Round(
            position: self.leadership.reads.position, index: self.commit,
            tickets: self.leadership.reads.newcomers)
        self.leadership.reads.rounds.append(round)
        self.leadership.reads.newcomers.removeAll()
        self.sendHeartbeats()
        self.confirmReads()
    }

    /// Answers the rounds that a quorum has confirmed.
    mutating func confirmReads() {
        guard !self.leadership.reads.rounds.isEmpty else { return }
        let confirmed = self.quorum.reached { node in
            node == self.node
                ? self.leadership.reads.position
                : self.leadership.progress[node]?.confirmedRead ?? 0
        }
        let done = self.leadership.reads.rounds.prefix { $0.position <= confirmed }
        for round in done {
            for ticket in round.tickets { self.answer(read: ticket, .ready(round.index)) }
        }
        self.leadership.reads.rounds.removeFirst(done.count)
    }
}
