import OrderedStorage

/// What every `OrderedStore` promises, as checks that any conformer can be put through. A
/// conformer's test is one line over `Promise.allCases`.
package struct OrderedStoreContract: Sendable {
    /// Ends the use of `store`, which is open in `directory`, as a power cut would, and returns the
    /// directory where the factory finds what that left.
    package typealias Crash =
        @Sendable (_ store: any OrderedStore, _ directory: String) throws -> String

    package enum Promise: String, CaseIterable, Sendable, CustomStringConvertible {
        case emptyAtFirst = "a new store is empty"
        case orderInsideBatch = "the last change of a batch wins"
        case rangeDeletes = "a range delete takes what lies in the range, no more"
        case familiesApart = "families are apart"
        case extremeSizes = "empty and large keys and values are kept"
        case scansOrderedAndBounded = "a scan is ordered and stays in its range"
        case seeks = "a seek lands at or above its key, inside the range"
        case cursorsFrozen = "a cursor shows the pairs of its beginning"
        case snapshotsFrozen = "a snapshot never changes"
        case cachedLookupsRight = "a cached lookup is unknown or right"
        case durableReads = "a durable read shows what a crash leaves"
        case syncedSurvives = "a synced batch survives a crash, with all before it"
        case flushCoversFamilies = "a flush covers all families"
        case survivorsArePrefix = "a crash leaves a prefix of the batches, whole"
        case reopening = "a closed store opens again as it was"
        case closingUnused = "a store that closes when it is unused breaks no reader"
        case checkpoints = "a checkpoint is the state as it was at the call, and a store of its own"
        case checkpointsSurvive = "a checkpoint survives a crash right behind it"
        case misuse = "misuse is refused"
        case model = "thousands of random changes leave what a sorted dictionary holds"

        package var description: String { self.rawValue }
    }

    let factory: any StoreFactory
    let freshDirectory: @Sendable () -> String
    let crash: Crash?

    /// `freshDirectory` names a place where nothing is, a new one at each call. Without `crash`, the
    /// promises about crashes are not put to the test.
    package init(
        factory: any StoreFactory, freshDirectory: @escaping @Sendable () -> String,
        crash: Crash? = nil
    ) {
        self.factory = factory
        self.freshDirectory = freshDirectory
        self.crash = crash
    }

    /// Throws a `BrokenPromise` that says what was seen, or the fault of the store.
    package func check(_ promise: Promise) throws {
        switch promise {
        case .emptyAtFirst: try self.checkEmptyAtFirst()
        case .orderInsideBatch: try self.checkOrderInsideBatch()
        case .rangeDeletes: try self.checkRangeDeletes()
        case .familiesApart: try self.checkFamiliesApart()
        case .extremeSizes: try self.checkExtremeSizes()
        case .scansOrderedAndBounded: try self.checkScans()
        case .seeks: try self.checkSeeks()
        case .cursorsFrozen: try self.checkCursors()
        case .snapshotsFrozen: try self.checkSnapshots()
        case .cachedLookupsRight: try self.checkCachedLookups()
        case .durableReads: try self.checkDurableReads()
        case .syncedSurvives: try self.checkSyncedSurvives()
        case .flushCoversFamilies: try self.checkFlushCoversFamilies()
        case .survivorsArePrefix: try self.checkSurvivorsArePrefix()
        case .reopening: try self.checkReopening()
        case .closingUnused: try self.checkClosingUnused()
        case .checkpoints: try self.checkCheckpoints()
        case .checkpointsSurvive: try self.checkCheckpointsSurvive()
        case .misuse: try self.checkMisuse()
        case .model: try self.checkModel()
        }
    }
}

/// A promise that a store did not keep.
package struct BrokenPromise: Error, CustomStringConvertible {
    package let description: String
}

/// A store with three families, and what a test does with one.
struct OpenStore {
    static let families = ["rows", "index", "applied"].enumerated().map {
        Family(index: $0.offset, name: $0.element)
    }

    let store: any OrderedStore
    let directory: String
    let isLogged: Bool

    var rows: Family { Self.families[0] }
    var index: Family { Self.families[1] }
    var applied: Family { Self.families[2] }

    /// The durability with which a test writes when it does not care.
    var durability: WriteDurability { self.isLogged ? .synced : .unlogged }

    func write(
        _ durability: WriteDurability? = nil, _ fill: (inout WriteBatch) -> Void
    ) throws {
        var batch = WriteBatch()
        fill(&batch)
        try self.store.write(batch, durability ?? self.durability)
    }

    func pairs(_ family: Family, _ range: KeyRange = .all) throws -> [KeyValue] {
        try Self.rest(of: self.store.scan(family, range))
    }

    static func rest(of cursor: any OrderedCursor) throws -> [KeyValue] {
        var pairs: [KeyValue] = []
        while let pair = try cursor.next() { pairs.append(pair) }
        return pairs
    }
}

extension OrderedStoreContract {
    func options(isLogged: Bool) -> StoreOptions {
        StoreOptions(families: OpenStore.families, isLogged: isLogged, cacheBytes: 4 << 20)
    }

    func open(_ directory: String, isLogged: Bool) throws -> OpenStore {
        let store = try self.factory.open(directory, self.options(isLogged: isLogged))
        return OpenStore(store: store, directory: directory, isLogged: isLogged)
    }

    /// Runs `body` on a fresh logged store, then on a fresh unlogged one, and closes each.
    func onEachKind(_ body: (OpenStore) throws -> Void) throws {
        for isLogged in [true, false] {
            let open = try self.open(self.freshDirectory(), isLogged: isLogged)
            defer { open.store.close() }
            try body(open)
        }
    }

    /// What is there after a crash now; nil when the conformer cannot simulate one.
    func afterCrash(_ open: OpenStore) throws -> OpenStore? {
        guard let crash = self.crash else { return nil }
        let left = try crash(open.store, open.directory)
        return try self.open(left, isLogged: open.isLogged)
    }

    func expect<Value: Equatable>(
        _ seen: Value, is expected: Value, _ what: @autoclosure () -> String, line: UInt = #line
    ) throws {
        guard seen != expected else { return }
        throw BrokenPromise(
            description: "\(what()): saw \(seen), expected \(expected) (line \(line))")
    }

    func expect(
        _ holds: Bool, _ what: @autoclosure () -> String, line: UInt = #line
    ) throws {
        guard !holds else { return }
        throw BrokenPromise(description: "\(what()) (line \(line))")
    }

    func expectMisuse(
        _ what: String, line: UInt = #line, _ call: () throws -> Void
    ) throws {
        do { try call() } catch StoreFault.misuse { return }
        throw BrokenPromise(description: "\(what) was not refused as misuse (line \(line))")
    }
}
