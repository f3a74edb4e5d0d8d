import OrderedStorage

/// Pairs in the order of their keys, in runs of bounded length.
///
/// A value: a copy costs one reference, and a change to it copies the list of runs once, and the run
/// it falls in. So snapshots are free, and a change costs a few microseconds at a million pairs.
struct SortedPairs: Sendable {
    /// A longer run is cut in two.
    private static let runLimit = 128

    private var runs: [[KeyValue]] = []

    private(set) var count = 0
    /// Bytes of keys and values, and some for each pair.
    private(set) var sizeBytes = 0
    private static let overheadBytes = 16

    init() {}

    /// Where a pair stands: `run == runs.count` is the end.
    struct Position: Equatable {
        fileprivate var run: Int
        fileprivate var offset: Int
    }

    func value(of key: [UInt8]) -> [UInt8]? {
        let position = self.lowerBound(key)
        guard let pair = self.pair(at: position), pair.key == key else { return nil }
        return pair.value
    }

    /// The first pair whose key is not below `key`.
    func lowerBound(_ key: [UInt8]) -> Position {
        // The last run that begins at or below the key holds it, if any does.
        var low = 0
        var high = self.runs.count
        while low < high {
            let middle = (low + high) / 2
            if precedes(key, self.runs[middle][0].key) { high = middle } else { low = middle + 1 }
        }
        guard low > 0 else { return Position(run: 0, offset: 0) }
        let run = self.runs[low - 1]
        var start = 0
        var end = run.count
        while start < end {
            let middle = (start + end) / 2
            if precedes(run[middle].key, key) { start = middle + 1 } else { end = middle }
        }
        return start < run.count
            ? Position(run: low - 1, offset: start) : Position(run: low, offset: 0)
    }

    func pair(at position: Position) -> KeyValue? {
        position.run < self.runs.count ? self.runs[position.run][position.offset] : nil
    }

    func next(after position: Position) -> Position {
        position.offset + 1 < self.runs[position.run].count
            ? Position(run: position.run, offset: position.offset + 1)
            : Position(run: position.run + 1, offset: 0)
    }

    mutating func put(_ pair: KeyValue) {
        var position = self.lowerBound(pair.key)
        if let old = self.pair(at: position), old.key == pair.key {
            self.sizeBytes += pair.value.count - old.value.count
            self.runs[position.run][position.offset] = pair
            return
        }
        self.count += 1
        self.sizeBytes += Self.size(of: pair)
        if self.runs.isEmpty {
            self.runs.append([pair])
            return
        }
        if position.offset == 0, position.run > 0 {
            position = Position(run: position.run - 1, offset: self.runs[position.run - 1].count)
        }
        self.runs[position.run].insert(pair, at: position.offset)
        self.split(position.run)
    }

    mutating func delete(_ key: [UInt8]) {
        let position = self.lowerBound(key)
        guard let old = self.pair(at: position), old.key == key else { return }
        self.count -= 1
        self.sizeBytes -= Self.size(of: old)
        self.runs[position.run].remove(at: position.offset)
        if self.runs[position.run].isEmpty { self.runs.remove(at: position.run) }
    }

    mutating func delete(_ range: KeyRange) {
        if let end = range.end, !precedes(range.start, end) { return }
        let start = self.lowerBound(range.start)
        let end = range.end.map { self.lowerBound($0) }
        let stop = end ?? Position(run: self.runs.count, offset: 0)
        guard start != stop, start.run < self.runs.count else { return }
        var kept = Array(self.runs[start.run][..<start.offset])
        if stop.run < self.runs.count { kept += self.runs[stop.run][stop.offset...] }
        let last = min(stop.run, self.runs.count - 1)
        let replaced = self.runs[start.run...last].joined()
        self.count += kept.count - replaced.reduce(0) { total, _ in total + 1 }
        self.sizeBytes += Self.size(of: kept) - Self.size(of: replaced)
        self.runs.replaceSubrange(start.run...last, with: kept.isEmpty ? [] : [kept])
        if !kept.isEmpty { self.split(start.run) }
    }

    private mutating func split(_ index: Int) {
        guard self.runs[index].count > Self.runLimit else { return }
        let run = self.runs[index]
        // Keys that only grow fill their runs: the cut leaves one pair to go on with.
        let isLast = index == self.runs.count - 1
        let cut = isLast ? run.count - 1 : run.count / 2
        self.runs[index] = Array(run[..<cut])
        self.runs.insert(Array(run[cut...]), at: index + 1)
    }

    private static func size(of pair: KeyValue) -> Int {
        pair.key.count + pair.value.count + Self.overheadBytes
    }

    private static func size(of pairs: some Sequence<KeyValue>) -> Int {
        pairs.reduce(0) { $0 + Self.size(of: $1) }
    }
}

/// Byte order, which is the order of keys.
private func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
            let shared = min(a.count, b.count)
            var index = 0
            while index < shared {
                if a[index] != b[index] { return a[index] < b[index] }
                index += 1
            }
            return a.count < b.count
        }
    }
}
