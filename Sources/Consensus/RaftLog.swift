import Primitives

/// The replica's view of its log: the recent entries in memory, and how far the storage has them.
///
/// Entries in memory reach back at least to the lower of what is applied and what is durable; older
/// ones are in the storage alone, back to `truncated`, and before that nowhere.
struct RaftLog: Sendable {
    /// The last entry that is gone from the storage: the log begins behind it.
    private(set) var truncated: LogAnchor
    /// The entry before the first one in memory.
    private(set) var before: LogAnchor
    private var entries: [Entry]
    /// The configurations that the log holds and that are not applied yet, in order.
    private(set) var configurations: [(index: LogIndex, configuration: Configuration)] = []
    /// For each entry in memory, the bytes of it and all entries before it, from some start on.
    private var ends: [Int]
    private var startBytes = 0

    /// The highest index whose entry, as it is now, is known to be durable.
    private(set) var persisted: LogIndex
    /// The highest index whose entry, as it is now, was given to the storage.
    private var handed: LogIndex
    /// The number of the last write given to the storage.
    private(set) var lastWrite: UInt64 = 0
    /// The writes not acknowledged yet, oldest first, each with the highest index that it and the
    /// writes before it leave durable. An entry that is replaced takes that index back, so a late
    /// acknowledgement never speaks for an entry that came after it (etcd's scripts call the trap
    /// the append ABA race).
    private var writesUnderWay: [(number: UInt64, last: LogIndex)] = []

    init(restored: RestoredLog) {
        self.truncated = restored.truncated
        self.before = restored.before
        self.entries = []
        self.ends = []
        self.persisted = restored.before.index
        self.handed = restored.before.index
        self.append(restored.entries)
        self.persisted = self.last.index
        self.handed = self.last.index
    }

    // MARK: Reading

    var last: LogAnchor { self.entries.last?.anchor ?? self.before }

    /// The anchor at `index` when the memory has it.
    func anchor(at index: LogIndex) -> LogAnchor? {
        if index == self.before.index { return self.before }
        if index == self.truncated.index { return self.truncated }
        return self.entry(at: index)?.anchor
    }

    /// The anchor in front of `next`, when the memory has both it and whatever follows it.
    func anchorInMemory(before next: LogIndex) -> LogAnchor? {
        guard next > self.before.index else { return nil }
        return self.anchor(at: LogIndex(next.rawValue - 1))
    }

    func entry(at index: LogIndex) -> Entry? {
        guard index > self.before.index, index <= self.last.index else { return nil }
        return self.entries[self.offset(of: index)]
    }

    /// The entries from `first` (in memory) through `last`, at most `limitBytes` of them, but one
    /// at least.
    func entries(from first: LogIndex, through last: LogIndex, limitBytes: Int) -> [Entry] {
        invariant(first > self.before.index, "entries in memory are asked for")
        let end = min(last, self.last.index)
        guard first <= end else { return [] }
        let start = self.offset(of: first)
        let limit = self.endBytes(before: start) + limitBytes
        var stop = start + 1
        let maximumStop = min(self.offset(of: end) + 1, start + RaftMessage.maximumEntries)
        while stop < maximumStop, self.ends[stop] <= limit { stop += 1 }
        return Array(self.entries[start..<stop])
    }

    /// The bytes of the entries behind `first` through `last`, both in memory.
    func sizeBytes(after first: LogIndex, through last: LogIndex) -> Int {
        guard first < last else { return 0 }
        return self.ends[self.offset(of: last)] - self.endBytes(before: self.offset(of: first.next))
    }

    /// The highest position at or below `index` whose term is at most `term`, as far back as the
    /// memory reaches.
    func position(atMost index: LogIndex, termAtMost term: Term) -> LogPosition {
        guard index > self.before.index, !self.entries.isEmpty else { return self.before.position }
        var offset = self.offset(of: min(index, self.last.index))
        while offset >= 0, self.entries[offset].term > term { offset -= 1 }
        return offset < 0 ? self.before.position : self.entries[offset].position
    }

    private func offset(of index: LogIndex) -> Int {
        Int(index.rawValue - self.before.index.rawValue) - 1
    }

    private func endBytes(before offset: Int) -> Int {
        offset == 0 ? self.startBytes : self.ends[offset - 1]
    }

    // MARK: Changing

    mutating func append(_ new: some Sequence<Entry>) {
        for entry in new {
            invariant(entry.index == self.last.index.next, "the log has no holes")
            let end = (self.ends.last ?? self.startBytes) + entry.sizeBytes
            self.entries.append(entry)
            self.ends.append(end)
            if let configuration = entry.configuration {
                self.configurations.append((entry.index, configuration))
            }
        }
    }

    /// The configurations through `index`, which are in force or behind one that is.
    mutating func takeConfigurations(through index: LogIndex) -> [Configuration] {
        let count = self.configurations.prefix { $0.index <= index }.count
        defer { self.configurations.removeFirst(count) }
        return self.configurations.prefix(count).map(\.configuration)
    }

    /// Drops the entry at `first` (in memory) and everything behind it, which newer entries replace
    /// before the next write is handed out.
    mutating func removeSuffix(from first: LogIndex) {
        let offset = self.offset(of: first)
        self.entries.removeSubrange(offset...)
        self.ends.removeSubrange(offset...)
        self.configurations.removeAll { $0.index >= first }
        let last = self.last.index
        self.persisted = min(self.persisted, last)
        self.handed = min(self.handed, last)
        for write in self.writesUnderWay.indices {
            self.writesUnderWay[write].last = min(self.writesUnderWay[write].last, last)
        }
    }

    /// Lets go of entries up to `safe`, which must be applied and durable, when the memory holds
    /// more than `limitBytes`. Goes down to half of it, so that the cost is spread.
    mutating func trim(through safe: LogIndex, limitBytes: Int) {
        let total = (self.ends.last ?? self.startBytes) - self.startBytes
        guard total > limitBytes, safe > self.before.index else { return }
        let maximum = self.offset(of: safe) + 1
        var count = 0
        while count < maximum,
            total - (self.endBytes(before: count) - self.startBytes) > limitBytes / 2
        {
            count += 1
        }
        self.dropPrefix(count)
    }

    /// The storage has dropped its entries through `anchor`, which must be applied and durable.
    mutating func truncate(through anchor: LogAnchor) {
        guard anchor.index > self.truncated.index else { return }
        self.truncated = anchor
        guard anchor.index > self.before.index else { return }
        self.dropPrefix(self.offset(of: anchor.index) + 1)
    }

    private mutating func dropPrefix(_ count: Int) {
        guard count > 0 else { return }
        self.before = self.entries[count - 1].anchor
        self.startBytes = self.ends[count - 1]
        self.entries.removeFirst(count)
        self.ends.removeFirst(count)
    }

    // MARK: Writing

    var hasUnwritten: Bool { self.handed < self.last.index }
    var hasWritesUnderWay: Bool { !self.writesUnderWay.isEmpty }

    /// Gives everything that was not given yet to the storage, as the write of the returned number.
    mutating func handOut() -> (entries: [Entry], write: UInt64) {
        let start = self.offset(of: self.handed.next)
        let new = Array(self.entries[start...])
        self.handed = self.last.index
        self.lastWrite += 1
        self.writesUnderWay.append((self.lastWrite, self.handed))
        return (new, self.lastWrite)
    }

    /// The write of this number, and with it all before it, is durable.
    mutating func persisted(write number: UInt64) {
        let done = self.writesUnderWay.prefix { $0.number <= number }
        guard let newest = done.last else { return }
        self.persisted = max(self.persisted, newest.last)
        self.writesUnderWay.removeFirst(done.count)
    }
}
