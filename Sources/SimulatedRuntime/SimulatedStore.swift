import IORuntime
import OrderedStorage
import Primitives

/// An ordered store of one simulated process; see `StoreMedium` for what a death leaves of it.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedStore: OrderedStore, @unchecked Sendable {
    private let files: SimulatedFileSystem
    private let medium: StoreMedium
    private let families: [Family]
    /// Where each family stands in the medium.
    private let positions: [Int]
    private let isLogged: Bool
    private var isClosed = false
    /// Set by a fault after which the store refuses to write: what is on disk is unknown.
    private var isBroken = false

    init(_ files: SimulatedFileSystem, _ medium: StoreMedium, _ options: StoreOptions) {
        self.files = files
        self.medium = medium
        self.families = options.families
        self.isLogged = options.isLogged
        self.positions = medium.open(
            options.families, isLogged: options.isLogged, generation: files.generation)
    }

    package func write(_ batch: WriteBatch, _ durability: WriteDurability) throws(StoreFault) {
        guard self.isLogged == (durability != .unlogged) else {
            throw .misuse("a store that is \(self.isLogged ? "" : "not ")logged, \(durability)")
        }
        let changes = try self.checked(batch)
        try self.begin(.write(sizeBytes: batch.sizeBytes))
        if self.isBroken { throw .device("an earlier write failed") }
        let grows = batch.changes.contains { if case .put = $0 { true } else { false } }
        guard !grows || UInt64(batch.sizeBytes) <= self.files.disk.freeBytes else {
            throw .full("\(batch.sizeBytes) bytes do not fit")
        }
        self.resizing { $0.write(changes) }
        if durability == .synced { try self.sync(sizeBytes: batch.sizeBytes) }
    }

    private func sync(sizeBytes: Int) throws(StoreFault) {
        try self.begin(.sync(sizeBytes: sizeBytes))
        if self.files.disk.drawSyncFailure() {
            self.isBroken = true
            throw .device("sync failed (EIO)")
        }
        self.medium.makeDurable()
    }

    package func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        let position = try self.position(of: family)
        try self.begin(.read(sizeBytes: 4096))
        return self.medium.current[position].value(of: key)
    }

    package func getIfCached(_ family: Family, _ key: [UInt8]) -> CachedLookup {
        self.files.confine()
        guard self.files.isAlive, !self.isClosed, self.families.contains(family) else {
            return .unknown
        }
        if self.files.drawUncachedLookup() { return .unknown }
        let value = self.medium.current[self.positions[family.index]].value(of: key)
        return value.map { .found($0) } ?? .absent
    }

    package func getDurable(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        let position = try self.position(of: family)
        try self.begin(.read(sizeBytes: 4096))
        return self.medium.durable[position].value(of: key)
    }

    package func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        self.view().scan(family, range)
    }

    package func snapshot() -> any OrderedSnapshot {
        self.files.confine()
        return self.view()
    }

    private func view() -> SimulatedSnapshot {
        SimulatedSnapshot(self, self.families, self.positions.map { self.medium.current[$0] })
    }

    package func flush() throws(StoreFault) {
        try self.begin(.write(sizeBytes: 0))
        if self.isBroken { throw .device("an earlier write failed") }
        try self.sync(sizeBytes: Int(clamping: self.medium.sizeBytes))
    }

    package func checkpoint(into directory: String) throws(StoreFault) {
        try self.flush()
        do throws(FileFault) {
            try self.files.writeStoreCheckpoint(self.medium.contents, in: directory)
        } catch {
            throw StoreFault(error)
        }
    }

    package func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        guard self.files.isAlive else { return }
        self.medium.close()
    }
}

extension SimulatedStore {
    /// What every blocking call begins with; nothing may happen when the process is dead.
    func begin(_ operation: SimulatedDisk.Operation) throws(StoreFault) {
        if self.isClosed { throw .misuse("the store is closed") }
        guard self.files.beginStoreOperation(operation) else {
            throw .device("the machine has failed")
        }
    }

    private func position(of family: Family) throws(StoreFault) -> Int {
        guard family.index < self.families.count, self.families[family.index] == family else {
            throw .misuse("family \(family.name) was not opened")
        }
        return self.positions[family.index]
    }

    private func checked(_ batch: WriteBatch) throws(StoreFault) -> [StoreMedium.Change] {
        var changes: [StoreMedium.Change] = []
        changes.reserveCapacity(batch.changes.count)
        for change in batch.changes {
            switch change {
            case .put(let family, let key, let value):
                let pair = KeyValue(key: key, value: value)
                changes.append(.put(try self.position(of: family), pair))
            case .delete(let family, let key):
                changes.append(.delete(try self.position(of: family), key))
            case .deleteRange(let family, let range):
                changes.append(.deleteRange(try self.position(of: family), range))
            }
        }
        return changes
    }

    private func resizing(_ change: (StoreMedium) -> Void) {
        let before = self.medium.sizeBytes
        change(self.medium)
        self.files.disk.tree.storeChanged(fromBytes: before, toBytes: self.medium.sizeBytes)
    }
}

/// A frozen view of a simulated store.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
private final class SimulatedSnapshot: OrderedSnapshot, @unchecked Sendable {
    private let store: SimulatedStore
    private let families: [Family]
    private let pairs: [SortedPairs]

    init(_ store: SimulatedStore, _ families: [Family], _ pairs: [SortedPairs]) {
        self.store = store
        self.families = families
        self.pairs = pairs
    }

    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        guard self.families.contains(family) else {
            throw .misuse("family \(family.name) was not opened")
        }
        try self.store.begin(.read(sizeBytes: 4096))
        return self.pairs[family.index].value(of: key)
    }

    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        let isKnown = self.families.contains(family)
        return SimulatedCursor(
            self.store, isKnown ? self.pairs[family.index] : nil, family, range)
    }
}

/// Walks the pairs as they were when it was made.
private final class SimulatedCursor: OrderedCursor {
    /// Pairs that one access of the disk brings.
    private static let pairsPerRead = 64

    private let store: SimulatedStore
    private let pairs: SortedPairs?
    private let family: Family
    private let range: KeyRange
    private var position: SortedPairs.Position
    private var pairsUntilRead = 0

    init(_ store: SimulatedStore, _ pairs: SortedPairs?, _ family: Family, _ range: KeyRange) {
        self.store = store
        self.pairs = pairs
        self.family = family
        self.range = range
        self.position = (pairs ?? SortedPairs()).lowerBound(range.start)
    }

    func next() throws(StoreFault) -> KeyValue? {
        guard let pairs else { throw .misuse("family \(self.family.name) was not opened") }
        if self.pairsUntilRead == 0 {
            self.pairsUntilRead = Self.pairsPerRead
            try self.store.begin(.read(sizeBytes: 4096))
        }
        self.pairsUntilRead -= 1
        guard let pair = pairs.pair(at: self.position), self.range.contains(pair.key) else {
            return nil
        }
        self.position = pairs.next(after: self.position)
        return pair
    }

    func seek(_ key: [UInt8]) {
        let start = key.lexicographicallyPrecedes(self.range.start) ? self.range.start : key
        self.position = self.pairs?.lowerBound(start) ?? self.position
        self.pairsUntilRead = 0
    }
}
