import IORuntime
import Primitives
import Synchronization
import Testing

/// A loop with a clock of its own, driven by the thread that calls `run`: when nothing can run, the
/// clock jumps to the next timer. The order of everything is fixed.
///
/// `@unchecked Sendable` because only the driving thread touches it.
final class MemoryLoop: EventLoop, @unchecked Sendable {
    private var jobs: [UnownedJob] = []
    private var timers: [(due: Instant, number: Int, fire: () -> Void)] = []
    private var nextTimer = 0
    private(set) var now = Instant(nanoseconds: 1_000_000_000)

    func enqueue(_ job: consuming ExecutorJob) { self.jobs.append(UnownedJob(job)) }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// Calls `fire` at `due`, unless it is cancelled.
    func after(_ due: Instant, _ fire: @escaping () -> Void) -> Int {
        self.nextTimer += 1
        self.timers.append((due, self.nextTimer, fire))
        return self.nextTimer
    }

    func cancel(_ number: Int) { self.timers.removeAll { $0.number == number } }

    func sleep(for span: Duration) async throws {
        let nap = Nap()
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                guard !Task.isCancelled else {
                    continuation.resume()
                    return
                }
                nap.begin(continuation)
                nap.timer = self.after(self.now + span) { nap.end() }
            }
        } onCancel: {
            self.cancel(nap.timer)
            nap.end()
        }
        try Task.checkCancellation()
    }

    /// `@unchecked Sendable` for the same reason as the loop.
    private final class Nap: @unchecked Sendable {
        var timer = 0
        private var continuation: UnsafeContinuation<Void, Never>?
        func begin(_ continuation: UnsafeContinuation<Void, Never>) {
            self.continuation = continuation
        }
        func end() {
            self.continuation?.resume()
            self.continuation = nil
        }
    }

    /// Runs `body` and all that it starts, until it has ended.
    func run(_ body: @escaping @Sendable () async throws -> Void) throws {
        let outcome = Mutex<Result<Void, any Error>?>(nil)
        self.spawn {
            do {
                try await body()
                outcome.withLock { $0 = .success(()) }
            } catch {
                outcome.withLock { $0 = .failure(error) }
            }
        }
        while true {
            if let result = outcome.withLock({ $0 }) { return try result.get() }
            if !self.jobs.isEmpty {
                let job = self.jobs.removeFirst()
                job.runSynchronously(
                    isolatedTo: self.asUnownedSerialExecutor(),
                    taskExecutor: self.asUnownedTaskExecutor())
            } else if let next = self.timers.indices.min(by: { self.isSooner($0, $1) }) {
                let timer = self.timers.remove(at: next)
                self.now = max(self.now, timer.due)
                timer.fire()
            } else {
                Issue.record("everything waits, and nothing can happen any more")
                return
            }
        }
    }

    private func isSooner(_ a: Int, _ b: Int) -> Bool {
        (self.timers[a].due, self.timers[a].number) < (self.timers[b].due, self.timers[b].number)
    }
}
