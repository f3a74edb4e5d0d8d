import Primitives
import Synchronization

/// An ordered map in memory, for tests of what stands above the seam. It keeps nothing from a crash
/// and loses nothing in one: every write is durable at once.
package final class MemoryStore: OrderedStore {
    private let options: StoreOptions
    /// Where contents live, so that a store can be opened again.
    private let directory: String
    private let disk: MemoryDisk
    private let state: Mutex<State>

    private struct State: Sendable {
        var contents: MemoryContents
        var isOpen = true
    }

    /// A store on its own, empty.
    package convenience init(families: [Family], isLogged: Bool = false) {
        self.init(
            StoreOptions(families: families, isLogged: isLogged), directory: "memory",
            disk: MemoryDisk(), contents: MemoryContents(familyCount: families.count))
    }

    fileprivate init(
        _ options: StoreOptions, directory: String, disk: MemoryDisk, contents: MemoryContents
    ) {
        self.options = options
        self.directory = directory
        self.disk = disk
        self.state = Mutex(State(contents: contents))
    }

    package func write(
        _ batch: WriteBatch, _ durability: WriteDurability
    ) throws(StoreFault) {
        try batch.check(durability, for: self.options)
        let isOpen = self.state.withLock { state in
            if state.isOpen { state.contents.apply(batch) }
            return state.isOpen
        }
        guard isOpen else { throw .usedAfterClose }
    }

    package func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.options.check(family)
        return try self.contents()[family, key]
    }

    package func getIfCached(_ family: Family, _ key: [UInt8]) -> CachedLookup {
        do throws(StoreFault) {
            return try self.get(family, key).map { .found($0) } ?? .absent
        } catch { return .unknown }
    }

    package func getDurable(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.get(family, key)
    }

    package func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        self.snapshot().scan(family, range)
    }

    package func snapshot() -> any OrderedSnapshot {
        do throws(StoreFault) {
            return MemorySnapshot(self.options, .success(try self.contents()))
        } catch { return MemorySnapshot(self.options, .failure(error)) }
    }

    package func flush() throws(StoreFault) { _ = try self.contents() }

    /// What was deleted takes no space here.
    package func reclaim() throws(StoreFault) {}

    package func checkpoint(into directory: String) throws(StoreFault) {
        guard self.disk.create(directory, try self.contents()) else {
            throw .misuse("\(directory) exists already")
        }
    }

    package func close() {
        let last = self.state.withLock { state -> MemoryContents? in
            defer { state.isOpen = false }
            return state.isOpen ? state.contents : nil
        }
        if let last { self.disk.save(self.directory, last) }
    }

    /// Snapshots hold what they show, so nothing keeps the store from closing.
    package func closeIfUnused() -> Bool {
        self.close()
        return true
    }

    private func contents() throws(StoreFault) -> MemoryContents {
        let contents = self.state.withLock { $0.isOpen ? $0.contents : nil }
        guard let contents else { throw .usedAfterClose }
        return contents
    }
}

/// Opens memory stores. A directory keeps its contents between `close` and the next `open`.
package final class MemoryStoreFactory: StoreFactory {
    private let disk = MemoryDisk()

    package init() {}

    package func open(
        _ directory: String, _ options: StoreOptions
    ) throws(StoreFault) -> any OrderedStore {
        try options.check()
        let contents =
            self.disk.load(directory) ?? MemoryContents(familyCount: options.families.count)
        guard contents.families.count == options.families.count else {
            throw .misuse("\(directory) has other families")
        }
        return MemoryStore(options, directory: directory, disk: self.disk, contents: contents)
    }
}

/// The pairs of all families, as a value.
private struct MemoryContents: Sendable {
    private(set) var families: [OrderedMap<[UInt8]>]

    init(familyCount: Int) {
        self.families = Array(repeating: OrderedMap(), count: familyCount)
    }

    subscript(family: Family, key: [UInt8]) -> [UInt8]? { self.families[family.index][key] }

    mutating func apply(_ batch: WriteBatch) {
        for change in batch.changes {
            switch change {
            case .put(let family, let key, let value):
                self.families[family.index].set(key, to: value)
            case .delete(let family, let key): self.families[family.index].remove(key)
            case .deleteRange(let family, let range):
                self.families[family.index].remove(in: range)
            }
        }
    }
}

/// What lies in the directories of one factory.
private final class MemoryDisk: Sendable {
    private let directories = Mutex<[String: MemoryContents]>([:])

    func load(_ directory: String) -> MemoryContents? {
        self.directories.withLock { $0[directory] }
    }

    func save(_ directory: String, _ contents: MemoryContents) {
        self.directories.withLock { $0[directory] = contents }
    }

    /// False when the directory is there already.
    func create(_ directory: String, _ contents: MemoryContents) -> Bool {
        self.directories.withLock { directories in
            guard directories[directory] == nil else { return false }
            directories[directory] = contents
            return true
        }
    }
}

private final class MemorySnapshot: OrderedSnapshot {
    private let options: StoreOptions
    private let contents: Result<MemoryContents, StoreFault>

    init(_ options: StoreOptions, _ contents: Result<MemoryContents, StoreFault>) {
        self.options = options
        self.contents = contents
    }

    func get(_ family: Family, _ key: [UInt8]) throws(StoreFault) -> [UInt8]? {
        try self.options.check(family)
        return try self.contents.get()[family, key]
    }

    func scan(_ family: Family, _ range: KeyRange) -> any OrderedCursor {
        do throws(StoreFault) {
            try self.options.check(family)
            let pairs = try self.contents.get().families[family.index]
            return MemoryCursor(.success(OrderedMap.Walk(over: pairs, in: range)))
        } catch { return MemoryCursor(.failure(error)) }
    }
}

private final class MemoryCursor: OrderedCursor {
    private var walk: Result<OrderedMap<[UInt8]>.Walk, StoreFault>

    init(_ walk: Result<OrderedMap<[UInt8]>.Walk, StoreFault>) { self.walk = walk }

    func next() throws(StoreFault) -> KeyValue? {
        var walk = try self.walk.get()
        let pair = walk.next()
        self.walk = .success(walk)
        return pair.map { KeyValue(key: $0.key, value: $0.value) }
    }

    func seek(_ key: [UInt8]) {
        guard case .success(var walk) = self.walk else { return }
        walk.seek(key)
        self.walk = .success(walk)
    }
}
