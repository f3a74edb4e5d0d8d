import Foundation
import OrderedStorage
import RocksStore
import Testing

/// What happens to the process, and what is left when it is gone.
@Suite struct RocksProcessTests {
    private static let families = ["rows", "index", "applied"].enumerated().map {
        Family(index: $0.offset, name: $0.element)
    }

    private static func open(_ path: String, isLogged: Bool) throws -> any OrderedStore {
        try RocksStoreFactory().open(
            path, StoreOptions(families: self.families, isLogged: isLogged))
    }

    private static func write(
        _ value: UInt8, to store: any OrderedStore, _ durability: WriteDurability
    ) throws {
        var batch = WriteBatch()
        for family in self.families { batch.put(family, [1], [value]) }
        try store.write(batch, durability)
    }

    private static func values(in path: String, isLogged: Bool) throws -> [[UInt8]?] {
        let store = try self.open(path, isLogged: isLogged)
        defer { store.close() }
        return try self.families.map { try store.get($0, [1]) }
    }

    @Test func `a process killed right behind a flush has kept all families`() async throws {
        let directory = try TestDirectory()
        let path = directory.fresh()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let store = try Self.open(path, isLogged: false)
            try Self.write(1, to: store, .unlogged)
            try store.flush()
            try Self.write(2, to: store, .unlogged)
            kill(getpid(), SIGKILL)
        }
        #expect(try Self.values(in: path, isLogged: false) == [[1], [1], [1]])
    }

    @Test func `a process killed right behind a synced batch has kept it`() async throws {
        let directory = try TestDirectory()
        let path = directory.fresh()
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let store = try Self.open(path, isLogged: true)
            try Self.write(1, to: store, .buffered)
            try Self.write(2, to: store, .synced)
            kill(getpid(), SIGKILL)
        }
        #expect(try Self.values(in: path, isLogged: true) == [[2], [2], [2]])
    }

    @Test func `a store closed under a cursor stops the process`() async throws {
        let directory = try TestDirectory()
        let path = directory.fresh()
        await #expect(processExitsWith: .failure) { [path = path as String] in
            let store = try Self.open(path, isLogged: false)
            let cursor = store.scan(Self.families[0], .all)
            store.close()
            _ = try cursor.next()
        }
    }
}
