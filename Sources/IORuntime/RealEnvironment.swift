import CLinux
import Glibc
import Primitives
import Synchronization

/// The environment of a process on Linux: epoll loops, blocking threads, the machine's files and
/// clocks. Needs Linux 5.11 or later (epoll_pwait2).
package final class RealEnvironment: Environment {
    /// Threads that wait for the system's resolver, apart from the lanes: it may take many seconds.
    private static let resolverThreads = 2
    /// A longer log line is cut. PIPE_BUF: so many bytes reach a pipe in one piece or not at all.
    private static let logLineBytes = 4096

    private let epollLoops: [EpollLoop]
    private let disk: BlockingPool
    private let metadata: BlockingPool
    private let raftLog: BlockingPool
    private let compute: BlockingPool
    private let resolver: BlockingPool
    private let listeners = ListenerRegistry()
    private let droppedLogLines = Mutex(0)

    package let files: any FileSystem = PosixFileSystem()
    package var loops: [any EventLoop] { self.epollLoops }

    package init(loopCount: Int = 2) {
        invariant(loopCount > 0, "an environment has a loop")
        // A peer that has gone is an error of the call, not of the process.
        _ = holdfast_ignore_signal(SIGPIPE)
        self.epollLoops = (0..<loopCount).map { EpollLoop(name: "loop-\($0)") }
        self.disk = BlockingPool(lane: .disk)
        self.metadata = BlockingPool(lane: .metadata)
        self.raftLog = BlockingPool(lane: .log)
        self.compute = BlockingPool(lane: .compute)
        self.resolver = BlockingPool(name: "resolver", threadCount: Self.resolverThreads)
    }

    /// Closes all sockets and ends all threads. Tasks of the loops never run again, so this is for
    /// tests, which make many environments in one process; a program ends with its process.
    package func stop() {
        for loop in self.epollLoops { loop.stop() }
        for pool in [self.disk, self.metadata, self.raftLog, self.compute, self.resolver] {
            pool.stop()
        }
    }

    package var now: Instant { Instant(nanoseconds: holdfast_monotonic_time()) }
    package var wallClock: Timestamp { Timestamp(milliseconds: holdfast_wall_time()) }

    package func randomBytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard let base = buffer.baseAddress else { return }
            let result = holdfast_random(base, count)
            invariant(result == 0, "getrandom does not fail (error \(-result))")
            initialized = count
        }
    }

    package func blocking<Value: Sendable>(
        _ lane: BlockingLane, _ work: @escaping @Sendable () -> Value
    ) async -> Value {
        switch lane {
        case .disk: await self.disk.run(work)
        case .metadata: await self.metadata.run(work)
        case .log: await self.raftLog.run(work)
        case .compute: await self.compute.run(work)
        }
    }
}

// MARK: - Network

extension RealEnvironment {
    package func connect(
        to address: SocketAddress, on loop: any EventLoop, deadline: Instant
    ) async throws(StreamFault) -> any ByteStream {
        let loop = self.ours(loop)
        return try await loop.run { () async throws(StreamFault) -> TCPStream in
            let addresses =
                if let numeric = NumericAddress(address) {
                    [numeric]
                } else {
                    try await NameLookup.addresses(
                        of: address, on: loop, pool: self.resolver, deadline: deadline)
                }
            return try await TCPStream.connect(
                to: addresses, named: address, on: loop, deadline: deadline)
        }
    }

    /// The address must be numeric: a name could block the caller, and could mean several.
    package func listen(
        on address: SocketAddress, loop: any EventLoop
    ) throws(StreamFault) -> any Listener {
        try TCPListener(on: address, loop: self.ours(loop), registry: self.listeners)
    }

    func ours(_ loop: any EventLoop) -> EpollLoop {
        for ours in self.epollLoops where ours === loop { return ours }
        brokenInvariant("a loop belongs to the environment that is asked to use it")
    }
}

// MARK: - Log and end

extension RealEnvironment {
    /// One write(2) to standard error. When it is a pipe that nobody empties, lines are dropped, and
    /// the next one that fits says how many.
    package func log(_ line: String) {
        self.droppedLogLines.withLock { dropped in
            guard holdfast_is_writable(STDERR_FILENO) else {
                dropped += 1
                return
            }
            var bytes = Array(line.utf8.prefix(Self.logLineBytes - 1))
            bytes.append(UInt8(ascii: "\n"))
            if dropped > 0 {
                let note = Array("dropped \(dropped) log lines\n".utf8)
                dropped = 0
                if note.count + bytes.count <= Self.logLineBytes { bytes = note + bytes }
            }
            _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
        }
    }

    package func terminate(status: Int32, reason: String) -> Never {
        Terminal.write("error: \(reason)\n", to: .errors)
        // Not exit(3): its handlers would run under threads that are still at work.
        _exit(status)
    }

    /// The whole of a program: runs `main` on the first loop of a new environment and ends the
    /// process with the status it returns, at once: what `print` still holds is lost, so programs
    /// write through `Terminal`.
    package static func run(
        loopCount: Int = 2, _ main: @escaping @Sendable (RealEnvironment) async -> Int32
    ) -> Never {
        let environment = RealEnvironment(loopCount: loopCount)
        environment.epollLoops[0].spawn { _exit(await main(environment)) }
        while true { pause() }
    }
}

extension BlockingPool {
    fileprivate convenience init(lane: BlockingLane) {
        self.init(name: lane.name, threadCount: lane.threadCount)
    }
}
