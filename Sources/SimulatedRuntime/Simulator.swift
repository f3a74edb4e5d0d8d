internal import CSimulation
import IORuntime
import Primitives
import Synchronization

/// A world of machines in one thread: one run queue, one virtual time, one seed.
///
/// The next job is drawn from all that are runnable, on whichever machine, so every order that real
/// loops could produce can come up; time moves only when nothing is runnable. Two runs of one seed
/// make the same draws and end with the same `trace.hash`.
///
/// A job that leaves for an executor of the process (the global pool, the main actor) would run
/// beside the queue and make runs differ. Three guards look for it: the runtime's own hooks count
/// what this thread hands away, `enqueue` counts what other threads hand in, and every call into
/// the simulated world stops the process unless it is made on the simulator's thread.
///
/// Tasks of a process that was killed never go on. What they hold leaks, by design: unwinding them
/// would run code after death. `discard` frees all that can be freed.
///
/// `@unchecked Sendable`: everything is confined to the thread that runs the simulation, and
/// `confine` checks it.
package final class Simulator: @unchecked Sendable {
    package let seed: UInt64
    package let trace: SimulationTrace

    /// A time that no run reaches; nothing is scheduled for it.
    static let never = Instant(nanoseconds: .max)

    /// The time since the world began.
    package private(set) var now = Instant(nanoseconds: 0)

    /// Jobs and timers run so far.
    package private(set) var stepCount = 0

    /// Where a test's own tasks run: workloads, faults, judges. It belongs to no machine, so
    /// nothing kills or pauses it.
    package private(set) lazy var loop = self.makeLoop(for: nil)

    package private(set) lazy var network = SimulatedNetwork(self, self.makeGenerator())

    /// The machines, in the order they were made.
    package private(set) var nodes: [SimulatedNode] = []

    /// Whether a process may end itself; where not, that ends the run as a failure.
    package var allowsTermination = false

    /// Calls of files and stores made on a loop instead of inside `Environment.blocking`, where a
    /// real node would have stood still. Sound shells keep it at 0.
    package private(set) var blockingCallsOnLoops = 0

    /// Who counts the steps of machines; see `watchSteps`.
    private(set) var stepWatch: StepWatch?

    /// What may still be drawn for anything that has no generator of its own.
    package var generator: SeededGenerator

    /// The loop whose job runs now.
    private(set) var runningLoop: SimulatedLoop?

    private var scheduling: SeededGenerator
    private var jobs: [QueuedJob] = []
    private var timers = TimerQueue()
    private var loops: [SimulatedLoop] = []
    private var roots: [RootTask] = []
    private var unfinishedRootCount = 0
    private var failure: SimulationOutcome.Ending?
    /// The thread that runs the simulation now; 0 between runs. Read from threads that escaped.
    private let thread = Atomic<UInt>(0)
    private let foreign = ForeignJobs()

    private struct QueuedJob {
        let job: UnownedJob
        let loopIndex: Int
    }

    private struct RootTask {
        let name: String
        let loop: SimulatedLoop
        var isFinished = false
    }

    package init(seed: UInt64) {
        self.seed = seed
        self.trace = SimulationTrace(seed: seed)
        var generator = SeededGenerator(seed: seed)
        self.scheduling = generator.branch()
        self.generator = generator.branch()
    }

    /// Puts a machine with a running process into the world.
    ///
    /// - Parameter host: the numeric address that others reach it at; no two machines share one.
    @discardableResult
    package func makeNode(
        _ name: String, host: String, loops: Int = 2, capacityBytes: UInt64 = 1 << 40
    ) -> SimulatedNode {
        self.confine()
        let node = SimulatedNode(
            self, name: name, host: host, index: self.nodes.count, loopCount: loops,
            capacityBytes: capacityBytes, self.makeGenerator())
        self.nodes.append(node)
        self.network.attach(node)
        node.start()
        return node
    }

    /// Starts a task that the run waits for, and that is named in the outcome when it does not end.
    @discardableResult
    package func spawn(
        _ name: String, on loop: SimulatedLoop? = nil,
        _ work: @escaping @Sendable () async -> Void
    ) -> SpawnedTask {
        self.confine()
        let loop = loop ?? self.loop
        let index = self.roots.count
        self.roots.append(RootTask(name: name, loop: loop))
        self.unfinishedRootCount += 1
        return loop.spawn {
            await work()
            self.rootFinished(index)
        }
    }

    private func rootFinished(_ index: Int) {
        self.roots[index].isFinished = true
        self.unfinishedRootCount -= 1
    }

    /// Runs until `condition` holds (without one: until every root task has ended or died), or a
    /// limit is reached, or nothing is left to do, or something went wrong. May be called again to
    /// go on.
    package func run(
        for span: Duration = .seconds(3600), steps: Int = 1_000_000_000,
        until condition: (() -> Bool)? = nil
    ) -> SimulationOutcome {
        invariant(self.thread.load(ordering: .relaxed) == 0, "a run is not started inside another")
        self.thread.store(holdfast_simulation_thread(), ordering: .relaxed)
        holdfast_simulation_enter()
        defer {
            holdfast_simulation_leave()
            self.thread.store(0, ordering: .relaxed)
        }
        let deadline = self.now + span
        let (lastStep, isOver) = self.stepCount.addingReportingOverflow(steps)
        let ending = self.advance(until: condition, deadline, isOver ? .max : lastStep)
        return SimulationOutcome(
            ending: ending, stepCount: self.stepCount, time: self.now,
            traceHash: self.trace.hash, unfinished: self.unfinishedRoots(),
            blockingCallsOnLoops: self.blockingCallsOnLoops)
    }

    private func advance(
        until condition: (() -> Bool)?, _ deadline: Instant, _ lastStep: Int
    ) -> SimulationOutcome.Ending {
        while true {
            if let failure = self.failure { return failure }
            if let condition {
                if condition() { return .finished }
            } else if self.unfinishedRootCount == 0, !self.roots.isEmpty {
                return .finished
            }
            if self.stepCount >= lastStep { return .stepLimit }
            self.stepCount += 1
            if !self.jobs.isEmpty {
                self.runOneJob()
            } else if let ending = self.fireOneTimer(deadline) {
                return ending
            }
            let escaped = holdfast_simulation_escaped_jobs()
            if escaped > 0 || self.foreign.count > 0 {
                return .escaped(jobs: Int(escaped) + self.foreign.count)
            }
        }
    }

    private func runOneJob() {
        let position = self.scheduling.below(self.jobs.count)
        let last = self.jobs.count - 1
        if position != last { self.jobs.swapAt(position, last) }
        let next = self.jobs.removeLast()
        let loop = self.loops[next.loopIndex]
        guard !loop.isDead else { return }
        if loop.environment?.node.isPaused == true {
            loop.environment?.hold { self.enqueue(next.job, on: loop) }
            return
        }
        self.trace.fold(UInt64(next.loopIndex) << 32 | UInt64(position))
        self.runningLoop = loop
        next.job.runSynchronously(
            isolatedTo: loop.asUnownedSerialExecutor(), taskExecutor: loop.asUnownedTaskExecutor())
        self.runningLoop = nil
    }

    /// Moves time to the next timer and fires it. What belongs to the dead does not move time.
    private func fireOneTimer(_ deadline: Instant) -> SimulationOutcome.Ending? {
        while let first = self.timers.first, first.owner?.isAlive == false {
            _ = self.timers.removeFirst()
        }
        guard let due = self.timers.first?.due, due < Self.never else { return .idle }
        guard due <= deadline else {
            self.now = deadline
            return .timeLimit
        }
        if due > self.now { self.now = due }
        guard let entry = self.timers.removeFirst() else { return .idle }
        self.trace.fold(due.nanoseconds)
        entry.action()
        return nil
    }

    /// Root tasks that neither ended nor died with their process.
    package func unfinishedRoots() -> [String] {
        self.roots.filter { !$0.isFinished && !$0.loop.isDead }.map(\.name)
    }

    /// Counts the steps of these machines from now on, and lets them die right before one of them.
    /// A watch ends the one before it.
    package func watchSteps(
        of machines: [SimulatedNode], until death: StepWatch.Death? = nil
    ) -> StepWatch {
        self.confine()
        let watch = StepWatch(machines, death)
        self.stepWatch = watch
        return watch
    }

    /// Takes the world apart: queues, disks, connections, machines. Afterwards nothing in it may be
    /// used. A world that is only let go keeps itself alive, for its machines hold it.
    package func discard() {
        self.confine()
        self.jobs = []
        self.timers = TimerQueue()
        self.stepWatch = nil
        self.network.discard()
        for node in self.nodes { node.discard() }
        self.nodes = []
    }
}

// MARK: - What the parts of the world call

extension Simulator {
    /// Stops the process when a run goes on in another thread than the caller's: the caller has
    /// escaped from it, and whatever it does next is not repeatable.
    func confine() {
        invariant(
            self.isConfined,
            "the simulated world was called from outside its thread: a task left its loop")
    }

    /// Whether the caller may touch the world. Between runs whoever holds it may.
    var isConfined: Bool {
        let thread = self.thread.load(ordering: .relaxed)
        return thread == 0 || thread == holdfast_simulation_thread()
    }

    /// Counts a call that may block, when a loop makes it instead of `Environment.blocking`.
    func noteBlockingCall() {
        self.confine()
        if self.runningLoop != nil { self.blockingCallsOnLoops += 1 }
    }

    func makeGenerator() -> SeededGenerator { self.generator.branch() }

    func makeLoop(for environment: SimulatedEnvironment?) -> SimulatedLoop {
        let loop = SimulatedLoop(self, environment, index: self.loops.count)
        self.loops.append(loop)
        return loop
    }

    func enqueue(_ job: UnownedJob, on loop: SimulatedLoop) {
        guard self.isConfined else {
            self.foreign.add()
            return
        }
        guard !loop.isDead else { return }
        self.jobs.append(QueuedJob(job: job, loopIndex: loop.index))
    }

    @discardableResult
    func schedule(
        after span: Duration, for owner: SimulatedEnvironment? = nil,
        _ action: @escaping () -> Void
    ) -> TimerQueue.Ticket {
        self.schedule(at: self.now + span, for: owner, action)
    }

    @discardableResult
    func schedule(
        at due: Instant, for owner: SimulatedEnvironment? = nil, _ action: @escaping () -> Void
    ) -> TimerQueue.Ticket {
        self.confine()
        return self.timers.insert(
            due: due, tieBreak: self.scheduling.next(), owner: owner, action: action)
    }

    func cancel(_ ticket: TimerQueue.Ticket) { self.timers.cancel(ticket) }

    /// Ends the run with what went wrong; the first failure stands.
    func fail(_ ending: SimulationOutcome.Ending) {
        if self.failure == nil { self.failure = ending }
    }

    /// Tasks of the dead neither end nor stay unfinished: the run does not wait for them.
    func loopsDied() {
        self.unfinishedRootCount = self.roots.count { !$0.isFinished && !$0.loop.isDead }
    }

    /// Writes a line of the trace, about `subject`.
    package func note(_ subject: String, _ text: String) {
        self.trace.write("\(subject): \(text)", at: self.now)
    }
}
