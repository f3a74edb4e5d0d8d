import IORuntime
import Primitives
import Synchronization

/// Those who wait until everything of a log through some index has come here.
package final class IndexWaiters: Sendable {
    /// Waiting together; one more is told at once that it is not so yet.
    package static let most = 4_096

    private struct Waiter: Sendable {
        let ticket: UInt64
        let index: LogIndex
        let answer: UnsafeContinuation<Bool, Never>
    }

    private struct State: Sendable {
        var reached: LogIndex?
        var waiting: [Waiter] = []
        var lastTicket: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// What has come; nil before anything is known.
    package var reached: LogIndex? { self.state.withLock { $0.reached } }

    package var count: Int { self.state.withLock { $0.waiting.count } }

    /// Everything through `index` has come. That never goes back: less is no news.
    package func reached(_ index: LogIndex) {
        let done = self.state.withLock { state -> [Waiter] in
            if let reached = state.reached, reached >= index { return [] }
            state.reached = index
            guard !state.waiting.isEmpty else { return [] }
            let done = state.waiting.filter { $0.index <= index }
            state.waiting.removeAll { $0.index <= index }
            return done
        }
        for waiter in done { waiter.answer.resume(returning: true) }
    }

    /// Waits until everything through `index` has come; false when it has not after `span`, or the
    /// caller's task is cancelled before.
    package func wait(
        for index: LogIndex, atMost span: Duration, on loop: any EventLoop
    ) async -> Bool {
        if let reached = self.reached, reached >= index { return true }
        let ticket = self.state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        let timer = loop.spawn {
            do { try await loop.sleep(for: span) } catch { return }
            self.giveUp(ticket)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { answer in
                let waiter = Waiter(ticket: ticket, index: index, answer: answer)
                if let known = self.begin(waiter) { answer.resume(returning: known) }
                // Who was cancelled before has given up before there was a wait to end.
                if Task.isCancelled { self.giveUp(ticket) }
            }
        } onCancel: {
            self.giveUp(ticket)
        }
    }

    /// Nil when the waiter waits.
    private func begin(_ waiter: Waiter) -> Bool? {
        self.state.withLock { state in
            if let reached = state.reached, reached >= waiter.index { return true }
            guard state.waiting.count < Self.most else { return false }
            state.waiting.append(waiter)
            return nil
        }
    }

    private func giveUp(_ ticket: UInt64) {
        let waiter = self.state.withLock { state -> Waiter? in
            guard let place = state.waiting.firstIndex(where: { $0.ticket == ticket }) else {
                return nil
            }
            return state.waiting.remove(at: place)
        }
        waiter?.answer.resume(returning: false)
    }
}
