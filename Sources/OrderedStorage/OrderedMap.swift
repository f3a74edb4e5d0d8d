/// Pairs in ascending byte order of their keys, as a value: a copy is a snapshot that costs nothing
/// until one of the two changes.
///
/// A tree of two levels. Each leaf holds at most `leafCapacity` pairs, so that a change moves few of
/// them; the root is an array of leaves. A lookup is O(log n). The first change after a copy copies
/// one leaf, and the root's references: fine up to millions of pairs.
package struct OrderedMap<Value: Sendable>: Sendable {
    private struct Pair: Sendable {
        let key: [UInt8]
        var value: Value
    }

    /// Where a pair stands, or would stand; `slot` may be the end of the leaf only in the last leaf.
    private struct Position: Equatable {
        var leaf: Int
        var slot: Int
    }

    private static var leafCapacity: Int { 64 }

    /// No leaf is empty.
    private var leaves: [[Pair]] = []
    package private(set) var count = 0

    package init() {}
    package var isEmpty: Bool { self.count == 0 }

    package subscript(key: [UInt8]) -> Value? {
        let position = self.position(notBelow: key)
        guard let pair = self.pair(at: position), pair.key == key else { return nil }
        return pair.value
    }

    package mutating func set(_ key: [UInt8], to value: Value) {
        guard !self.leaves.isEmpty else {
            self.leaves = [[Pair(key: key, value: value)]]
            self.count = 1
            return
        }
        // The leaf that begins at or below the key takes it, so that keys that arrive in order
        // fill one leaf after the other.
        let leaf = max(0, self.leaf(after: key) - 1)
        let slot = Self.slot(notBelow: key, in: self.leaves[leaf])
        if slot < self.leaves[leaf].count, self.leaves[leaf][slot].key == key {
            self.leaves[leaf][slot].value = value
            return
        }
        self.leaves[leaf].insert(Pair(key: key, value: value), at: slot)
        self.count += 1
        self.splitIfFull(leaf)
    }

    package mutating func remove(_ key: [UInt8]) {
        let position = self.position(notBelow: key)
        guard let pair = self.pair(at: position), pair.key == key else { return }
        self.leaves[position.leaf].remove(at: position.slot)
        self.count -= 1
        if self.leaves[position.leaf].isEmpty { self.leaves.remove(at: position.leaf) }
    }

    package mutating func remove(in range: KeyRange) {
        guard !range.isEmpty else { return }
        let start = self.position(notBelow: range.start)
        let end = range.end.map { self.position(notBelow: $0) } ?? self.end
        guard start != end else { return }
        let before = self.leaves[start.leaf].prefix(start.slot)
        let after = end.leaf < self.leaves.count ? self.leaves[end.leaf].dropFirst(end.slot) : []
        let touched = start.leaf..<min(end.leaf + 1, self.leaves.count)
        let removed = self.leaves[touched].reduce(0) { $0 + $1.count } - before.count - after.count
        self.leaves.replaceSubrange(
            touched, with: [Array(before), Array(after)].filter { !$0.isEmpty })
        self.count -= removed
    }

    /// The last pair whose key is not above `key`.
    package func last(notAbove key: [UInt8]) -> (key: [UInt8], value: Value)? {
        let leaf = self.leaf(after: key) - 1
        guard leaf >= 0 else { return nil }
        let slot = Self.slot(notBelow: key, in: self.leaves[leaf])
        let pairs = self.leaves[leaf]
        let isExact = slot < pairs.count && pairs[slot].key == key
        let pair = pairs[isExact ? slot : slot - 1]
        return (pair.key, pair.value)
    }

    /// The first pair whose key is not below `key`.
    package func first(notBelow key: [UInt8]) -> (key: [UInt8], value: Value)? {
        self.pair(at: self.position(notBelow: key)).map { ($0.key, $0.value) }
    }

    private mutating func splitIfFull(_ leaf: Int) {
        let count = self.leaves[leaf].count
        guard count > Self.leafCapacity else { return }
        // Keys that arrive in order leave full leaves behind instead of half-empty ones.
        let isLast = leaf == self.leaves.count - 1
        let kept = isLast ? count - 1 : count / 2
        let moved = Array(self.leaves[leaf][kept...])
        self.leaves[leaf].removeSubrange(kept...)
        self.leaves.insert(moved, at: leaf + 1)
    }

    private var end: Position { Position(leaf: self.leaves.count, slot: 0) }

    private func pair(at position: Position) -> Pair? {
        guard position.leaf < self.leaves.count else { return nil }
        return self.leaves[position.leaf][position.slot]
    }

    private func position(notBelow key: [UInt8]) -> Position {
        let leaf = self.leaf(after: key) - 1
        guard leaf >= 0 else { return Position(leaf: 0, slot: 0) }
        let slot = Self.slot(notBelow: key, in: self.leaves[leaf])
        guard slot < self.leaves[leaf].count else { return Position(leaf: leaf + 1, slot: 0) }
        return Position(leaf: leaf, slot: slot)
    }

    /// The first leaf that begins above `key`.
    private func leaf(after key: [UInt8]) -> Int {
        var low = 0
        var high = self.leaves.count
        while low < high {
            let middle = (low + high) / 2
            if KeyOrder.precedes(key, self.leaves[middle][0].key) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low
    }

    private static func slot(notBelow key: [UInt8], in pairs: [Pair]) -> Int {
        var low = 0
        var high = pairs.count
        while low < high {
            let middle = (low + high) / 2
            if KeyOrder.precedes(pairs[middle].key, key) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}

extension OrderedMap {
    /// Walks over the pairs of a range as they were when the walk began.
    package struct Walk {
        private let map: OrderedMap
        private let range: KeyRange
        private var position: Position

        package init(over map: OrderedMap, in range: KeyRange) {
            self.map = map
            self.range = range
            self.position = map.position(notBelow: range.start)
        }

        package mutating func next() -> (key: [UInt8], value: Value)? {
            guard let pair = self.map.pair(at: self.position) else { return nil }
            if let end = self.range.end, !KeyOrder.precedes(pair.key, end) { return nil }
            self.position.slot += 1
            if self.position.slot == self.map.leaves[self.position.leaf].count {
                self.position = Position(leaf: self.position.leaf + 1, slot: 0)
            }
            return (pair.key, pair.value)
        }

        package mutating func seek(_ key: [UInt8]) {
            let isBelow = KeyOrder.precedes(key, self.range.start)
            self.position = self.map.position(notBelow: isBelow ? self.range.start : key)
        }
    }
}

/// The order of keys: byte by byte, as RocksDB's default comparator has it.
package enum KeyOrder {
    /// Whether `a` stands before `b`. (Eight bytes a step: `lexicographicallyPrecedes` takes one.)
    package static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in
                let common = min(a.count, b.count)
                var offset = 0
                while offset + 8 <= common {
                    let left = a.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    let right = b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    if left != right { return left.bigEndian < right.bigEndian }
                    offset += 8
                }
                while offset < common {
                    if a[offset] != b[offset] { return a[offset] < b[offset] }
                    offset += 1
                }
                return a.count < b.count
            }
        }
    }
}
