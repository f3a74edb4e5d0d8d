import ChunkProtocol
import Primitives
import Synchronization

/// What one kind of work has taken at each store lately.
final class StoreScores: Sendable {
    private let latencies = Mutex<[NodeID: StoreLatency]>([:])

    func observe(_ node: NodeID, _ span: Duration, at now: Instant) {
        self.latencies.withLock {
            $0[node, default: StoreLatency()].observe(span.wholeMicroseconds, at: now)
        }
    }

    /// The answer was not waited for any longer, because another copy's came first.
    func outpaced(_ node: NodeID, after span: Duration, at now: Instant) {
        self.latencies.withLock {
            $0[node, default: StoreLatency()].outpaced(after: span.wholeMicroseconds, at: now)
        }
    }

    /// The store failed, or let patience end.
    func disappointed(by node: NodeID, at now: Instant) {
        self.latencies.withLock { $0[node, default: StoreLatency()].disappointed(at: now) }
    }

    /// How long a write waits for a node before somebody else is asked as well.
    func patience(with node: NodeID, at now: Instant) -> Duration {
        self.latencies.withLock { $0[node]?.patience(at: now) ?? StoreLatency.initialPatience }
    }

    /// How long a read waits for a node before a second copy is asked, if the budget allows, and
    /// before it is treated as failed.
    func readPatience(with node: NodeID) -> (hedge: Duration, overdue: Duration) {
        self.latencies.withLock { latencies in
            guard let latency = latencies[node] else {
                return (StoreLatency.initialHedgeDelay, StoreLatency.initialPatience)
            }
            return (latency.hedgeDelay, latency.usualPatience)
        }
    }

    func standings(of nodes: [NodeID], at now: Instant) -> [CopyStanding] {
        self.latencies.withLock { latencies in
            nodes.map { node in
                var standing = CopyStanding(node: node)
                if let latency = latencies[node] {
                    standing.isSuspect = latency.isSuspect(at: now)
                    standing.expectedMicroseconds = latency.expectedMicroseconds(at: now)
                }
                return standing
            }
        }
    }
}

extension Duration {
    fileprivate var wholeMicroseconds: Int { Int(self.wholeNanoseconds / 1000) }
}
