import Consensus
import Primitives

/// How many bytes the entries of a log take, known in steps: for deciding where a log that has grown
/// too long may end.
struct LogSizes: Sendable {
    /// How exactly the sizes are known.
    static let stepBytes: UInt64 = 256 << 10

    /// In ascending order: the last entry of each step, and the bytes up to and with it.
    private var marks: [(last: LogIndex, endBytes: UInt64)] = []
    /// Bytes of entries so far, those that have ended included.
    private var endBytes: UInt64 = 0

    /// Entries are appended, in place of those that had their places.
    mutating func append(_ entries: [Entry]) {
        guard let first = entries.first else { return }
        while let last = self.marks.last, last.last >= first.index {
            self.marks.removeLast()
            self.endBytes = self.marks.last?.endBytes ?? 0
        }
        for entry in entries { self.append(entry.index, sizeBytes: UInt64(entry.sizeBytes)) }
    }

    private mutating func append(_ index: LogIndex, sizeBytes: UInt64) {
        self.endBytes += sizeBytes
        guard self.endBytes - (self.marks.last?.endBytes ?? 0) >= Self.stepBytes else { return }
        self.marks.append((index, self.endBytes))
    }

    /// The entries through `index` have ended.
    mutating func truncate(through index: LogIndex) {
        let count = self.marks.prefix { $0.last < index }.count
        // One mark at or below the log's beginning stays: the bytes behind it are counted from it.
        if count > 1 { self.marks.removeFirst(count - 1) }
    }

    /// The last entry that may end so that at least `bytes`, or all there are, stay behind it.
    func index(keeping bytes: UInt64) -> LogIndex {
        guard self.endBytes > bytes else { return .zero }
        return self.marks.last { $0.endBytes <= self.endBytes - bytes }?.last ?? .zero
    }
}
