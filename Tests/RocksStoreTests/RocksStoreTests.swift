import Foundation
import OrderedStorage
import Primitives
import RocksStore
import Testing

@Suite struct RocksStoreTests {
    private static let rows = Family(index: 0, name: "rows")
    private static let sums = Family(index: 1, name: "default")

    private let directory: TestDirectory
    private let factory = RocksStoreFactory()

    init() throws { self.directory = try TestDirectory() }

    private func open(
        _ path: String, families: [Family] = [rows, sums], isLogged: Bool = false
    ) throws -> any OrderedStore {
        try self.factory.open(path, StoreOptions(families: families, isLogged: isLogged))
    }

    @Test func `a lookup in memory asks no disk, and knows what was read before`() throws {
        let path = self.directory.fresh()
        let store = try self.open(path)
        var batch = WriteBatch()
        for key in 0..<100 as Range<UInt8> { batch.put(Self.rows, [key], [key]) }
        try store.write(batch, .unlogged)
        #expect(store.getIfCached(Self.rows, [5]) == .found([5]))
        #expect(store.getIfCached(Self.rows, [200]) == .absent)
        store.close()

        let cold = try RocksStoreFactory().open(
            path, StoreOptions(families: [Self.rows, Self.sums], isLogged: false))
        defer { cold.close() }
        #expect(cold.getIfCached(Self.rows, [5]) == .unknown)
        #expect(try cold.get(Self.rows, [5]) == [5])
        #expect(cold.getIfCached(Self.rows, [5]) == .found([5]))
        #expect(cold.getIfCached(Self.rows, [200]) != .found([200]))
    }

    @Test func `what was deleted gives its disk space back when it is reclaimed`() throws {
        let path = self.directory.fresh()
        let store = try self.open(path, isLogged: true)
        defer { store.close() }
        var random = SeededGenerator(seed: 1)
        for key in 0..<200 as Range<UInt8> {
            var batch = WriteBatch()
            let value = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) }
            batch.put(Self.rows, [key], value)
            try store.write(batch, .buffered)
        }
        var batch = WriteBatch()
        batch.delete(Self.rows, in: KeyRange(start: [0], end: [199]))
        try store.write(batch, .synced)
        #expect(try Self.logAndTableBytes(in: path) > 4_000_000)

        try store.reclaim()
        #expect(try Self.logAndTableBytes(in: path) < 400_000)
        #expect(try store.get(Self.rows, [198]) == nil)
        #expect(try store.get(Self.rows, [199])?.count == 20_000)
    }

    /// Sizes of names, not blocks: a log that is being written has more space than it fills.
    private static func logAndTableBytes(in directory: String) throws -> Int {
        let files = FileManager.default
        return try files.contentsOfDirectory(atPath: directory)
            .filter { $0.hasSuffix(".log") || $0.hasSuffix(".sst") }
            .reduce(0) { sum, name in
                let status = try files.attributesOfItem(atPath: directory + "/" + name)
                return sum + (status[.size] as? Int ?? 0)
            }
    }

    @Test func `a directory is open once`() throws {
        let path = self.directory.fresh()
        let store = try self.open(path)
        #expect(throws: StoreFault.self) { try self.open(path) }
        store.close()
        try self.open(path).close()
    }

    @Test func `a store without one of its families is refused`() throws {
        let path = self.directory.fresh()
        try self.open(path).close()
        #expect {
            try self.open(path, families: [Family(index: 0, name: "default")])
        } throws: { error in
            guard case StoreFault.misuse = error else { return false }
            return true
        }
    }

    @Test func `a family that is new comes with the next open`() throws {
        let path = self.directory.fresh()
        try self.open(path).close()
        let late = Family(index: 2, name: "late")
        let store = try self.open(path, families: [Self.rows, Self.sums, late])
        defer { store.close() }
        #expect(try store.get(late, [1]) == nil)
    }

    @Test func `a directory that cannot be made is a fault of the device`() throws {
        #expect {
            try self.open(self.directory.fresh() + "/missing/store")
        } throws: { error in
            guard case StoreFault.device = error else { return false }
            return true
        }
    }

    @Test(arguments: [
        (
            "IO error: No space left on device: While appending to file: /d/7.log: No space left "
                + "on device", "full"
        ),
        ("Corruption: block checksum mismatch: stored = 1, computed = 2", "corrupt"),
        ("Invalid argument: Column families not opened: rows", "misuse"),
        ("IO error: While fdatasync: /d/7.log: Input/output error", "device"),
        ("Result incomplete: ", "device"),
    ])
    func `RocksDB's words tell the kind of a fault`(_ words: String, _ kind: String) {
        let seen =
            switch StoreFault(rocksStatus: words) {
            case .device(let said): ("device", said)
            case .corrupt(let said): ("corrupt", said)
            case .full(let said): ("full", said)
            case .misuse(let said): ("misuse", said)
            }
        #expect(seen == (kind, words))
    }

    @Test func `many threads see whole batches`() async throws {
        let store = try self.open(self.directory.fresh())
        defer { store.close() }
        // Each batch moves an amount from one row to another: the sum of a snapshot never changes.
        var initial = WriteBatch()
        for key in 0..<8 as Range<UInt8> { initial.put(Self.rows, [key], [100]) }
        try store.write(initial, .unlogged)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try Self.moveAmounts(in: store, seed: 1) }
            for _ in 0..<3 {
                group.addTask {
                    for _ in 0..<300 {
                        let cursor = store.snapshot().scan(Self.rows, .all)
                        var sum = 0
                        while let pair = try cursor.next() { sum += Int(pair.value[0]) }
                        #expect(sum == 800)
                    }
                }
            }
            group.addTask { for _ in 0..<10 { try store.flush() } }
            try await group.waitForAll()
        }
    }

    private static func moveAmounts(in store: any OrderedStore, seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<3_000 {
            let from = UInt8.random(in: 0..<8, using: &random)
            let to = UInt8.random(in: 0..<8, using: &random)
            guard from != to, let left = try store.get(self.rows, [from])?.first, left > 0,
                let right = try store.get(self.rows, [to])?.first, right < .max
            else { continue }
            var batch = WriteBatch()
            batch.put(self.rows, [from], [left - 1])
            batch.put(self.rows, [to], [right + 1])
            try store.write(batch, .unlogged)
        }
    }
}
