import Primitives

/// The one door to the outside world: time, randomness, network, files, blocking work. Production
/// code above this seam runs unchanged in the simulator, where a seed decides everything.
///
/// An environment belongs to one node. Its real form is epoll loops and threads; its simulated form
/// is one seeded run queue for all nodes.
package protocol Environment: AnyObject, Sendable {
    /// The loops that tasks run on; never empty. A loop runs one job at a time.
    var loops: [any EventLoop] { get }

    /// The clock that only goes forward.
    var now: Instant { get }

    /// The wall clock, which may jump.
    var wallClock: Timestamp { get }

    /// Unpredictable bytes, fit for keys and nonces (in simulation: from the seed).
    func randomBytes(_ count: Int) -> [UInt8]

    /// Runs `work` on a thread where it may block, and resumes the caller on its own loop.
    /// In simulation it runs inline, at a later time that the seed decides.
    func blocking<Value: Sendable>(
        _ lane: BlockingLane, _ work: @escaping @Sendable () -> Value
    ) async -> Value

    /// Calls to be made inside `blocking`.
    var files: any FileSystem { get }

    /// Opens a TCP connection, served by `loop`. Small writes leave at once (TCP_NODELAY).
    func connect(
        to address: SocketAddress, on loop: any EventLoop, deadline: Instant
    ) async throws(StreamFault) -> any ByteStream

    /// Listens for TCP connections; accepted streams are served by `loop`. Several loops may listen
    /// on one address, and the system spreads connections over them. Port 0 picks a free port.
    func listen(
        on address: SocketAddress, loop: any EventLoop
    ) throws(StreamFault) -> any Listener

    /// Writes one log line, without blocking for long and without failing.
    func log(_ line: String)

    /// Ends the process at once with `status`: for faults after which running on could lose data.
    /// Nothing of the process runs after the call. (`async` because a simulated process cannot take
    /// the simulator with it: its caller is suspended for ever.)
    func terminate(status: Int32, reason: String) async -> Never
}

/// Ends the process for good, because running on could lose data: the status and the reason. Whoever
/// assembles the process decides what is noted down first.
package typealias ProcessEnd = @Sendable (_ status: Int32, _ reason: String) async -> Never

/// The queues of blocking work. Work of one lane may run on several threads at once; a caller that
/// needs order waits for one piece before it hands in the next.
package enum BlockingLane: Sendable, CaseIterable {
    /// Reads and writes of files and of chunks.
    case disk
    /// Reads and writes of metadata, which must not queue behind chunks on a slow disk.
    case metadata
    /// Synced writes of the Raft log, which must never queue behind other work.
    case log
    /// Long computation: hashing and sealing of large bodies.
    case compute
}

/// A thread that runs tasks one job at a time and waits for sockets and timers between them. Give
/// it to an actor as `unownedExecutor`, and start work on it with `spawn`.
package protocol EventLoop: TaskExecutor, SerialExecutor {
    /// Suspends the caller for `span`; throws `CancellationError` at once when its task is cancelled.
    func sleep(for span: Duration) async throws

    var now: Instant { get }
}

extension EventLoop {
    /// Starts a task that stays on this loop with all its children. The only way to make an
    /// unstructured task: any other would leave for the global pool, where the simulator cannot
    /// follow and each wake-up costs two thread switches.
    @discardableResult
    package func spawn(_ work: @escaping @Sendable () async -> Void) -> SpawnedTask {
        SpawnedTask(task: Task(executorPreference: self) { await work() })
    }
}

/// A handle on spawned work.
package struct SpawnedTask: Sendable {
    let task: Task<Void, Never>
    package func cancel() { self.task.cancel() }
    /// Waits for the end of the work.
    package func finished() async { await self.task.value }
}

extension Environment {
    package func blocking<Value: Sendable, Fault: Error>(
        _ lane: BlockingLane, throwing work: @escaping @Sendable () throws(Fault) -> Value
    ) async throws(Fault) -> Value {
        let result: Result<Value, Fault> = await self.blocking(lane) {
            do throws(Fault) { return .success(try work()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    package func sleep(for span: Duration, on loop: any EventLoop) async throws {
        try await loop.sleep(for: span)
    }
}
