import CLinux
import Glibc
import Primitives
import Synchronization

/// The real event loop: one thread that waits in epoll(7) and runs tasks between waits.
///
/// A *turn* is: wait for events, mark descriptors ready, let timers expire, take in what other
/// threads have sent, run jobs. Jobs run after the whole batch of events, so that none of them can
/// close what a queued event names; a name is a slot and a generation, never a pointer.
///
/// Unchecked, because the compiler cannot see that everything below `inbox` is touched by the
/// loop's own thread only. What the loop owns (`Descriptor`, `Sleep`, `NameLookup`) is unchecked
/// for the same reason; every way in either runs on the loop or goes through `execute`.
package final class EpollLoop: EventLoop, @unchecked Sendable {
    /// Jobs that run before the loop looks at its sockets and timers again.
    private static let jobsPerTurn = 256
    /// Events taken from the kernel in one turn.
    private static let eventsPerTurn = 256
    private static let alarmToken = UInt64.max

    /// A job, and whether it is an actor's (handed in through the serial executor) or a task's own.
    ///
    /// The two run under different marks. A task's own code under the actors' mark would be taken
    /// for isolated code, and pass through the queue once more at every suspension.
    private struct QueuedJob {
        let job: UnownedJob
        let isIsolated: Bool
    }

    /// What other threads ask of the loop. Its length is bounded by the number of tasks that exist.
    private struct Inbox {
        var jobs: [QueuedJob] = []
        var calls: [@Sendable () -> Void] = []
        /// Set by the loop before it waits, taken back by whoever wakes it: one system call wakes it
        /// for any number of jobs, and a loop that is busy costs none.
        var isAsleep = false
        var isEmpty: Bool { self.jobs.isEmpty && self.calls.isEmpty }
    }

    private let epoll: Int32
    private let alarm: Int32
    private let inbox = Mutex(Inbox())

    private var waitingJobs: [QueuedJob] = []
    private var runningJobs: [QueuedJob] = []
    private var runningPosition = 0
    private var nextTurnTasks: [UnsafeContinuation<Void, Never>] = []
    private var descriptors = DescriptorTable()
    private var timers = TimerHeap()
    private var isStopping = false
    private let isolation = LoopIsolation()

    /// Counts turns.
    private(set) var turn: UInt64 = 0
    /// The clock at the start of this turn: what timers are held against.
    private(set) var turnTime = Instant(nanoseconds: holdfast_monotonic_time())

    /// Starts the loop's thread, which lives until `stop`.
    init(name: String) {
        self.epoll = holdfast_epoll_create()
        self.alarm = holdfast_eventfd(false)
        invariant(self.epoll >= 0 && self.alarm >= 0, "the system has descriptors for a loop")
        let added = holdfast_epoll_add(self.epoll, self.alarm, Self.alarmToken)
        invariant(added == 0, "a loop can watch its alarm (error \(-added))")
        self.waitingJobs.reserveCapacity(1024)
        self.runningJobs.reserveCapacity(1024)
        self.isolation.loop = self
        PosixThread.start(name: name) { self.run() }
    }

    deinit {
        Glibc.close(self.alarm)
        Glibc.close(self.epoll)
    }

    /// Whether the caller runs on the loop's thread.
    var isCurrent: Bool {
        holdfast_thread_mark() == Unmanaged.passUnretained(self).toOpaque()
    }

    /// Reads the clock anew at each call (it costs about 25 ns), so that it never runs behind
    /// `Environment.now`.
    package var now: Instant { Instant(nanoseconds: holdfast_monotonic_time()) }

    /// Closes all sockets and ends the thread after the current turn. Tasks of the loop never run
    /// again, so this is for tests, which make many environments in one process.
    func stop() {
        self.execute { self.isStopping = true }
    }
}

// MARK: - Executor

extension EpollLoop {
    package func enqueue(_ job: consuming ExecutorJob) {
        self.enqueue(QueuedJob(job: UnownedJob(job), isIsolated: false))
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        self.isolation.asUnownedSerialExecutor()
    }

    fileprivate func enqueueIsolated(_ job: consuming ExecutorJob) {
        self.enqueue(QueuedJob(job: UnownedJob(job), isIsolated: true))
    }

    private func enqueue(_ job: QueuedJob) {
        if self.isCurrent {
            self.waitingJobs.append(job)
        } else {
            self.send { $0.jobs.append(job) }
        }
    }

    package func checkIsolated() {
        invariant(self.isCurrent, "code of this loop runs on its thread")
    }

    package func isIsolatingCurrentContext() -> Bool? { self.isCurrent }

    /// Runs `call` on the loop: at once when that is where the caller is, else in its next turn.
    func execute(_ call: @escaping @Sendable () -> Void) {
        if self.isCurrent {
            call()
        } else {
            self.send { $0.calls.append(call) }
        }
    }

    /// Runs `work` as a task of this loop and resumes the caller where it was.
    func run<Value: Sendable, Fault: Error>(
        _ work: @escaping @Sendable () async throws(Fault) -> Value
    ) async throws(Fault) -> Value {
        if self.isCurrent { return try await work() }
        let task = Task(executorPreference: self) { () async -> Result<Value, Fault> in
            do throws(Fault) { return .success(try await work()) } catch { return .failure(error) }
        }
        return try await task.value.get()
    }

    /// Suspends the caller, who is on the loop, until every other socket and task has had its turn.
    func nextTurn() async {
        await withUnsafeContinuation { self.nextTurnTasks.append($0) }
    }

    private func send(_ add: (inout Inbox) -> Void) {
        let wasAsleep = self.inbox.withLock { inbox in
            add(&inbox)
            let wasAsleep = inbox.isAsleep
            inbox.isAsleep = false
            return wasAsleep
        }
        if wasAsleep { holdfast_eventfd_add(self.alarm, 1) }
    }
}

// MARK: - The thread

extension EpollLoop {
    private func run() {
        holdfast_set_thread_mark(Unmanaged.passUnretained(self).toOpaque())
        withUnsafeTemporaryAllocation(of: holdfast_readiness.self, capacity: Self.eventsPerTurn) {
            while !self.isStopping { self.takeTurn($0) }
        }
        // Who is on the other side of a socket hears of the end as if the process had ended.
        for descriptor in self.descriptors.all { descriptor.close() }
        holdfast_set_thread_mark(nil)
    }

    private func takeTurn(_ events: UnsafeMutableBufferPointer<holdfast_readiness>) {
        guard let space = events.baseAddress else { return }
        let count = holdfast_epoll_wait(
            self.epoll, space, Int32(events.count), self.nanosecondsToWait())
        invariant(count >= 0, "epoll_wait on a loop's own descriptor (error \(-count))")
        self.turn += 1
        self.turnTime = self.now

        for event in events.prefix(Int(count)) {
            self.descriptors[event.token]?.becameReady(event.events)
        }
        while let target = self.timers.removeFirst(dueAt: self.turnTime) {
            target.timerExpired(at: self.turnTime)
        }
        self.takeInbox()
        if !self.nextTurnTasks.isEmpty {
            let tasks = self.nextTurnTasks
            self.nextTurnTasks.removeAll(keepingCapacity: true)
            for task in tasks { task.resume() }
        }
        self.runJobs()
    }

    /// 0 when there is work, negative when nothing is due at any time.
    private func nanosecondsToWait() -> Int64 {
        let isBusy =
            !self.waitingJobs.isEmpty || self.runningPosition < self.runningJobs.count
            || !self.nextTurnTasks.isEmpty
        if isBusy { return 0 }
        let mayWait = self.inbox.withLock { inbox in
            inbox.isAsleep = inbox.isEmpty
            return inbox.isAsleep
        }
        guard mayWait else { return 0 }
        guard let deadline = self.timers.firstDeadline else { return -1 }
        return self.now.nanoseconds(until: deadline)
    }

    private func takeInbox() {
        let taken = self.inbox.withLock { inbox -> Inbox? in
            inbox.isAsleep = false
            guard !inbox.isEmpty else { return nil }
            return exchange(&inbox, with: Inbox())
        }
        guard let taken else { return }
        self.waitingJobs.append(contentsOf: taken.jobs)
        for call in taken.calls { call() }
    }

    private func runJobs() {
        let serialExecutor = self.asUnownedSerialExecutor()
        let taskExecutor = self.asUnownedTaskExecutor()
        for _ in 0..<Self.jobsPerTurn {
            if self.runningPosition == self.runningJobs.count {
                self.runningJobs.removeAll(keepingCapacity: true)
                self.runningPosition = 0
                swap(&self.runningJobs, &self.waitingJobs)
                if self.runningJobs.isEmpty { return }
            }
            let next = self.runningJobs[self.runningPosition]
            self.runningPosition += 1
            if next.isIsolated {
                next.job.runSynchronously(isolatedTo: serialExecutor, taskExecutor: taskExecutor)
            } else {
                next.job.runSynchronously(on: taskExecutor)
            }
        }
    }
}

// MARK: - What the loop watches

extension EpollLoop {
    /// Watches `number` for `descriptor`; the result names it until `forget`.
    func watch(_ number: Int32, for descriptor: Descriptor) throws(StreamFault) -> UInt64 {
        self.checkIsolated()
        let token = self.descriptors.insert(descriptor)
        let result = holdfast_epoll_add(self.epoll, number, token)
        if result < 0 {
            self.descriptors.remove(token)
            throw .system(call: "epoll_ctl", errno: -result)
        }
        return token
    }

    /// Events of `token` that are already on their way are dropped.
    func forget(_ token: UInt64, _ number: Int32) {
        self.checkIsolated()
        self.descriptors.remove(token)
        // The kernel would do it at close, but not while a child between fork and exec shares it.
        _ = holdfast_epoll_remove(self.epoll, number)
    }

    /// Calls `target.timerExpired` in the first turn at or after `deadline`, unless that was asked
    /// for an earlier time already. (An early call finds nothing due and asks again: a deadline that
    /// moves forward with each message costs nothing until the first of them passes.)
    func expect(_ deadline: Instant, _ target: any TimerTarget) {
        self.timers.arm(target, at: deadline)
    }

    func disarm(_ target: any TimerTarget) { self.timers.disarm(target) }
}

/// The loop as the executor of its actors. Unchecked, as `loop` is written before anyone else sees
/// this; unowned, as nobody runs on a loop that is gone.
private final class LoopIsolation: SerialExecutor, @unchecked Sendable {
    unowned(unsafe) var loop: EpollLoop?

    func enqueue(_ job: consuming ExecutorJob) {
        guard let loop = self.loop else { brokenInvariant("a loop is made before it is used") }
        loop.enqueueIsolated(job)
    }

    func checkIsolated() { self.loop?.checkIsolated() }
    func isIsolatingCurrentContext() -> Bool? { self.loop?.isIsolatingCurrentContext() }
}

private func exchange<Value>(_ place: inout Value, with value: consuming Value) -> Value {
    let old = place
    place = value
    return old
}
