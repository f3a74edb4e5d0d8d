import Primitives

/// A bounded map that evicts by SIEVE (Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024): one
/// queue, one visited mark an entry, one hand that walks from the oldest entry to the newest,
/// clears marks and evicts the first entry without one. A hit only sets a mark.
///
/// There is no expiry: values never become wrong (blocks of immutable versions), or are removed by
/// whoever learns that they are.
package struct SieveCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var key: Key
        var value: Value
        var sizeBytes: Int
        var isVisited: Bool
        /// Towards the newest entry; -1 at the newest.
        var newer: Int
        /// Towards the oldest entry; -1 at the oldest.
        var older: Int
    }

    /// The most bytes that entries may take together. Where it becomes smaller than they take,
    /// entries are evicted.
    package var capacityBytes: Int {
        didSet {
            invariant(self.capacityBytes >= 0, "a cache's capacity is not negative")
            while self.sizeBytes > self.capacityBytes { self.evictOne() }
        }
    }
    /// What all entries take now.
    package private(set) var sizeBytes = 0
    package private(set) var evictions = 0

    private var entries: [Entry?] = []
    private var free: [Int] = []
    private var places: [Key: Int] = [:]
    private var newest = -1
    private var oldest = -1
    private var hand = -1

    package init(capacityBytes: Int) {
        invariant(capacityBytes >= 0, "a cache's capacity is not negative")
        self.capacityBytes = capacityBytes
    }

    package var count: Int { self.places.count }

    /// The value of `key`, marked as visited.
    package mutating func value(for key: Key) -> Value? {
        guard let place = self.places[key] else { return nil }
        self.entries[place]?.isVisited = true
        return self.entries[place]?.value
    }

    /// The value of `key`; marks nothing.
    package func peek(_ key: Key) -> Value? {
        self.places[key].flatMap { self.entries[$0]?.value }
    }

    /// Whether `key` is there; marks nothing.
    package func contains(_ key: Key) -> Bool { self.places[key] != nil }

    /// Adds or replaces an entry and evicts until all fit; one that is larger than the whole cache
    /// is not taken.
    package mutating func insert(_ value: Value, for key: Key, sizeBytes: Int) {
        self.remove(key)
        guard sizeBytes <= self.capacityBytes else { return }
        while self.sizeBytes + sizeBytes > self.capacityBytes { self.evictOne() }
        let entry = Entry(
            key: key, value: value, sizeBytes: sizeBytes, isVisited: false, newer: -1,
            older: self.newest)
        let place: Int
        if let reused = self.free.popLast() {
            place = reused
            self.entries[place] = entry
        } else {
            place = self.entries.count
            self.entries.append(entry)
        }
        if self.newest >= 0 { self.entries[self.newest]?.newer = place }
        if self.oldest < 0 { self.oldest = place }
        self.newest = place
        self.places[key] = place
        self.sizeBytes += sizeBytes
    }

    package mutating func remove(_ key: Key) {
        guard let place = self.places[key] else { return }
        self.unlink(place)
    }

    private mutating func evictOne() {
        var place = self.hand >= 0 ? self.hand : self.oldest
        while place >= 0, self.entries[place]?.isVisited == true {
            self.entries[place]?.isVisited = false
            let next = self.entries[place]?.newer ?? -1
            place = next >= 0 ? next : self.oldest
        }
        invariant(place >= 0, "bytes are taken, so there is an entry to evict")
        self.hand = place
        self.unlink(place)
        self.evictions += 1
    }

    private mutating func unlink(_ place: Int) {
        guard let entry = self.entries[place] else { return }
        if entry.newer >= 0 {
            self.entries[entry.newer]?.older = entry.older
        } else {
            self.newest = entry.older
        }
        if entry.older >= 0 {
            self.entries[entry.older]?.newer = entry.newer
        } else {
            self.oldest = entry.newer
        }
        // The hand moves on towards the newest, and wraps to the oldest when it falls off.
        if self.hand == place { self.hand = entry.newer }
        self.entries[place] = nil
        self.free.append(place)
        self.places[entry.key] = nil
        self.sizeBytes -= entry.sizeBytes
    }
}
