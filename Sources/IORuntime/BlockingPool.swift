import CLinux
import Glibc
import Primitives
import Synchronization

/// Threads that may block, in front of one queue: first in, first started.
///
/// The queue has no bound of its own. Each piece in it is a suspended caller, so whoever bounds the
/// number of tasks has bounded the queue; a refusal here could only be answered by waiting.
final class BlockingPool: Sendable {
    private struct Queue {
        var arriving: [@Sendable () -> Void] = []
        /// Last is next: what `arriving` was, in reverse.
        var leaving: [@Sendable () -> Void] = []
        /// Threads that wait for `bell` and are not yet called.
        var idleThreads = 0
        var isStopping = false

        mutating func next() -> (@Sendable () -> Void)? {
            if self.leaving.isEmpty, !self.arriving.isEmpty {
                swap(&self.arriving, &self.leaving)
                self.leaving.reverse()
            }
            return self.leaving.popLast()
        }
    }

    private let queue = Mutex(Queue())
    /// Counts calls to idle threads.
    private let bell: Int32
    private let threadCount: Int

    init(name: String, threadCount: Int) {
        self.bell = holdfast_eventfd(true)
        self.threadCount = threadCount
        invariant(self.bell >= 0, "the system has a descriptor for a pool")
        for number in 0..<threadCount {
            PosixThread.start(name: "\(name)-\(number)") { self.work() }
        }
    }

    deinit { Glibc.close(self.bell) }

    func submit(_ piece: @escaping @Sendable () -> Void) {
        let mustCall = self.queue.withLock { queue in
            queue.arriving.append(piece)
            guard queue.idleThreads > 0 else { return false }
            queue.idleThreads -= 1
            return true
        }
        if mustCall { holdfast_eventfd_add(self.bell, 1) }
    }

    /// Runs `work` on a thread of the pool and resumes the caller on the executor it came from.
    func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withUnsafeContinuation { caller in
            self.submit { caller.resume(returning: work()) }
        }
    }

    /// Ends the threads once the queue is empty.
    func stop() {
        self.queue.withLock { $0.isStopping = true }
        holdfast_eventfd_add(self.bell, UInt64(self.threadCount))
    }

    private enum Next {
        case piece(@Sendable () -> Void)
        case wait
        case end
    }

    private func work() {
        while true {
            let next = self.queue.withLock { queue -> Next in
                if let piece = queue.next() { return .piece(piece) }
                if queue.isStopping { return .end }
                queue.idleThreads += 1
                return .wait
            }
            switch next {
            case .piece(let piece): piece()
            case .wait: holdfast_eventfd_take(self.bell)
            case .end: return
            }
        }
    }
}

extension BlockingLane {
    /// A disk of ours has room for about four calls at a time, the log for the call that is being
    /// made and the next, and computing gains nothing from more threads than a small machine has
    /// cores.
    static let diskThreads = 4
    static let logThreads = 2
    /// One may be flushing a state for a while; the others apply and read.
    static let metadataThreads = 3
    static let computeThreads = 2

    var name: String {
        switch self {
        case .disk: "disk"
        case .metadata: "metadata"
        case .log: "log"
        case .compute: "compute"
        }
    }

    var threadCount: Int {
        switch self {
        case .disk: Self.diskThreads
        case .metadata: Self.metadataThreads
        case .log: Self.logThreads
        case .compute: Self.computeThreads
        }
    }
}
