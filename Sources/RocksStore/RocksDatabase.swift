import CRocksDB
import CRocksDBShim
import OrderedStorage
import Primitives
import Synchronization

/// An open RocksDB with its families. It closes when the last reference goes, so whoever is in the
/// middle of a call, and every snapshot and cursor, holds one: RocksDB aborts the process when it is
/// closed before what was made from it is destroyed.
///
/// `@unchecked Sendable` because the pointers never change after `init`, and RocksDB allows every
/// call made through them here from any thread (rocksdb/db.h; options are only read).
final class RocksDatabase: @unchecked Sendable {
    let options: StoreOptions
    /// Snapshots and cursors that are alive.
    let views = Atomic<Int>(0)

    /// RocksDB insists on a family of this name; unless the options have it, it stays empty.
    private static let defaultFamily = "default"

    private let database: OpaquePointer
    /// In the order of the options; RocksDB's own family stands last.
    private let handles: [OpaquePointer?]
    private let cachedReads: OpaquePointer?
    private let durableReads: OpaquePointer?
    private let plainReads: OpaquePointer?
    private let syncedWrites: OpaquePointer?
    private let bufferedWrites: OpaquePointer?
    private let unloggedWrites: OpaquePointer?

    /// - Parameter isReadOnly: opens what was flushed, and neither locks nor changes the directory.
    init(
        _ directory: String, _ options: StoreOptions, cache: OpaquePointer,
        isReadOnly: Bool = false
    ) throws(StoreFault) {
        let made = try makeRocksOptions(options, sharing: cache)
        defer { rocksdb_options_destroy(made) }
        var names = options.families.map(\.name)
        if !names.contains(Self.defaultFamily) { names.append(Self.defaultFamily) }
        var handles = [OpaquePointer?](repeating: nil, count: names.count)
        let opened = try withCStrings(names) { (names) throws(StoreFault) -> OpaquePointer? in
            let familyOptions = [OpaquePointer?](repeating: made, count: names.count)
            return try rocksCall {
                isReadOnly
                    ? rocksdb_open_for_read_only_column_families(
                        made, directory, Int32(names.count), names, familyOptions, &handles, 0, $0)
                    : rocksdb_open_column_families(
                        made, directory, Int32(names.count), names, familyOptions, &handles, $0)
            }
        }
        guard let opened else { throw .device("\(directory) did not open") }
        self.options = options
        self.database = opened
        self.handles = handles
        self.plainReads = rocksdb_readoptions_create()
        self.cachedReads = Self.reads(tier: 1)
        self.durableReads = Self.reads(tier: 2)
        self.syncedWrites = rocksdb_writeoptions_create()
        rocksdb_writeoptions_set_sync(self.syncedWrites, 1)
        self.bufferedWrites = rocksdb_writeoptions_create()
        self.unloggedWrites = rocksdb_writeoptions_create()
        rocksdb_writeoptions_disable_WAL(self.unloggedWrites, 1)
    }

    deinit {
        for writes in [self.syncedWrites, self.bufferedWrites, self.unloggedWrites] {
            rocksdb_writeoptions_destroy(writes)
        }
        for reads in [self.plainReads, self.cachedReads, self.durableReads] {
            rocksdb_readoptions_destroy(reads)
        }
        for handle in self.handles { rocksdb_column_family_handle_destroy(handle) }
        rocksdb_close(self.database)
    }

    /// Read options of RocksDB's `ReadTier` (rocksdb/options.h): 1 is `kBlockCacheTier`, memory
    /// alone; 2 is `kPersistedTier`, past what is unlogged and unflushed.
    private static func reads(tier: Int32) -> OpaquePointer? {
        let reads = rocksdb_readoptions_create()
        rocksdb_readoptions_set_read_tier(reads, tier)
        return reads
    }
}

extension RocksDatabase {
    func write(_ batch: WriteBatch, _ durability: WriteDurability) throws(StoreFault) {
        let changes = rocksdb_writebatch_create()
        defer { rocksdb_writebatch_destroy(changes) }
        for change in batch.changes { self.add(change, to: changes) }
        let writes =
            switch durability {
            case .synced: self.syncedWrites
            case .buffered: self.bufferedWrites
            case .unlogged: self.unloggedWrites
            }
        try rocksCall { rocksdb_write(self.database, writes, changes, $0) }
    }

    private func add(_ change: WriteBatch.Change, to changes: OpaquePointer?) {
        let handle = self.handles[change.family.index]
        switch change {
        case .put(_, let key, let value):
            withCBytes(key) { key, keyCount in
                withCBytes(value) { value, valueCount in
                    rocksdb_writebatch_put_cf(changes, handle, key, keyCount, value, valueCount)
                }
            }
        case .delete(_, let key):
            withCBytes(key) { rocksdb_writebatch_delete_cf(changes, handle, $0, $1) }
        case .deleteRange(_, let range):
            guard !range.isEmpty else { return }
            withCBytes(range.start) { start, startCount in
                withCBytes(range.end ?? Self.aboveAllKeys) { end, endCount in
                    rocksdb_writebatch_delete_range_cf(
                        changes, handle, start, startCount, end, endCount)
                }
            }
        }
    }

    /// RocksDB's range deletes need an end. No key is as long as this one, so none is above it.
    private static let aboveAllKeys = [UInt8](
        repeating: 0xff, count: WriteBatch.maximumKeyBytes + 1)

    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.get(family, key, self.plainReads)
    }

    func getDurable(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.get(family, key, self.durableReads)
    }

    func get(
        _ family: Family, _ key: [UInt8], _ reads: OpaquePointer?
    ) throws(StoreFault) -> [UInt8]? {
        try self.options.check(family)
        let pinned = try rocksCall { error in
            withCBytes(key) {
                rocksdb_get_pinned_cf(
                    self.database, reads, self.handles[family.index], $0, $1, error)
            }
        }
        guard let pinned else { return nil }
        defer { rocksdb_pinnableslice_destroy(pinned) }
        var count = 0
        let start = rocksdb_pinnableslice_value(pinned, &count)
        return copyOfBytes(start, count)
    }

    func getIfCached(_ family: Family, _ key: [UInt8]) -> CachedLookup {
        do throws(StoreFault) { try self.options.check(family) } catch { return .unknown }
        var error: UnsafeMutablePointer<CChar>?
        let pinned = withCBytes(key) {
            rocksdb_get_pinned_cf(
                self.database, self.cachedReads, self.handles[family.index], $0, $1, &error)
        }
        if let error {
            // "Result incomplete": the disk would have to be asked. A fault shows itself to
            // whoever asks it, so the text is not read.
            rocksdb_free(error)
            return .unknown
        }
        guard let pinned else { return .absent }
        defer { rocksdb_pinnableslice_destroy(pinned) }
        var count = 0
        let start = rocksdb_pinnableslice_value(pinned, &count)
        return .found(copyOfBytes(start, count))
    }

    func flushFamilies() throws(StoreFault) {
        try rocksCall {
            holdfast_rocksdb_flush_families(
                self.database, self.handles, self.handles.count, $0)
        }
    }

    /// Writes every family's tables anew, without what was deleted. A fault on the way shows at the
    /// next change: RocksDB keeps it.
    func compact() {
        for handle in self.handles {
            rocksdb_compact_range_cf(self.database, handle, nil, 0, nil, 0)
        }
    }

    func syncLog() throws(StoreFault) { try rocksCall { rocksdb_flush_wal(self.database, 1, $0) } }

    /// RocksDB flushes everything first (0 bytes of log are left out), all families together.
    func checkpoint(into directory: String) throws(StoreFault) {
        let maker = try rocksCall { rocksdb_checkpoint_object_create(self.database, $0) }
        defer { rocksdb_checkpoint_object_destroy(maker) }
        try rocksCall { rocksdb_checkpoint_create(maker, directory, 0, $0) }
        try syncParent(of: directory)
    }

    func makeSnapshot() -> OpaquePointer? { rocksdb_create_snapshot(self.database) }

    func release(_ snapshot: OpaquePointer?) { rocksdb_release_snapshot(self.database, snapshot) }

    func makeIterator(_ family: Family, _ reads: OpaquePointer?) -> OpaquePointer? {
        rocksdb_create_iterator_cf(self.database, reads, self.handles[family.index])
    }
}

/// Makes the name of `directory` survive a power cut; RocksDB syncs only what is inside.
func syncParent(of directory: String) throws(StoreFault) {
    try rocksCall { holdfast_rocksdb_sync_directory(parent(of: directory), $0) }
}

/// Space that the file system on which `directory` is, or is to be made, has free.
func freeBytes(beside directory: String) throws(StoreFault) -> UInt64 {
    try rocksCall { holdfast_rocksdb_free_bytes(parent(of: directory), $0) }
}

private func parent(of directory: String) -> String {
    var path = directory[...]
    while path.count > 1, path.last == "/" { path.removeLast() }
    return path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
}

/// Hands strings to C as an array of pointers, for the length of `body`.
private func withCStrings<Value, Fault: Error>(
    _ strings: [String],
    _ body: ([UnsafePointer<CChar>?]) throws(Fault) -> Value
) throws(Fault) -> Value {
    let bytes = strings.map { Array($0.utf8CString) }
    let joined = Array(bytes.joined())
    let starts = bytes.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }.dropLast()
    let result: Result<Value, Fault> = joined.withUnsafeBufferPointer { buffer in
        let pointers = starts.map { start in buffer.baseAddress.map { $0 + start } }
        do throws(Fault) { return .success(try body(pointers)) } catch { return .failure(error) }
    }
    return try result.get()
}
