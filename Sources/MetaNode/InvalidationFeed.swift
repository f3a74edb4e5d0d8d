import CachePolicy
import Catalog
import ClusterClient
import IORuntime
import Primitives
import Synchronization

/// What one state's entries invalidate, for the edges that follow it.
///
/// A state has a feed of its own: one that comes with a snapshot, or after a restart, begins with
/// an empty ring, and who followed the one before is told to start over.
final class InvalidationFeed: Sendable {
    private struct State: Sendable {
        /// Nil until it is known what the state has applied.
        var ring: InvalidationRing?
        /// Nobody pays for names before somebody wants to hear them.
        var isFollowed = false
    }

    private let state = Mutex(State())
    private let waiters = IndexWaiters()
    private let capacity: Int

    /// - Parameter capacity: names that are remembered.
    init(capacity: Int) { self.capacity = capacity }

    /// The state has applied this index, and nothing was fed yet.
    func begin(at index: LogIndex) {
        self.state.withLock { state in
            if state.ring == nil {
                state.ring = InvalidationRing(at: index, capacity: self.capacity)
            }
        }
        self.waiters.reached(index)
    }

    /// These entries are applied, in order, and their effects can be read.
    func take(_ applied: [(index: LogIndex, invalidations: [Invalidation])]) {
        guard let last = applied.last else { return }
        if self.state.withLock({ $0.isFollowed }) {
            let named = applied.map { ($0.index, $0.invalidations.map { NameMark($0) }) }
            self.state.withLock { state in
                for (index, names) in named { state.ring?.append(names, at: index) }
            }
        } else {
            // Whoever begins to follow meanwhile is told to start over.
            self.state.withLock { $0.ring?.skip(to: last.index) }
        }
        self.waiters.reached(last.index)
    }

    /// What the state has applied, or more; nil until that is known.
    var through: LogIndex? { self.waiters.reached }

    /// What is new behind an index; nil: nothing.
    func news(after index: LogIndex) -> InvalidationNews? {
        self.state.withLock { state in
            state.isFollowed = true
            return state.ring?.news(after: index)
        }
    }

    /// Waits until the state has applied `index`; false when it has not after `span`.
    func wait(
        for index: LogIndex, atMost span: Duration, on loop: any EventLoop
    ) async -> Bool {
        await self.waiters.wait(for: index, atMost: span, on: loop)
    }
}
