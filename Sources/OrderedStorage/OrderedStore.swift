import Primitives

/// The ordered key-value seam: everything that rests in metadata stands above it. RocksDB is one
/// conformer, a simulated map that loses what was not synced the other; one contract suite holds
/// both to the same promises.
///
/// Every call may block on the disk unless it says otherwise, so shells make it inside
/// `Environment.blocking`. A store may be called from several threads at once.
package protocol OrderedStore: OrderedReader {
    /// Applies `batch` whole or not at all. With `.synced`, it survives a power cut when the call
    /// returns. With `.unlogged`, it may be lost in a crash with every later batch, and only a
    /// `flush` makes it durable; what survives is always a prefix of the batches, whole.
    ///
    /// A store opened as logged takes `.synced` and `.buffered`; one opened as unlogged takes
    /// `.unlogged`. After a fault from here the store's state on disk is unknown: the process ends.
    func write(_ batch: WriteBatch, _ durability: WriteDurability) throws(StoreFault)

    /// Reads without any chance of blocking: `.unknown` when the disk would have to be asked.
    func getIfCached(_ family: Family, _ key: [UInt8]) -> CachedLookup

    /// What a power cut now would leave for `key`, which may be older than what `get` returns.
    func getDurable(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]?

    /// A frozen view. Release it by dropping it; a held view pins disk space. After `close` it is
    /// a view whose every read throws.
    func snapshot() -> any OrderedSnapshot

    /// Makes everything written so far durable, over all families at once.
    func flush() throws(StoreFault)

    /// Gives back the disk space of what was deleted and overwritten, as far as that is cheap: for
    /// a store whose content is small against what passed through it. Changes nothing else.
    func reclaim() throws(StoreFault)

    /// Writes a copy of the state as it is at this call, made durable first, into `directory`, which
    /// must not exist. The copy is durable when the call returns, but for its parts that a crash in
    /// mid-call leaves; it opens as a store of its own.
    func checkpoint(into directory: String) throws(StoreFault)

    /// Ends use of the store; later calls throw. Every snapshot and cursor must have been dropped.
    func close()

    /// Closes the store unless a snapshot, a cursor or a call still uses it; says whether it is
    /// closed now. For a store that others may be reading in: no new reader comes behind it.
    func closeIfUnused() -> Bool
}

package protocol OrderedReader: AnyObject, Sendable {
    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]?

    /// A cursor over `range`, before its first pair. It shows the pairs as they are at this call,
    /// whatever is written later. A fault, misuse too, is thrown by the cursor.
    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor
}

package protocol OrderedSnapshot: OrderedReader {}

/// Moves through the pairs of a range in ascending byte order of the keys.
package protocol OrderedCursor: AnyObject {
    /// The next pair, or nil at the end of the range. Bounded work, but it may read the disk.
    func next() throws(StoreFault) -> KeyValue?

    /// Moves so that `next` returns the first pair of the range whose key is not below `key`.
    func seek(_ key: [UInt8])
}

package struct KeyValue: Equatable, Sendable {
    package let key: [UInt8]
    package let value: [UInt8]
    package init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }
}

package enum WriteDurability: Sendable, Equatable { case synced, buffered, unlogged }

package enum CachedLookup: Equatable, Sendable {
    case found([UInt8])
    case absent
    case unknown
}

/// A column family: pairs that are tuned, and scanned, apart. A store is opened with all of its
/// families; atomic batches span them.
package struct Family: Hashable, Sendable, CustomStringConvertible {
    /// The position among the families the store was opened with.
    package let index: Int
    package let name: String
    package init(index: Int, name: String) {
        self.index = index
        self.name = name
    }
    package var description: String { self.name }
}

/// A half-open range of keys. `end == nil` reaches to the end of the family. A range that ends at
/// or below its start is empty: scanning it yields nothing, deleting it changes nothing.
package struct KeyRange: Equatable, Sendable {
    package let start: [UInt8]
    package let end: [UInt8]?
    package init(start: [UInt8], end: [UInt8]?) {
        self.start = start
        self.end = end
    }

    /// All keys that begin with `prefix`.
    package init(prefix: [UInt8]) {
        self.start = prefix
        self.end = Self.successor(ofPrefix: prefix)
    }

    package static let all = KeyRange(start: [], end: nil)

    /// The least key above all keys that begin with `prefix`; nil when there is none.
    package static func successor(ofPrefix prefix: [UInt8]) -> [UInt8]? {
        var end = prefix
        while let last = end.popLast() {
            if last < .max {
                end.append(last + 1)
                return end
            }
        }
        return nil
    }

    package func contains(_ key: [UInt8]) -> Bool {
        guard !key.lexicographicallyPrecedes(self.start) else { return false }
        return self.end.map { key.lexicographicallyPrecedes($0) } ?? true
    }
}

/// Changes that happen together, in the order they were added.
package struct WriteBatch: Sendable, Equatable {
    package enum Change: Sendable, Equatable {
        case put(Family, key: [UInt8], value: [UInt8])
        case delete(Family, key: [UInt8])
        case deleteRange(Family, KeyRange)
    }

    package private(set) var changes: [Change] = []
    /// Bytes of keys and values so far: what bounds a batch.
    package private(set) var sizeBytes = 0

    package init() {}
    package var isEmpty: Bool { self.changes.isEmpty }

    package mutating func put(_ family: Family, _ key: [UInt8], _ value: [UInt8]) {
        self.changes.append(.put(family, key: key, value: value))
        self.sizeBytes += key.count + value.count
    }

    package mutating func delete(_ family: Family, _ key: [UInt8]) {
        self.changes.append(.delete(family, key: key))
        self.sizeBytes += key.count
    }

    package mutating func delete(_ family: Family, in range: KeyRange) {
        self.changes.append(.deleteRange(family, range))
        self.sizeBytes += range.start.count + (range.end?.count ?? 0)
    }

    package mutating func append(_ other: WriteBatch) {
        self.changes.append(contentsOf: other.changes)
        self.sizeBytes += other.sizeBytes
    }
}

package enum StoreFault: Error, Equatable, Sendable {
    /// The device or the file system refused; what the store said.
    case device(String)
    /// The bytes on disk are not those that were written; what the store said.
    case corrupt(String)
    /// No space is left.
    case full(String)
    /// The store was used after `close`, with a family or durability it was not opened with, or
    /// with a key over `WriteBatch.maximumKeyBytes`.
    case misuse(String)
}

/// How a store is opened.
package struct StoreOptions: Sendable, Equatable {
    /// Every family the store has; `Family.index` counts up from 0.
    package var families: [Family]
    /// Whether writes go through a write-ahead log (`.synced`, `.buffered`) or not (`.unlogged`).
    package var isLogged: Bool
    package var cacheBytes: Int
    package init(families: [Family], isLogged: Bool, cacheBytes: Int = 32 << 20) {
        self.families = families
        self.isLogged = isLogged
        self.cacheBytes = cacheBytes
    }
}

/// Opens stores: RocksDB in a process, a simulated map in the simulator. Blocking.
package protocol StoreFactory: Sendable {
    /// Opens the store in `directory`, making it when nothing is there.
    func open(_ directory: String, _ options: StoreOptions) throws(StoreFault) -> any OrderedStore
}
