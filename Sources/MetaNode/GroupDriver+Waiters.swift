import ClusterClient
import Consensus
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// Who waits for a proposal or a read, and when they hear.
extension GroupDriver {
    /// The replica took a proposal into its log, or refused it.
    func take(_ answer: ProposalAnswer) {
        guard var batch = self.proposing.removeValue(forKey: answer.ticket) else { return }
        switch answer.outcome {
        case .appended(let term, let first):
            // A leader that lost its place and a part of its log, and leads again, may come to an
            // index a second time. Its old entry there may still be committed by another leader.
            self.inLog[first]?.batch.tellAll(nil)
            self.inLog[first] = (term, batch)
        case .refused(let refusal):
            batch.tellAll(.refused(GroupRefusal(refusal)))
        }
    }

    /// An entry is applied: who proposed it hears the results, and who had proposed another entry
    /// for its place hears that it never was and never will be applied.
    func decide(_ outcome: AppliedRun.Outcome) {
        guard let proposed = self.inLog.removeValue(forKey: outcome.index) else { return }
        var batch = proposed.batch
        guard proposed.term == outcome.term else {
            batch.tellAll(.refused(.notLeader(hint: self.replica.status.leader)))
            return
        }
        guard outcome.results.count == batch.waiters.reduce(0, { $0 + $1.commandCount }) else {
            // The entry as a whole could not be read: nobody may be told anything of it.
            batch.tellAll(nil)
            return
        }
        var next = 0
        for waiter in batch.waiters {
            let results = outcome.results[next..<next + waiter.commandCount]
            next += waiter.commandCount
            waiter.answer?.resume(
                returning: .applied(at: outcome.index, results: Array(results)))
        }
    }

    func take(_ answer: ReadAnswer) {
        guard let waiter = self.reading.removeValue(forKey: answer.ticket) else { return }
        switch answer.outcome {
        case .ready(let index) where !waiter.isAppliedFirst:
            waiter.answer.resume(returning: .success(index))
        case .ready(let index) where index <= self.applied:
            waiter.answer.resume(returning: .success(self.applied))
        case .ready(let index):
            self.readsAwaitingApply.append((index, waiter))
        case .refused(let refusal):
            waiter.answer.resume(returning: .failure(GroupRefusal(refusal)))
        }
    }

    /// Answers the reads whose index is applied by now.
    func answerReads() {
        guard !self.readsAwaitingApply.isEmpty else { return }
        var waiting: [(index: LogIndex, waiter: ReadWaiter)] = []
        for (index, waiter) in self.readsAwaitingApply {
            if index <= self.applied {
                waiter.answer.resume(returning: .success(self.applied))
            } else {
                waiting.append((index, waiter))
            }
        }
        self.readsAwaitingApply = waiting
    }

    /// Somebody no longer wants to know. A command that stands in the log stays there; only its
    /// answer has no taker, so nothing is said of its outcome.
    func giveUp(_ ticket: UInt64) {
        if let waiter = self.reading.removeValue(forKey: ticket) {
            waiter.answer.resume(returning: .failure(.tooLate))
        }
        if let place = self.readsAwaitingApply.firstIndex(where: { $0.waiter.ticket == ticket }) {
            let (_, waiter) = self.readsAwaitingApply.remove(at: place)
            waiter.answer.resume(returning: .failure(.tooLate))
        }
        let standing = self.inLog.first { _, proposed in
            proposed.batch.waiters.contains { $0.ticket == ticket }
        }
        if let (index, _) = standing { self.inLog[index]?.batch.giveUp(ticket) }
    }

    /// What was proposed here may be decided without being seen here any more: nobody can say.
    func endProposals() {
        for ticket in self.proposing.keys.sorted() { self.proposing[ticket]?.tellAll(nil) }
        for index in self.inLog.keys.sorted() { self.inLog[index]?.batch.tellAll(nil) }
        self.proposing = [:]
        self.inLog = [:]
    }

    /// The group takes no further turn.
    func giveUpAll() {
        self.giveUpRequests()
        self.waitsForQuiet.take()?.resume(returning: false)
    }

    /// Who asked to read hears that it is too late, and who proposed that nobody can say. The group
    /// itself goes on, and who waits for it to stand still goes on waiting.
    func giveUpRequests() {
        self.endProposals()
        let readers =
            self.reading.keys.sorted().compactMap { self.reading[$0] }
            + self.readsAwaitingApply.map(\.waiter)
        for waiter in readers { waiter.answer.resume(returning: .failure(.tooLate)) }
        self.reading = [:]
        self.readsAwaitingApply = []
    }
}

extension GroupRefusal {
    init(_ refusal: Refusal) {
        switch refusal {
        case .notLeader(let hint): self = .notLeader(hint: hint)
        case .handingOver(let node): self = .notLeader(hint: node)
        case .overloaded, .changing: self = .overloaded
        case .tooLarge, .malformedConfiguration: self = .overloaded
        }
    }
}
