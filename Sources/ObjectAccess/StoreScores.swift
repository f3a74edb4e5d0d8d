import Primitives
import Synchronization

/// What one kind of work has taken at each store lately.
final class StoreScores: Sendable {
    private let latencies = Mutex<[NodeID: StoreLatency]>([:])

    func observe(_ node: NodeID, _ span: Duration) {
        let microseconds = Int(span.wholeNanoseconds / 1000)
        self.latencies.withLock { $0[node, default: StoreLatency()].observe(microseconds) }
    }

    func wasLate(_ node: NodeID, at now: Instant) {
        self.latencies.withLock { $0[node, default: StoreLatency()].wasLate(at: now) }
    }

    /// How long to wait for a node before somebody else is asked as well.
    func patience(with node: NodeID, at now: Instant) -> Duration {
        self.latencies.withLock { $0[node, default: StoreLatency()].patience(at: now) }
    }

    func expectedMicroseconds(at now: Instant) -> [NodeID: Int] {
        self.latencies.withLock { latencies in
            latencies.compactMapValues { $0.expectedMicroseconds(at: now) }
        }
    }
}
