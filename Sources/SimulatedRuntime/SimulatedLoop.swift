import IORuntime
import Primitives

/// An event loop whose jobs wait in the simulator's one run queue.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedLoop: EventLoop, @unchecked Sendable {
    /// The process that the loop belongs to; nil for the simulator's own.
    unowned let environment: SimulatedEnvironment?
    let index: Int

    /// Set when the process dies: no job of the loop runs again.
    var isDead = false

    private unowned let simulator: Simulator

    init(_ simulator: Simulator, _ environment: SimulatedEnvironment?, index: Int) {
        self.simulator = simulator
        self.environment = environment
        self.index = index
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        self.simulator.enqueue(UnownedJob(job), on: self)
    }

    package func checkIsolated() {
        invariant(self.simulator.runningLoop === self, "code of one loop ran on another")
    }

    package var now: Instant {
        self.simulator.confine()
        return self.environment?.now ?? self.simulator.now
    }

    package func sleep(for span: Duration) async throws {
        self.simulator.confine()
        let sleeper = Sleeper(self.simulator)
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                sleeper.begin(
                    continuation, until: self.time(after: span), owner: self.environment)
            }
        } onCancel: {
            sleeper.cancel()
        }
        if sleeper.isCancelled { throw CancellationError() }
    }

    /// The simulated time at which this loop's clock has moved on by `span`.
    private func time(after span: Duration) -> Instant {
        guard let environment else { return self.simulator.now + span }
        return environment.time(ofReading: environment.now + span)
    }
}

/// One sleeping task: woken once, by time or by its cancellation.
private final class Sleeper: @unchecked Sendable {
    private(set) var isCancelled = false
    private unowned let simulator: Simulator
    private var continuation: UnsafeContinuation<Void, Never>?
    private var ticket: TimerQueue.Ticket?

    init(_ simulator: Simulator) { self.simulator = simulator }

    func begin(
        _ continuation: UnsafeContinuation<Void, Never>, until due: Instant,
        owner: SimulatedEnvironment?
    ) {
        guard !self.isCancelled else { return continuation.resume() }
        self.continuation = continuation
        self.ticket = self.simulator.schedule(at: due, for: owner) { self.wake() }
    }

    func cancel() {
        self.simulator.confine()
        self.isCancelled = true
        if let ticket { self.simulator.cancel(ticket) }
        self.wake()
    }

    private func wake() {
        let continuation = self.continuation.take()
        continuation?.resume()
    }
}
