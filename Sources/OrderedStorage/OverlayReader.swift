import Synchronization

/// A reader that shows a base as it will be once a pending batch is written: later commands of a
/// batch see the effects of earlier ones.
///
/// The base must not change while the overlay stands above it; in production it is the state of a
/// group, which only its one applier writes. A cursor shows what was pending when it was made.
package final class OverlayReader: OrderedReader {
    private let base: any OrderedReader
    private let state: Mutex<State>

    private struct State: Sendable {
        var batch = WriteBatch()
        /// By `Family.index`, as far as a family has changed.
        var families: [PendingFamily] = []
    }

    package init(over base: any OrderedReader) {
        self.base = base
        self.state = Mutex(State())
    }

    /// Everything appended so far, in order: what is to be written to the base.
    package var pending: WriteBatch { self.state.withLock { $0.batch } }

    /// Bytes of keys and values pending, without a copy of them.
    package var pendingBytes: Int { self.state.withLock { $0.batch.sizeBytes } }

    /// Puts the changes of `batch` on top of those that are pending.
    package func append(_ batch: WriteBatch) {
        self.state.withLock { state in
            state.batch.append(batch)
            for change in batch.changes {
                let family = change.family.index
                while state.families.count <= family { state.families.append(PendingFamily()) }
                state.families[family].apply(change)
            }
        }
    }

    package func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        switch self.pending(in: family, key) {
        case .found(let value): return value
        case .absent: return nil
        case .unknown: return try self.base.get(family, key)
        }
    }

    package func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        let pending = self.state.withLock { state in
            family.index < state.families.count ? state.families[family.index] : PendingFamily()
        }
        let cursor = self.base.scan(family, range)
        return pending.isEmpty ? cursor : OverlayCursor(pending, over: cursor, in: range)
    }

    /// What the pending changes alone say about a key.
    private func pending(in family: Family, _ key: [UInt8]) -> CachedLookup {
        self.state.withLock { state in
            guard family.index < state.families.count else { return .unknown }
            return state.families[family.index].lookup(key)
        }
    }
}

/// The pending changes of one family, reduced to what they leave.
private struct PendingFamily: Sendable {
    /// The last word on single keys: a value, or nil for a deleted one.
    private(set) var entries = OrderedMap<[UInt8]?>()
    /// The ranges of the base that were deleted. An entry inside of one was put after that.
    private(set) var hidden = HiddenRanges()

    var isEmpty: Bool { self.entries.isEmpty && self.hidden.isEmpty }

    mutating func apply(_ change: WriteBatch.Change) {
        switch change {
        case .put(_, let key, let value): self.entries.set(key, to: value)
        case .delete(_, let key): self.entries.set(key, to: nil)
        case .deleteRange(_, let range):
            self.entries.remove(in: range)
            self.hidden.insert(range)
        }
    }

    func lookup(_ key: [UInt8]) -> CachedLookup {
        if let entry = self.entries[key] { return entry.map { .found($0) } ?? .absent }
        return self.hidden.contains(key) ? .absent : .unknown
    }
}

/// Disjoint ranges of keys, from their starts to their ends (nil: no end).
private struct HiddenRanges: Sendable {
    private var ends = OrderedMap<[UInt8]?>()

    var isEmpty: Bool { self.ends.isEmpty }

    func contains(_ key: [UInt8]) -> Bool { self.range(around: key) != nil }

    /// The range that `key` lies in.
    func range(around key: [UInt8]) -> KeyRange? {
        guard let last = self.ends.last(notAbove: key) else { return nil }
        let range = KeyRange(start: last.key, end: last.value)
        return range.contains(key) ? range : nil
    }

    mutating func insert(_ range: KeyRange) {
        guard !range.isEmpty else { return }
        var start = range.start
        var end = range.end
        if let below = self.range(around: range.start) { start = below.start }
        // Ranges that begin inside the new one are swallowed; the last of them may reach further.
        if let limit = range.end, let above = self.range(around: limit) { end = above.end }
        self.ends.remove(in: KeyRange(start: start, end: end))
        self.ends.set(start, to: end)
    }
}

/// Merges two ascending streams of pairs: what is pending, and what the base has.
private final class OverlayCursor: OrderedCursor {
    private let base: any OrderedCursor
    private let hidden: HiddenRanges
    private var entries: OrderedMap<[UInt8]?>.Walk
    /// The heads of both streams, read ahead. Nil: at the end.
    private var entry: (key: [UInt8], value: [UInt8]?)?
    private var basePair: KeyValue?
    private var isBaseAhead = false

    init(_ pending: PendingFamily, over base: any OrderedCursor, in range: KeyRange) {
        self.base = base
        self.hidden = pending.hidden
        self.entries = OrderedMap.Walk(over: pending.entries, in: range)
        self.entry = self.entries.next()
    }

    func next() throws(StoreFault) -> KeyValue? {
        while true {
            if !self.isBaseAhead {
                self.basePair = try self.visibleBasePair()
                self.isBaseAhead = true
            }
            guard let entry = self.entry else {
                self.isBaseAhead = self.basePair == nil
                return self.basePair
            }
            if let pair = self.basePair {
                if KeyOrder.precedes(pair.key, entry.key) {
                    self.isBaseAhead = false
                    return pair
                }
                // The same key: the pending word is the last one.
                if pair.key == entry.key { self.isBaseAhead = false }
            }
            self.entry = self.entries.next()
            if let value = entry.value { return KeyValue(key: entry.key, value: value) }
        }
    }

    func seek(_ key: [UInt8]) {
        self.base.seek(key)
        self.isBaseAhead = false
        self.entries.seek(key)
        self.entry = self.entries.next()
    }

    /// The next pair of the base that no pending range delete covers.
    private func visibleBasePair() throws(StoreFault) -> KeyValue? {
        while let pair = try self.base.next() {
            guard let range = self.hidden.range(around: pair.key) else { return pair }
            guard let end = range.end else { return nil }
            self.base.seek(end)
        }
        return nil
    }
}
