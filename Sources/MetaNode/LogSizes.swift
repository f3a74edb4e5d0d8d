import Consensus
import Primitives

/// How many bytes the entries of a log take: for deciding where a log that has grown too long may
/// end. Eight bytes an entry, of a log whose entries are bounded in number.
package struct LogSizes: Sendable {
    /// The last entry that has ended.
    private var before = LogIndex.zero
    /// For each entry behind it, the bytes up to and with it, from some start on.
    private var ends: [UInt64] = []
    private var start: UInt64 = 0

    package init() {}

    /// Entries are appended, in place of those that had their places.
    package mutating func append(_ entries: [Entry]) {
        guard let first = entries.first else { return }
        let kept = first.index.rawValue - min(first.index.rawValue, self.before.rawValue + 1)
        if self.ends.isEmpty || kept > self.ends.count || first.index <= self.before {
            // Nothing that is known stands before them.
            self.before = LogIndex(first.index.rawValue - 1)
            self.ends = []
        } else {
            self.ends.removeSubrange(Int(kept)...)
        }
        for entry in entries {
            self.ends.append((self.ends.last ?? self.start) + UInt64(entry.sizeBytes))
        }
    }

    /// The entries through `index` have ended.
    package mutating func truncate(through index: LogIndex) {
        guard index > self.before else { return }
        let count = min(Int(index.rawValue - self.before.rawValue), self.ends.count)
        if count > 0 { self.start = self.ends[count - 1] }
        self.ends.removeFirst(count)
        self.before = index
    }

    /// The last entry that may end so that at least `bytes`, or all there are, stay behind it; zero
    /// when none may.
    package func index(keeping bytes: UInt64) -> LogIndex {
        guard let end = self.ends.last, end - self.start > bytes else { return .zero }
        // Of the ends, which ascend, how many are at or below the mark.
        let mark = end - bytes
        var (low, high) = (0, self.ends.count)
        while low < high {
            let middle = (low + high) / 2
            if self.ends[middle] <= mark { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? .zero : LogIndex(self.before.rawValue + UInt64(low))
    }
}
