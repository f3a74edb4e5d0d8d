import Primitives

/// What an edge knows of one group's invalidations.
///
/// It decides the one question on which every cached name rests: was this, read from a state at or
/// behind some index, invalidated since? It can be answered only as far back as the memory reaches;
/// further back the answer is "perhaps", and the read is not remembered.
package struct InvalidationMemory: Sendable {
    /// Names remembered: what is invalidated while the slowest fill is on its way.
    package static let capacity = 16_384

    /// Every invalidation behind this index, through `through`, is remembered.
    package private(set) var floor = LogIndex.zero
    /// The last entry that was heard of.
    package private(set) var through = LogIndex.zero
    /// What was read from a state before this is worth nothing.
    package private(set) var reset = LogIndex.zero
    private let capacity: Int
    /// The latest invalidation of each name that is remembered.
    private var latest: [NameMark: LogIndex] = [:]
    private var order = Fifo<InvalidationMark>()

    package init(capacity: Int = InvalidationMemory.capacity) {
        invariant(capacity > 0, "a memory remembers something")
        self.capacity = capacity
    }

    /// Learns what a replica told, in whatever order answers come in.
    ///
    /// - Returns: what was invalidated; nil when nothing was learnt. `reset` may have risen, too.
    package mutating func learn(_ news: InvalidationNews) -> [InvalidationMark]? {
        switch news {
        case .reset(let index):
            guard index > self.through else { return nil }
            self.through = index
            self.startOver(at: index)
            return []
        case .marks(let marks, let after, let through):
            // It must be joined to what is known, and reach further.
            guard after <= self.through, self.through < through else { return nil }
            let new = marks.filter { $0.index > self.through }
            self.through = through
            for mark in new {
                if mark.name == .everything {
                    self.startOver(at: mark.index)
                } else {
                    self.remember(mark)
                }
            }
            return new
        }
    }

    private mutating func startOver(at index: LogIndex) {
        self.floor = index
        self.reset = index
        self.latest.removeAll(keepingCapacity: true)
        self.order = Fifo()
    }

    private mutating func remember(_ mark: InvalidationMark) {
        self.latest[mark.name] = mark.index
        self.order.append(mark)
        while self.order.count > self.capacity, let oldest = self.order.popFirst() {
            self.floor = oldest.index
            if self.latest[oldest.name] == oldest.index { self.latest[oldest.name] = nil }
        }
    }

    /// Whether what was read of a name, from a state that had applied `index` or more, may be
    /// remembered: the memory reaches back to it and shows no invalidation since.
    package func admits(_ name: MarkedName, readAt index: LogIndex) -> Bool {
        index >= self.floor && !self.wasInvalidated(name.name, after: index)
            && !self.wasInvalidated(name.bucket, after: index)
    }

    private func wasInvalidated(_ mark: NameMark, after index: LogIndex) -> Bool {
        self.latest[mark].map { $0 > index } ?? false
    }
}
