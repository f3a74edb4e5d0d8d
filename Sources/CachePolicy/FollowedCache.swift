import Primitives

/// What metadata said of names, kept for as long as the logs of its groups do not say otherwise
/// (DESIGN §6, "Fresh by the log").
///
/// Every value was read from a state at or behind some index of its group, and is what that group
/// would say at every index from there through the last one heard of. A linearizable read may be
/// answered with it when that covers a read index that was asked for after the read began; a read
/// that may be a little old, when it covers one that was asked for lately. That a name is absent is
/// a value like any other.
package struct FollowedCache<Name: Hashable & Sendable, Value: Sendable>: Sendable {
    /// Buckets of one group in which names are remembered; with one more, all names are dropped.
    package static var mostBuckets: Int { 16_384 }
    /// Read indexes that wait for the stream to reach them; beyond, the latest takes a place.
    static var mostPending: Int { 16 }

    private struct Key: Hashable, Sendable {
        let group: GroupID
        let mark: NameMark
    }

    private struct Entry: Sendable {
        let name: Name
        let bucket: NameMark
        let value: Value
        /// An index at which it is known to be true; invalidations behind it are what ends it.
        let knownAt: LogIndex
    }

    private struct Group: Sendable {
        var memory = InvalidationMemory()
        /// The buckets in which names were admitted, and for each what must be known at this index
        /// or behind it to be worth anything.
        var buckets: [NameMark: LogIndex] = [:]
        /// When the latest read index was asked for that the stream has reached.
        var confirmed: Instant?
        var pending: [(index: LogIndex, asked: Instant)] = []
    }

    /// A value, and how far it is known to be true.
    package struct Found: Sendable {
        package let value: Value
        /// It is what the group says at every index from its reading through this one.
        package let through: LogIndex
    }

    private var groups: [GroupID: Group] = [:]
    private var entries: SieveCache<Key, Entry>

    package init(capacityBytes: Int) {
        self.entries = SieveCache(capacityBytes: capacityBytes)
    }

    package var sizeBytes: Int { self.entries.sizeBytes }

    // MARK: What is heard

    /// Through which entry of a group's log everything was heard.
    package func through(_ group: GroupID) -> LogIndex {
        self.groups[group]?.memory.through ?? .zero
    }

    /// Takes what a replica of a group told.
    ///
    /// - Returns: whether names were dropped unseen, by a reset of a stream that was under way.
    @discardableResult
    package mutating func heard(_ news: InvalidationNews, of group: GroupID) -> Bool {
        let wasFollowing = self.through(group) > .zero
        guard let marks = self.groups[group, default: Group()].memory.learn(news) else {
            return false
        }
        // What was read before a reset is found to be so when it is looked up.
        for mark in marks {
            let key = Key(group: group, mark: mark.name)
            // A value that was read behind the entry that invalidated the name stays.
            if let entry = self.entries.peek(key), entry.knownAt < mark.index {
                self.entries.remove(key)
            }
            if self.groups[group]?.buckets[mark.name] != nil {
                self.groups[group]?.buckets[mark.name] = mark.index
            }
        }
        self.settlePending(of: group)
        if case .reset = news { return wasFollowing }
        return false
    }

    /// A read index came back: at `asked`, the group had committed no more than `index`.
    package mutating func confirmed(_ index: LogIndex, askedAt asked: Instant, of group: GroupID) {
        var state = self.groups[group] ?? Group()
        if state.pending.count == Self.mostPending { state.pending.removeLast() }
        state.pending.append((index, asked))
        self.groups[group] = state
        self.settlePending(of: group)
    }

    private mutating func settlePending(of group: GroupID) {
        guard var state = self.groups[group], !state.pending.isEmpty else { return }
        for (index, asked) in state.pending where index <= state.memory.through {
            state.confirmed = max(state.confirmed ?? asked, asked)
        }
        state.pending.removeAll { $0.index <= state.memory.through }
        self.groups[group] = state
    }

    /// The time at which all that had been acknowledged is known here; nil: never yet.
    package func knowsAll(of group: GroupID) -> Instant? { self.groups[group]?.confirmed }

    // MARK: Names

    /// The value of a name, if one is known.
    package mutating func find(
        _ name: Name, _ marks: MarkedName, in group: GroupID
    ) -> Found? {
        let key = Key(group: group, mark: marks.name)
        guard let entry = self.entries.value(for: key), entry.name == name,
            let state = self.groups[group]
        else { return nil }
        // A bucket without a place here was dropped together with all that was read in it.
        guard let bucketReset = state.buckets[entry.bucket], entry.knownAt >= bucketReset,
            entry.knownAt >= state.memory.reset
        else {
            self.entries.remove(key)
            return nil
        }
        return Found(value: entry.value, through: max(entry.knownAt, state.memory.through))
    }

    /// Remembers what was read of a name, if it is certain that it was not invalidated since.
    ///
    /// - Parameter readAt: the state that was read had applied this index, or more.
    /// - Returns: whether it was admitted.
    package mutating func admit(
        _ value: Value, of name: Name, _ marks: MarkedName, in group: GroupID,
        readAt: LogIndex, sizeBytes: Int
    ) -> Bool {
        var state = self.groups[group] ?? Group()
        guard state.memory.admits(marks, readAt: readAt) else { return false }
        let key = Key(group: group, mark: marks.name)
        // That nothing invalidated it says that it is true at the last index heard of, too.
        let knownAt = max(readAt, state.memory.through)
        // Answers may overtake each other.
        if let known = self.entries.peek(key), known.name == name, known.knownAt > knownAt {
            return true
        }
        if state.buckets[marks.bucket] == nil {
            if state.buckets.count >= Self.mostBuckets { state.buckets.removeAll() }
            // What happened to the bucket while it had no place here happened before this.
            state.buckets[marks.bucket] = state.memory.through
        }
        self.groups[group] = state
        self.entries.insert(
            Entry(name: name, bucket: marks.bucket, value: value, knownAt: knownAt), for: key,
            sizeBytes: sizeBytes)
        return true
    }
}
