import CRocksDB
import OrderedStorage
import Synchronization

/// A frozen view of a store.
///
/// `@unchecked Sendable` because its pointers never change after `init`, and RocksDB reads through
/// a snapshot from any thread.
final class RocksSnapshot: OrderedSnapshot, @unchecked Sendable {
    private let database: RocksDatabase
    private let snapshot: OpaquePointer?
    private let reads: OpaquePointer?

    init(_ database: RocksDatabase) {
        self.database = database
        self.snapshot = database.makeSnapshot()
        self.reads = rocksdb_readoptions_create()
        rocksdb_readoptions_set_snapshot(self.reads, self.snapshot)
        database.views.add(1, ordering: .relaxed)
    }

    deinit {
        rocksdb_readoptions_destroy(self.reads)
        self.database.release(self.snapshot)
        self.database.views.subtract(1, ordering: .relaxed)
    }

    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.database.get(family, key, self.reads)
    }

    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        makeRocksCursor(self.database, family, range, at: self)
    }

    fileprivate func pin(_ reads: OpaquePointer?) {
        rocksdb_readoptions_set_snapshot(reads, self.snapshot)
    }
}

/// Moves through a range. The iterator is positioned, and the disk read, by the first `next`.
final class RocksCursor: OrderedCursor {
    private enum Place {
        /// `next` is to find the first pair at or above the key.
        case before([UInt8])
        /// `next` is to step from the pair that the iterator stands on.
        case on
        /// The iterator is behind the last pair of the range. A `seek` leads out.
        case end
    }

    private let database: RocksDatabase
    /// Held because the iterator reads through it.
    private let snapshot: RocksSnapshot?
    private let iterator: OpaquePointer?
    private let reads: OpaquePointer?
    private let start: [UInt8]
    /// The range's end, which RocksDB reads for as long as the iterator lives.
    private let bound: UnsafeMutableBufferPointer<CChar>?
    private var place: Place

    fileprivate init(
        _ database: RocksDatabase, _ family: Family, _ range: KeyRange, at snapshot: RocksSnapshot?
    ) {
        self.database = database
        self.snapshot = snapshot
        self.start = range.start
        self.place = .before(range.start)
        self.reads = rocksdb_readoptions_create()
        snapshot?.pin(self.reads)
        self.bound = range.end.map { end in
            let bound = UnsafeMutableBufferPointer<CChar>.allocate(capacity: end.count)
            _ = bound.initialize(from: end.lazy.map { CChar(bitPattern: $0) })
            return bound
        }
        if let bound = self.bound {
            rocksdb_readoptions_set_iterate_upper_bound(
                self.reads, bound.baseAddress, bound.count)
        }
        self.iterator = database.makeIterator(family, self.reads)
        database.views.add(1, ordering: .relaxed)
    }

    deinit {
        rocksdb_iter_destroy(self.iterator)
        rocksdb_readoptions_destroy(self.reads)
        self.bound?.deallocate()
        self.database.views.subtract(1, ordering: .relaxed)
    }

    func next() throws(StoreFault) -> KeyValue? {
        switch self.place {
        case .before(let key): withCBytes(key) { rocksdb_iter_seek(self.iterator, $0, $1) }
        case .on: rocksdb_iter_next(self.iterator)
        case .end: return nil
        }
        guard rocksdb_iter_valid(self.iterator) != 0 else {
            self.place = .end
            // Not valid means the end, or a fault.
            try rocksCall { rocksdb_iter_get_error(self.iterator, $0) }
            return nil
        }
        self.place = .on
        var keyCount = 0
        let key = rocksdb_iter_key(self.iterator, &keyCount)
        var valueCount = 0
        let value = rocksdb_iter_value(self.iterator, &valueCount)
        return KeyValue(key: copyOfBytes(key, keyCount), value: copyOfBytes(value, valueCount))
    }

    func seek(_ key: [UInt8]) {
        self.place = .before(KeyOrder.precedes(key, self.start) ? self.start : key)
    }
}

/// A cursor, or one that throws misuse, or one over nothing: RocksDB asserts that a range does not
/// end below its start.
func makeRocksCursor(
    _ database: RocksDatabase, _ family: Family, _ range: KeyRange,
    at snapshot: RocksSnapshot? = nil
) -> any OrderedCursor {
    do throws(StoreFault) {
        try database.options.check(family)
        guard !range.isEmpty else { return EmptyCursor(fault: nil) }
        return RocksCursor(database, family, range, at: snapshot)
    } catch { return EmptyCursor(fault: error) }
}

/// The cursor of an empty range, or of a scan that was refused.
final class EmptyCursor: OrderedCursor {
    private let fault: StoreFault?
    init(fault: StoreFault?) { self.fault = fault }
    func next() throws(StoreFault) -> KeyValue? {
        if let fault = self.fault { throw fault }
        return nil
    }
    func seek(_ key: [UInt8]) {}
}

/// The snapshot of a store that is closed.
final class ClosedSnapshot: OrderedSnapshot {
    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        throw .usedAfterClose
    }
    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        EmptyCursor(fault: .usedAfterClose)
    }
}
