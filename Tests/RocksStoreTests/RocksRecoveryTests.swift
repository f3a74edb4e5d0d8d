import Foundation
import OrderedStorage
import RocksStore
import Testing

@Suite struct RocksRecoveryTests {
    private static let rows = Family(index: 0, name: "rows")
    private static let other = Family(index: 1, name: "other")
    private static let applied = Family(index: 2, name: "applied")
    private static let families = [rows, other, applied]

    private let directory: TestDirectory
    private let factory = RocksStoreFactory()

    init() throws { self.directory = try TestDirectory() }

    private func open(_ path: String, isLogged: Bool) throws -> any OrderedStore {
        try self.factory.open(path, StoreOptions(families: Self.families, isLogged: isLogged))
    }

    private static func key(_ number: Int) -> [UInt8] {
        var writer = KeyWriter()
        writer.write(UInt32(number))
        return writer.key
    }

    private static func number(_ bytes: [UInt8]?) throws -> Int {
        guard let bytes else { return 0 }
        var reader = KeyReader(bytes)
        return Int(try reader.read(UInt32.self))
    }

    private static func keyCount(_ store: any OrderedStore, _ family: Family) throws -> Int {
        let cursor = store.scan(family, .all)
        var count = 0
        while try cursor.next() != nil { count += 1 }
        return count
    }

    /// What a crash leaves of a log with synced batches 1 to `count`.
    private func crashedLog(_ count: Int) throws -> String {
        let path = self.directory.fresh()
        let store = try self.open(path, isLogged: true)
        defer { store.close() }
        for number in 1...count {
            var batch = WriteBatch()
            batch.put(Self.rows, Self.key(number), [UInt8](repeating: 7, count: 100))
            try store.write(batch, .synced)
        }
        return try self.directory.crashed(path)
    }

    @Test func `a log with one flipped bit in the middle is refused as corrupt`() throws {
        let path = try self.crashedLog(200)
        let log = try self.directory.log(in: path)
        var bytes = try Data(contentsOf: log)
        bytes[bytes.count / 2] ^= 0x10
        try bytes.write(to: log)
        #expect {
            try self.open(path, isLogged: true)
        } throws: { error in
            guard case StoreFault.corrupt = error else { return false }
            return true
        }
    }

    @Test(arguments: [1, 60, 300])
    func `a log with a torn tail opens with the batches before it`(tornBytes: Int) throws {
        let path = try self.crashedLog(200)
        let log = try self.directory.log(in: path)
        let bytes = try Data(contentsOf: log)
        try bytes.dropLast(tornBytes).write(to: log)
        let store = try self.open(path, isLogged: true)
        defer { store.close() }
        // A record is over 100 bytes long, and the tear reaches into the last one at least.
        let lost = 200 - (try Self.keyCount(store, Self.rows))
        #expect(lost >= 1 && lost <= 1 + tornBytes / 100)
        #expect(try store.get(Self.rows, Self.key(200 - lost)) != nil)
        #expect(try store.get(Self.rows, Self.key(200 - lost + 1)) == nil)
    }

    @Test func `what memory pressure flushes is a prefix of the batches too`() throws {
        let path = self.directory.fresh()
        let store = try self.open(path, isLogged: false)
        defer { store.close() }
        // One family fills its buffer and must take the others along, again and again.
        let filler = [UInt8](repeating: 1, count: 64 << 10)
        var durable = 0
        for number in 1...800 {
            var batch = WriteBatch()
            batch.put(Self.rows, Self.key(number), filler)
            batch.put(Self.other, Self.key(number % 10), Self.key(number))
            batch.put(Self.applied, [0], Self.key(number))
            try store.write(batch, .unlogged)
            if number % 100 == 0 {
                let now = try Self.number(store.getDurable(Self.applied, [0]))
                #expect(now >= durable && now <= number)
                durable = now
            }
        }
        #expect(durable > 0)
        let left = try self.open(self.directory.crashed(path), isLogged: false)
        defer { left.close() }
        let last = try Self.number(left.get(Self.applied, [0]))
        #expect(last >= durable)
        #expect(try Self.keyCount(left, Self.rows) == last)
        #expect(try left.get(Self.rows, Self.key(last)) != nil)
        let newest = try (0..<10).map { try Self.number(left.get(Self.other, Self.key($0))) }
        #expect(newest.max() == last)
        #expect(newest.min() == last - 9)
    }

    @Test func `a closed unlogged store has lost nothing`() throws {
        let path = self.directory.fresh()
        let store = try self.open(path, isLogged: false)
        var batch = WriteBatch()
        for family in Self.families { batch.put(family, [1], [1]) }
        try store.write(batch, .unlogged)
        store.close()
        let again = try self.open(path, isLogged: false)
        defer { again.close() }
        for family in Self.families { #expect(try again.get(family, [1]) == [1]) }
    }

    @Test func `a damaged table is corrupt to whoever reads it, and unknown to the cache`() throws {
        let path = self.directory.fresh()
        let store = try self.open(path, isLogged: false)
        var batch = WriteBatch()
        for number in 1...2_000 {
            batch.put(Self.rows, Self.key(number), Self.key(number &* 48_271))
        }
        try store.write(batch, .unlogged)
        try store.flush()
        store.close()
        for name in try FileManager.default.contentsOfDirectory(atPath: path)
        where name.hasSuffix(".sst") {
            let table = URL(fileURLWithPath: "\(path)/\(name)")
            var bytes = try Data(contentsOf: table)
            bytes[100] ^= 1
            try bytes.write(to: table)
        }
        // With a cache of its own: what was flushed still stands in the other, as it was written.
        let damaged = try RocksStoreFactory().open(
            path, StoreOptions(families: Self.families, isLogged: false))
        defer { damaged.close() }
        #expect {
            try damaged.get(Self.rows, Self.key(1))
        } throws: { error in
            guard case StoreFault.corrupt = error else { return false }
            return true
        }
        #expect(damaged.getIfCached(Self.rows, Self.key(1)) == .unknown)
    }

    @Test func `what was just flushed is found without asking the disk`() throws {
        let store = try self.open(self.directory.fresh(), isLogged: false)
        defer { store.close() }
        var batch = WriteBatch()
        for number in 1...2_000 {
            batch.put(Self.rows, Self.key(number), Self.key(number &* 48_271))
        }
        try store.write(batch, .unlogged)
        try store.flush()
        for number in 1...2_000 {
            #expect(
                store.getIfCached(Self.rows, Self.key(number))
                    == .found(Self.key(number &* 48_271)))
        }
    }
}
