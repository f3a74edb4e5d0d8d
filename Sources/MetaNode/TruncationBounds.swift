import Consensus
import Primitives

/// What decides how much of a log is kept.
package struct TruncationBounds: Sendable {
    /// What every voter's log is known to hold.
    package let heldByAll: LogIndex
    /// Entries kept behind it, for followers a little behind.
    package let entriesKept: UInt64
    /// Entries kept for voters that are slow or away.
    package let entriesKeptForSlow: UInt64
    /// The last entry that may end so that the bytes kept for such voters stay behind it.
    package let sizeBound: LogIndex
    /// The entry behind which a snapshot, held ready for somebody, goes on.
    package let pin: LogIndex?

    package init(
        heldByAll: LogIndex, entriesKept: UInt64, entriesKeptForSlow: UInt64, sizeBound: LogIndex,
        pin: LogIndex?
    ) {
        self.heldByAll = heldByAll
        self.entriesKept = entriesKept
        self.entriesKeptForSlow = entriesKeptForSlow
        self.sizeBound = sizeBound
        self.pin = pin
    }

    /// The last entry that nobody needs, given that the state holds all through `durable`; zero when
    /// there is none.
    package func lastNeedless(durable: LogIndex) -> LogIndex {
        func before(_ index: LogIndex, _ count: UInt64) -> LogIndex {
            LogIndex(index.rawValue > count ? index.rawValue - count : 0)
        }
        let held = before(min(durable, self.heldByAll), self.entriesKept)
        let bounded = max(before(durable, self.entriesKeptForSlow), min(self.sizeBound, durable))
        return min(max(held, bounded), self.pin ?? durable)
    }
}
