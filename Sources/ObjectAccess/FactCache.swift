import IORuntime
import Primitives
import Synchronization

/// What metadata said lately of some names, believed for a bounded time (DESIGN §6: what an edge
/// knows of rights is at most a second old).
///
/// One question serves all who want to know the same. From half its lifetime on, a fact is asked for
/// again by one of those who use it, while the others go on with what is known, so that a busy name
/// is never waited for.
package final class FactCache<Key: Hashable & Sendable, Fact: Sendable, Fault: Error>: Sendable {
    private typealias Outcome = Result<Fact?, Fault>
    /// Hears nil when whoever asked was cancelled: then somebody who waits asks.
    private typealias Waiter = UnsafeContinuation<Outcome?, Never>

    private struct Known: Sendable {
        /// Nil: there is no such thing.
        let fact: Fact?
        /// When it was asked for; the answer may be as old.
        let asked: Instant
    }

    private struct State: Sendable {
        var known: [Key: Known] = [:]
        var absences = 0
        /// Names being asked for, and who waits beside whoever asks.
        var asking: [Key: [Waiter]] = [:]
    }

    private enum Found {
        case known(Fact?)
        case ask(meanwhile: Fact?)
        case wait
    }

    private let lifetime: Duration
    private let mostFacts: Int
    private let mostAbsences: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - mostFacts: when there are more, all are forgotten.
    ///   - mostAbsences: how many names without a fact are remembered; 0 where what was just made must
    ///     be seen at once.
    package init(lifetime: Duration, mostFacts: Int, mostAbsences: Int) {
        self.lifetime = lifetime
        self.mostFacts = mostFacts
        self.mostAbsences = mostAbsences
    }

    /// What is known of a name, or what `ask` finds; nil where there is nothing.
    ///
    /// - Parameter isFreshOnly: asks even where something is known.
    package func fact(
        _ key: Key, in environment: any Environment, isFreshOnly: Bool = false,
        ask: () async throws(Fault) -> Fact?
    ) async throws(Fault) -> Fact? {
        // An absence that was asked for before this call began may be over by now.
        var maySettleForAbsence = false
        var mustAsk = isFreshOnly
        while true {
            let now = environment.now
            switch self.find(key, at: now, mustAsk: mustAsk) {
            case .known(let fact): return fact
            case .wait:
                if let outcome = await self.wait(for: key) {
                    let fact = try outcome.get()
                    if fact != nil || maySettleForAbsence { return fact }
                }
                maySettleForAbsence = true
                mustAsk = false
            case .ask(let known):
                do throws(Fault) {
                    let fact = try await ask()
                    self.learn(key, .success(fact), askedAt: now)
                    return fact
                } catch {
                    self.learn(key, Task.isCancelled ? nil : .failure(error), askedAt: now)
                    // It was only to be renewed, and is believed to the end of its time.
                    if let known, !isFreshOnly { return known }
                    throw error
                }
            }
        }
    }

    package func forget(_ key: Key, if isMeant: (Fact) -> Bool = { _ in true }) {
        self.state.withLock { state in
            guard let known = state.known[key], let fact = known.fact, isMeant(fact) else { return }
            state.known[key] = nil
        }
    }

    private func find(_ key: Key, at now: Instant, mustAsk: Bool) -> Found {
        self.state.withLock { state in
            let isAsking = state.asking[key] != nil
            if !mustAsk, let known = state.known[key] {
                let age = now - known.asked
                if age < self.lifetime {
                    let isDue = known.fact != nil && age >= self.lifetime / 2 && !isAsking
                    guard isDue else { return .known(known.fact) }
                    state.asking[key] = []
                    return .ask(meanwhile: known.fact)
                }
            }
            if isAsking { return .wait }
            state.asking[key] = []
            return .ask(meanwhile: nil)
        }
    }

    private func wait(for key: Key) async -> Outcome? {
        await withUnsafeContinuation { (waiter: Waiter) in
            let isOver = self.state.withLock { state in
                guard state.asking[key] != nil else { return true }
                state.asking[key]?.append(waiter)
                return false
            }
            if isOver { waiter.resume(returning: nil) }
        }
    }

    private func learn(_ key: Key, _ outcome: Outcome?, askedAt asked: Instant) {
        let waiters = self.state.withLock { state -> [Waiter] in
            if case .success(let fact)? = outcome { self.remember(key, fact, asked, in: &state) }
            return state.asking.removeValue(forKey: key) ?? []
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }

    private func remember(
        _ key: Key, _ fact: Fact?, _ asked: Instant, in state: inout State
    ) {
        if let before = state.known.removeValue(forKey: key), before.fact == nil {
            state.absences -= 1
        }
        if fact == nil {
            guard self.mostAbsences > 0 else { return }
            if state.absences >= self.mostAbsences {
                state.known = state.known.filter { $0.value.fact != nil }
                state.absences = 0
            }
            state.absences += 1
        } else if state.known.count - state.absences >= self.mostFacts {
            state.known.removeAll()
            state.absences = 0
        }
        state.known[key] = Known(fact: fact, asked: asked)
    }
}
