package import OrderedStorage
package import Primitives
internal import Wire

/// A walk over everything that says how often a chunk is referenced: first each row of a manifest,
/// which names chunks, then each chunk's row, which counts. It goes over one frozen view, a bounded
/// number of rows at a time, and keeps nothing but its place.
package struct ReferenceWalk: Sendable {
    private enum Stage: Sendable {
        /// - Parameter next: where the next step begins.
        case manifests(next: [UInt8])
        case chunks(next: [UInt8])
        case finished
    }

    private var stage = Stage.manifests(next: [])
    private var owned = OwnedSlots()

    /// Which slots are the group's own: rows of others are coming or have gone, are no whole, and
    /// nobody's to correct here.
    private struct OwnedSlots: Sendable {
        /// The slot that was met last.
        private var known: (slot: Slot, isOwned: Bool)?

        mutating func contains(_ slot: Slot, by view: CatalogView) throws(StoreFault) -> Bool {
            if let known, known.slot == slot { return known.isOwned }
            var isOwned = false
            if case .owned = try view.ownership(of: slot) { isOwned = true }
            self.known = (slot, isOwned)
            return isOwned
        }
    }

    package init() {}

    package var isFinished: Bool {
        guard case .finished = self.stage else { return false }
        return true
    }

    /// Goes over the next rows, at most `limit`. Blocking.
    package mutating func step(
        over view: CatalogView, limit: Int, into count: inout some ReferenceCounting
    ) throws(StoreFault) {
        switch self.stage {
        case .manifests(let next):
            var owned = self.owned
            defer { self.owned = owned }
            let last = try Self.walk(
                view, CatalogFamilies.manifests, KeyRange(start: next, end: nil), limit
            ) { (pair) throws(StoreFault) in
                let (slot, row) = try Self.manifestRow(pair)
                guard try owned.contains(slot, by: view) else { return }
                for chunk in row.chunks { count.name(chunk, in: slot) }
            }
            self.stage = last.map { .manifests(next: $0 + [0]) } ?? .chunks(next: [])
        case .chunks(let next):
            let all = CatalogKeys.chunks
            let range = KeyRange(start: next.isEmpty ? all.start : next, end: all.end)
            var owned = self.owned
            defer { self.owned = owned }
            let last = try Self.walk(view, CatalogFamilies.rows, range, limit) {
                (pair) throws(StoreFault) in
                let (key, row) = try Self.chunkRow(pair)
                guard try owned.contains(key.slot, by: view) else { return }
                count.count(key, row)
            }
            self.stage = last.map { .chunks(next: $0 + [0]) } ?? .finished
        case .finished: break
        }
    }

    /// The key of the last row; nil where the range ended.
    private static func walk(
        _ view: CatalogView, _ family: Family, _ range: KeyRange, _ limit: Int,
        _ visit: (KeyValue) throws(StoreFault) -> Void
    ) throws(StoreFault) -> [UInt8]? {
        let cursor = view.scan(family, range)
        var last: [UInt8] = []
        for _ in 0..<max(1, limit) {
            guard let pair = try cursor.next() else { return nil }
            try visit(pair)
            last = pair.key
        }
        return last
    }

    private static func manifestRow(
        _ pair: KeyValue
    ) throws(StoreFault) -> (Slot, ManifestRow) {
        do throws(FormatFault) {
            var reader = KeyReader(pair.key)
            let slot = Slot(rawValue: try reader.read())
            return (slot, try ManifestRow(decoding: pair.value))
        } catch {
            throw .corrupt("manifests \(Hex.encode(pair.key)) cannot be read: \(error)")
        }
    }

    private static func chunkRow(_ pair: KeyValue) throws(StoreFault) -> (ChunkKey, ChunkRow) {
        do throws(FormatFault) {
            return (
                try CatalogKeys.chunk(ofKey: pair.key), try ChunkRow(decoding: pair.value)
            )
        } catch {
            throw .corrupt("rows \(Hex.encode(pair.key)) is no chunk: \(error)")
        }
    }
}

/// What a walk tells of the rows it goes over.
package protocol ReferenceCounting {
    /// A manifest names the chunk, once.
    mutating func name(_ chunk: ChunkReference, in slot: Slot)
    /// The chunk's own row.
    mutating func count(_ key: ChunkKey, _ row: ChunkRow)
}

/// Proves in constant memory that the chunks' rows count what the manifests name.
///
/// For each of `partCount` parts of all chunks it adds up, in 2^64 arithmetic, a hash of each chunk
/// that a manifest names, and the hashes of the rows as often as they count: the same sum, whatever
/// the order. Two different counts come to the same sum with a probability of 2^-64.
package struct ReferenceSums: ReferenceCounting, Equatable, Sendable {
    package static let partBits = 8
    package static let partCount = 1 << partBits

    private var named = [UInt64](repeating: 0, count: Self.partCount)
    private var counted = [UInt64](repeating: 0, count: Self.partCount)
    /// Rows of chunks, and references that they count.
    package private(set) var chunks: UInt64 = 0
    package private(set) var references: UInt64 = 0

    package init() {}

    package mutating func name(_ chunk: ChunkReference, in slot: Slot) {
        let key = ChunkKey(slot: slot, name: chunk.name)
        self.named[Self.part(of: key)] &+= Self.hash(of: key)
    }

    package mutating func count(_ key: ChunkKey, _ row: ChunkRow) {
        self.counted[Self.part(of: key)] &+= row.references &* Self.hash(of: key)
        self.chunks += 1
        self.references &+= row.references
    }

    /// The parts whose rows do not count what the manifests name.
    package var differing: [ReferencePart] {
        (0..<Self.partCount).filter { self.named[$0] != self.counted[$0] }.map {
            ReferencePart(bits: Self.partBits, value: UInt32($0))
        }
    }

    private static func part(of key: ChunkKey) -> Int {
        Int(key.name.partition(partitionBits: Self.partBits).rawValue)
    }

    private static func hash(of key: ChunkKey) -> UInt64 {
        StableHash.mix(
            StableHash.mix(StableHash.mix(key.name.incarnation) &+ key.name.counter)
                &+ UInt64(key.slot.rawValue))
    }
}

/// Some of all chunks: those whose place on the ring begins with these bits.
package struct ReferencePart: Equatable, Sendable {
    package static let mostBits = 20

    package let bits: Int
    package let value: UInt32

    package init(bits: Int, value: UInt32) {
        self.bits = bits
        self.value = value
    }

    func contains(_ name: ChunkName) -> Bool {
        name.partition(partitionBits: self.bits).rawValue == self.value
    }

    /// A sixteenth of it, the first; nil where parts are as small as they can be.
    package var narrowed: ReferencePart? {
        guard self.bits + 4 <= Self.mostBits else { return nil }
        return ReferencePart(bits: self.bits + 4, value: self.value << 4)
    }
}

/// Counts the references of a part one by one, in bounded memory.
package struct ReferenceTally: ReferenceCounting, Sendable {
    package let part: ReferencePart
    private let limit: Int
    private var entries: [ChunkKey: Entry] = [:]
    /// There are more chunks than may be counted at once: count a narrower part.
    package private(set) var isOverfull = false

    private struct Entry: Sendable {
        var named: Int64 = 0
        var counted: Int64 = 0
        var sealedLength: UInt32 = 0
    }

    /// - Parameter limit: chunks, of some 64 bytes of memory each.
    package init(_ part: ReferencePart, limit: Int) {
        self.part = part
        self.limit = limit
    }

    package mutating func name(_ chunk: ChunkReference, in slot: Slot) {
        self.change(ChunkKey(slot: slot, name: chunk.name)) {
            $0.named += 1
            $0.sealedLength = chunk.sealedLength
        }
    }

    package mutating func count(_ key: ChunkKey, _ row: ChunkRow) {
        self.change(key) {
            $0.counted = Int64(clamping: row.references)
            $0.sealedLength = row.sealedLength
        }
    }

    private mutating func change(_ key: ChunkKey, _ body: (inout Entry) -> Void) {
        guard !self.isOverfull, self.part.contains(key.name) else { return }
        body(&self.entries[key, default: Entry()])
        guard self.entries.count > self.limit else { return }
        self.isOverfull = true
        self.entries = [:]
    }

    /// What the rows of the part are off, in the order of the chunks.
    package var corrections: [CorrectReferences.Correction] {
        self.entries.filter { $0.value.named != $0.value.counted }
            .sorted { $0.key < $1.key }
            .map { key, entry in
                .init(
                    key: key, delta: entry.named - entry.counted,
                    sealedLength: entry.sealedLength)
            }
    }
}
