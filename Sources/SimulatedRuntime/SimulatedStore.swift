import IORuntime
import OrderedStorage
import Primitives

/// An ordered store of one simulated process; see `StoreMedium` for what a death leaves of it.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedStore: OrderedStore, @unchecked Sendable {
    /// What one lookup reads.
    static let blockBytes = 4096

    private let files: SimulatedFileSystem
    private let medium: StoreMedium
    private let options: StoreOptions
    /// Where each family stands in the medium.
    private let positions: [Int]
    private var isClosed = false
    /// Snapshots and cursors that are alive.
    fileprivate var views = 0
    /// Set by a fault after which the store refuses to write: what is on disk is unknown.
    private var isBroken = false

    init(_ files: SimulatedFileSystem, _ medium: StoreMedium, _ options: StoreOptions) {
        self.files = files
        self.medium = medium
        self.options = options
        self.positions = medium.open(
            options.families, isLogged: options.isLogged, generation: files.generation)
    }

    package func write(_ batch: WriteBatch, _ durability: WriteDurability) throws(StoreFault) {
        try batch.check(durability, for: self.options)
        try self.begin(.batch(sizeBytes: batch.sizeBytes))
        try self.beginChange()
        let grows = batch.changes.contains { if case .put = $0 { true } else { false } }
        guard !grows || UInt64(batch.sizeBytes) <= self.files.disk.freeBytes else {
            throw .full("\(batch.sizeBytes) bytes do not fit")
        }
        let before = self.medium.sizeBytes
        self.medium.write(
            batch.changes.map { (position: self.positions[$0.family.index], change: $0) })
        self.files.disk.tree.storeChanged(fromBytes: before, toBytes: self.medium.sizeBytes)
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
        try self.beginRead()
        return self.medium.current[position].map[key]
    }

    package func getIfCached(_ family: Family, _ key: [UInt8]) -> CachedLookup {
        self.files.confine()
        guard self.files.isAlive, !self.isClosed, self.options.families.contains(family),
            !self.files.drawUncachedLookup()
        else { return .unknown }
        let value = self.medium.current[self.positions[family.index]].map[key]
        return value.map { .found($0) } ?? .absent
    }

    package func getDurable(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        let position = try self.position(of: family)
        try self.beginRead()
        return self.medium.durable[position].map[key]
    }

    package func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        self.snapshot().scan(family, range)
    }

    package func snapshot() -> any OrderedSnapshot {
        self.files.confine()
        return SimulatedSnapshot(
            self, self.options, self.positions.map { self.medium.current[$0].map })
    }

    package func flush() throws(StoreFault) {
        try self.begin(.write(sizeBytes: 0))
        try self.beginChange()
        try self.sync(sizeBytes: Int(clamping: self.medium.sizeBytes))
    }

    /// What was deleted takes no space here.
    package func reclaim() throws(StoreFault) {}

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

    package func closeIfUnused() -> Bool {
        self.files.confine()
        if self.isClosed { return true }
        guard self.views == 0 else { return false }
        self.close()
        return true
    }
}

extension SimulatedStore {
    /// What every blocking call begins with; nothing may happen when the process is dead.
    func begin(_ operation: SimulatedDisk.Operation) throws(StoreFault) {
        if self.isClosed { throw .usedAfterClose }
        guard self.files.beginStoreOperation(operation) else {
            throw .device("the machine has failed")
        }
    }

    func beginRead() throws(StoreFault) {
        try self.begin(.read(sizeBytes: Self.blockBytes))
        let disk = self.files.disk
        if disk.generator.chance(disk.conditions.readFailureProbability) {
            throw .device("read failed (EIO)")
        }
    }

    /// A store that has failed once refuses every later change.
    private func beginChange() throws(StoreFault) {
        let disk = self.files.disk
        if disk.generator.chance(disk.conditions.writeFailureProbability) { self.isBroken = true }
        if self.isBroken { throw .device("a write failed (EIO)") }
    }

    private func position(of family: Family) throws(StoreFault) -> Int {
        try self.options.check(family)
        return self.positions[family.index]
    }
}

/// A frozen view of a simulated store.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
private final class SimulatedSnapshot: OrderedSnapshot, @unchecked Sendable {
    private let store: SimulatedStore
    private let options: StoreOptions
    private let maps: [OrderedMap<[UInt8]>]

    init(_ store: SimulatedStore, _ options: StoreOptions, _ maps: [OrderedMap<[UInt8]>]) {
        self.store = store
        self.options = options
        self.maps = maps
        store.views += 1
    }

    deinit { self.store.views -= 1 }

    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.options.check(family)
        try self.store.beginRead()
        return self.maps[family.index][key]
    }

    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        do throws(StoreFault) {
            try self.options.check(family)
            return SimulatedCursor(self.store, .init(over: self.maps[family.index], in: range))
        } catch {
            return SimulatedCursor(self.store, .init(over: OrderedMap(), in: range), error)
        }
    }
}

/// Walks the pairs as they were when it was made.
private final class SimulatedCursor: OrderedCursor {
    /// Pairs that one access of the disk brings.
    private static let pairsPerRead = 64

    private let store: SimulatedStore
    private let fault: StoreFault?
    private var walk: OrderedMap<[UInt8]>.Walk
    private var pairsUntilRead = 0

    init(_ store: SimulatedStore, _ walk: OrderedMap<[UInt8]>.Walk, _ fault: StoreFault? = nil) {
        self.store = store
        self.walk = walk
        self.fault = fault
        store.views += 1
    }

    deinit { self.store.views -= 1 }

    func next() throws(StoreFault) -> KeyValue? {
        if let fault { throw fault }
        if self.pairsUntilRead == 0 {
            self.pairsUntilRead = Self.pairsPerRead
            try self.store.beginRead()
        }
        self.pairsUntilRead -= 1
        return self.walk.next().map { KeyValue(key: $0.key, value: $0.value) }
    }

    func seek(_ key: [UInt8]) {
        self.walk.seek(key)
        self.pairsUntilRead = 0
    }
}
