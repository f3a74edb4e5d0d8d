import Primitives

extension EpollLoop {
    /// Also for callers on other loops; they resume where they were. Ends in the first turn of this
    /// loop at or after the time.
    package func sleep(for span: Duration) async throws {
        let deadline = self.now + span
        let sleep = Sleep()
        let wasCancelled = await withTaskCancellationHandler {
            await withUnsafeContinuation { sleeper in
                self.execute { sleep.begin(sleeper, until: deadline, on: self) }
            }
        } onCancel: {
            self.execute { sleep.cancel(on: self) }
        }
        if wasCancelled { throw CancellationError() }
    }

    /// A sleep that cancellation does not end.
    func pause(for span: Duration) async {
        let deadline = self.now + span
        let sleep = Sleep()
        _ = await withUnsafeContinuation { sleeper in
            self.execute { sleep.begin(sleeper, until: deadline, on: self) }
        }
    }
}

/// One call of `sleep`. Unchecked for the reason that `EpollLoop` gives: used on its thread only.
private final class Sleep: TimerTarget, @unchecked Sendable {
    var timerPosition = TimerHeap.nowhere
    private var sleeper: UnsafeContinuation<Bool, Never>?
    private var isCancelled = false

    func begin(
        _ sleeper: UnsafeContinuation<Bool, Never>, until deadline: Instant, on loop: EpollLoop
    ) {
        // A task that was cancelled before it slept has its handler run first.
        guard !self.isCancelled else { return sleeper.resume(returning: true) }
        self.sleeper = sleeper
        loop.expect(deadline, self)
    }

    func timerExpired(at now: Instant) { self.end(wasCancelled: false) }

    func cancel(on loop: EpollLoop) {
        self.isCancelled = true
        loop.disarm(self)
        self.end(wasCancelled: true)
    }

    private func end(wasCancelled: Bool) {
        let sleeper = self.sleeper
        self.sleeper = nil
        sleeper?.resume(returning: wasCancelled)
    }
}
