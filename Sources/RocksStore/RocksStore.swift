import CRocksDB
import OrderedStorage
import Primitives
import Synchronization

/// An ordered store on RocksDB.
///
/// Logged: a write-ahead log, synced with each `.synced` batch; a log that is damaged anywhere but
/// in its torn tail is refused as corrupt, never cut. Unlogged: no log; the families reach the disk
/// together, so that what a crash leaves is a prefix of the batches.
package final class RocksStore: OrderedStore {
    private let options: StoreOptions
    private let state: Mutex<State>
    /// Whether the log may hold what no sync covered. Never cleared: a later buffered write could
    /// slip in between the sync and the clearing.
    private let hasBuffered = Atomic(false)

    private struct State: Sendable {
        /// Nil once closed. Calls take their own reference: none holds the lock while it works.
        var database: RocksDatabase?
        /// The first fault of a change. Every later change throws it again, untried: a second sync
        /// could succeed over bytes that the first one lost ("Can Applications Recover from fsync
        /// Failures?", ATC 2020), and RocksDB asserts that nobody tries.
        var fault: StoreFault?
    }

    fileprivate init(_ database: RocksDatabase) {
        self.options = database.options
        self.state = Mutex(State(database: database))
    }

    package func write(
        _ batch: WriteBatch, _ durability: WriteDurability
    ) throws(StoreFault) {
        try batch.check(durability, for: self.options)
        if durability == .buffered {
            self.hasBuffered.store(true, ordering: .sequentiallyConsistent)
        }
        try self.change { (database) throws(StoreFault) in
            try database.write(batch, durability)
        }
    }

    package func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.open().get(family, key)
    }

    package func getIfCached(_ family: Family, _ key: [UInt8]) -> CachedLookup {
        do throws(StoreFault) { return try self.open().getIfCached(family, key) } catch {
            return .unknown
        }
    }

    package func getDurable(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        let database = try self.open()
        let value = try database.getDurable(family, key)
        // RocksDB takes whatever went into the log for durable, so what was read becomes it.
        // In this order: a value read behind the sync might be a later one.
        if self.hasBuffered.load(ordering: .sequentiallyConsistent) { try self.flush() }
        return value
    }

    package func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        do throws(StoreFault) { return makeRocksCursor(try self.open(), family, range) } catch {
            return EmptyCursor(fault: error)
        }
    }

    package func snapshot() -> any OrderedSnapshot {
        do throws(StoreFault) { return RocksSnapshot(try self.open()) } catch {
            return ClosedSnapshot()
        }
    }

    package func flush() throws(StoreFault) {
        let isLogged = self.options.isLogged
        try self.change { (database) throws(StoreFault) in
            if isLogged { try database.syncLog() } else { try database.flushFamilies() }
        }
    }

    package func reclaim() throws(StoreFault) {
        try self.change { (database) throws(StoreFault) in
            try database.flushFamilies()
            database.compact()
        }
    }

    package func checkpoint(into directory: String) throws(StoreFault) {
        try self.openForChange().checkpoint(into: directory)
    }

    /// Flushes what is unlogged, as RocksDB does when it closes. While another thread is in the
    /// middle of a call the files stay open, until that call ends.
    package func close() {
        let database = self.state.withLock { state in
            let last = state.database
            state.database = nil
            return last
        }
        guard let database else { return }
        let views = database.views.load(ordering: .relaxed)
        invariant(views == 0, "\(views) snapshots and cursors outlive their store")
    }

    /// Whoever reads holds the database, a snapshot and a cursor for as long as they live.
    package func closeIfUnused() -> Bool {
        let (isClosed, database) = self.state.withLock { state -> (Bool, RocksDatabase?) in
            guard state.database != nil else { return (true, nil) }
            guard isKnownUniquelyReferenced(&state.database) else { return (false, nil) }
            return (true, state.database.take())
        }
        // Here, outside the lock, the database goes.
        return withExtendedLifetime(database) { isClosed }
    }

    private func open() throws(StoreFault) -> RocksDatabase {
        guard let database = self.state.withLock({ $0.database }) else { throw .usedAfterClose }
        return database
    }

    private func openForChange() throws(StoreFault) -> RocksDatabase {
        if let fault = self.state.withLock({ $0.fault }) { throw fault }
        return try self.open()
    }

    private func change(
        _ work: (RocksDatabase) throws(StoreFault) -> Void
    ) throws(StoreFault) {
        let database = try self.openForChange()
        do throws(StoreFault) { try work(database) } catch {
            // Without a log a full disk keeps a flush from happening, and loses nothing: RocksDB
            // holds the rows in memory and goes on by itself when there is room.
            if !self.options.isLogged, case .full = error { throw error }
            self.state.withLock { $0.fault = $0.fault ?? error }
            throw error
        }
    }
}

/// Opens RocksDB stores that share one block cache, as large as the largest that any of them asked
/// for, and RocksDB's background threads. A process has one.
///
/// `@unchecked Sendable` because the cache's pointer never changes after `init`, and the cache is
/// made for many threads.
package final class RocksStoreFactory: StoreFactory, @unchecked Sendable {
    private let cache: OpaquePointer
    private let cacheBytes = Mutex(0)

    /// How large the cache is made at first, which decides into how many shards it is cut.
    private static let initialCacheBytes = 8 << 20

    package init() {
        guard let cache = rocksdb_cache_create_lru(Self.initialCacheBytes) else {
            brokenInvariant("no memory for a cache")
        }
        self.cache = cache
    }

    /// Open stores keep the cache alive by themselves.
    deinit { rocksdb_cache_destroy(self.cache) }

    /// The directory above `directory` must be there.
    package func open(
        _ directory: String, _ options: StoreOptions
    ) throws(StoreFault) -> any OrderedStore {
        try options.check()
        self.cacheBytes.withLock { bytes in
            bytes = max(bytes, options.cacheBytes)
            rocksdb_cache_set_capacity(self.cache, bytes)
        }
        let free = try freeBytes(beside: directory)
        let needed = RocksTuning.of(options).openingBytes
        guard free >= needed else {
            throw .full("\(free) bytes free beside \(directory), \(needed) needed to open")
        }
        let database = try RocksDatabase(directory, options, cache: self.cache)
        try syncParent(of: directory)
        return RocksStore(database)
    }

    /// Opens what a store of another time has made durable, for reading alone: nothing in the
    /// directory is locked or changed. Writes throw.
    package func openReadOnly(
        _ directory: String, _ options: StoreOptions
    ) throws(StoreFault) -> any OrderedStore {
        try options.check()
        return RocksStore(
            try RocksDatabase(directory, options, cache: self.cache, isReadOnly: true))
    }
}
