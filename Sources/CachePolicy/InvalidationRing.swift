import Primitives

/// What a replica remembers of the names that its entries invalidated, for those who follow it.
///
/// Fed with every entry that is applied, in order and once its effects can be read; entries without
/// names, no-ops included, move the watermark alone. Followers never hold anything back: who asks
/// for what was forgotten is told to start over.
package struct InvalidationRing: Sendable {
    /// Names remembered (DESIGN §6).
    package static let capacity = 65_536

    /// Everything behind this index, through `through`, is remembered.
    package private(set) var floor: LogIndex
    /// The last entry that was applied.
    package private(set) var through: LogIndex
    private let capacity: Int
    /// In the order of their entries, from `start` on; what is before is about to be removed.
    private var marks: [InvalidationMark] = []
    private var start = 0

    /// A ring that remembers nothing yet: of a state at `index`.
    package init(at index: LogIndex, capacity: Int = InvalidationRing.capacity) {
        invariant(capacity > 0, "a ring remembers something")
        self.floor = index
        self.through = index
        self.capacity = capacity
    }

    package var count: Int { self.marks.count - self.start }

    /// The state was replaced by one at `index`, which may be before or behind what was told.
    package mutating func restart(at index: LogIndex) {
        self = Self(at: index, capacity: self.capacity)
    }

    /// The entry behind the last is applied.
    package mutating func append(_ names: [NameMark], at index: LogIndex) {
        invariant(index == self.through.next, "entries are applied without a gap")
        self.through = index
        let isTooMuch = names.count > min(InvalidationNews.mostMarks, self.capacity)
        let names = isTooMuch ? [.everything] : names
        while self.count + names.count > self.capacity { self.forgetOldestEntry() }
        for name in names { self.marks.append(InvalidationMark(index: index, name: name)) }
    }

    /// The entry behind the last is applied, and nobody follows: it is not worth remembering.
    package mutating func skip(to index: LogIndex) {
        self.restart(at: index)
    }

    private mutating func forgetOldestEntry() {
        let oldest = self.marks[self.start].index
        self.floor = oldest
        while self.start < self.marks.count, self.marks[self.start].index == oldest {
            self.start += 1
        }
        if self.start >= self.capacity / 2 {
            self.marks.removeFirst(self.start)
            self.start = 0
        }
    }

    /// What is new to a follower that knows all through `after`; nil: nothing. Entries are told
    /// whole, and as many as one message holds.
    package func news(after: LogIndex) -> InvalidationNews? {
        guard after < self.through else { return nil }
        guard after >= self.floor else { return .reset(self.through) }
        let first = self.firstMark(after: after)
        var end = first
        while end < self.marks.count {
            let entryEnd = self.end(ofEntryAt: end)
            guard entryEnd - first <= InvalidationNews.mostMarks else {
                // At least one entry fits: none has more marks than a message.
                return .marks(
                    Array(self.marks[first..<end]), after: after,
                    through: self.marks[end - 1].index)
            }
            end = entryEnd
        }
        return .marks(Array(self.marks[first...]), after: after, through: self.through)
    }

    private func firstMark(after index: LogIndex) -> Int {
        var low = self.start
        var high = self.marks.count
        while low < high {
            let middle = (low + high) / 2
            if self.marks[middle].index > index { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private func end(ofEntryAt position: Int) -> Int {
        let index = self.marks[position].index
        var end = position + 1
        while end < self.marks.count, self.marks[end].index == index { end += 1 }
        return end
    }
}
