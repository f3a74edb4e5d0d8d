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
        guard let batch = self.proposing.removeValue(forKey: answer.ticket) else { return }
        switch answer.outcome {
        case .appended(let term, let first):
            self.inLog[first] = (term, batch)
        case .refused(let refusal):
            let told = GroupRefusal(refusal)
            for waiter in batch.waiters { waiter.answer.resume(returning: .refused(told)) }
        }
    }

    /// An entry is applied: who proposed it hears the results, and who had proposed another entry
    /// for its place hears that it never was and never will be applied.
    func decide(_ outcome: AppliedRun.Outcome) {
        guard let (term, batch) = self.inLog.removeValue(forKey: outcome.index) else { return }
        guard term == outcome.term else {
            let told = GroupRefusal.notLeader(hint: self.replica.status.leader)
            for waiter in batch.waiters { waiter.answer.resume(returning: .refused(told)) }
            return
        }
        var next = 0
        for waiter in batch.waiters {
            let results = outcome.results[next..<next + waiter.commandCount]
            next += waiter.commandCount
            waiter.answer.resume(
                returning: .applied(at: outcome.index, results: Array(results)))
        }
    }

    func take(_ answer: ReadAnswer) {
        guard let waiter = self.reading.removeValue(forKey: answer.ticket) else { return }
        switch answer.outcome {
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
    /// answer has no taker, so nothing may be said of its outcome.
    func giveUp(_ ticket: UInt64) {
        if let waiter = self.reading.removeValue(forKey: ticket) {
            waiter.answer.resume(returning: .failure(.tooLate))
        }
        if let place = self.readsAwaitingApply.firstIndex(where: { $0.waiter.ticket == ticket }) {
            let (_, waiter) = self.readsAwaitingApply.remove(at: place)
            waiter.answer.resume(returning: .failure(.tooLate))
        }
    }
}

extension GroupRefusal {
    init(_ refusal: Refusal) {
        switch refusal {
        case .notLeader(let hint): self = .notLeader(hint: hint)
        case .handingOver(let node): self = .notLeader(hint: node)
        case .overloaded: self = .overloaded
        case .tooLarge: self = .overloaded
        }
    }
}
