import IORuntime
import Primitives

/// A loop that the test drives from its own thread: runs all jobs in their order, and lets time
/// jump to the next timer when nothing else is left.
///
/// `@unchecked Sendable`: used by the one thread that calls `run`.
final class SteppingLoop: EventLoop, @unchecked Sendable {
    private var jobs: [UnownedJob] = []
    private var timers: [(at: Instant, fire: () -> Void)] = []
    private(set) var now = Instant(nanoseconds: 0)

    func enqueue(_ job: consuming ExecutorJob) { self.jobs.append(UnownedJob(job)) }

    func at(_ instant: Instant, _ fire: @escaping () -> Void) {
        self.timers.append((instant, fire))
    }

    func sleep(for span: Duration) async throws {
        await withUnsafeContinuation { continuation in
            self.at(self.now + span) { continuation.resume() }
        }
        try Task.checkCancellation()
    }

    /// Runs `work` to its end; false when it waits for something that will never come.
    func run(_ work: @escaping @Sendable () async -> Void) -> Bool {
        let done = Box(false)
        self.spawn {
            await work()
            done.value = true
        }
        while !done.value {
            if !self.jobs.isEmpty {
                let batch = self.jobs
                self.jobs = []
                for job in batch {
                    job.runSynchronously(
                        isolatedTo: self.asUnownedSerialExecutor(),
                        taskExecutor: self.asUnownedTaskExecutor())
                }
            } else if let next = self.timers.indices.min(by: {
                self.timers[$0].at < self.timers[$1].at
            }) {
                let timer = self.timers.remove(at: next)
                self.now = max(self.now, timer.at)
                timer.fire()
            } else {
                return false
            }
        }
        return true
    }
}

/// A result that a task leaves for the test. `@unchecked Sendable`: one thread runs both.
final class Box<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}
