import OrderedStorage
import Primitives

extension OrderedStoreContract {
    /// Steps of one random run; a run for each kind of store.
    private static let modelSteps = 2_000

    func checkModel() throws {
        for (seed, isLogged) in [(1, true), (2, false)] as [(UInt64, Bool)] {
            var run = try ModelRun(self, seed: seed, isLogged: isLogged)
            for _ in 0..<Self.modelSteps { try run.step() }
            try run.finish()
        }
    }
}

/// The naive oracle of a store: a dictionary a family, sorted when its order is asked for.
private struct Model {
    var families = [[[UInt8]: [UInt8]]](repeating: [:], count: OpenStore.families.count)

    mutating func apply(_ batch: WriteBatch) {
        for change in batch.changes {
            switch change {
            case .put(let family, let key, let value): self.families[family.index][key] = value
            case .delete(let family, let key): self.families[family.index][key] = nil
            case .deleteRange(let family, let range):
                self.families[family.index] = self.families[family.index].filter {
                    !range.contains($0.key)
                }
            }
        }
    }

    func pairs(_ family: Family, _ range: KeyRange) -> [KeyValue] {
        self.families[family.index].filter { range.contains($0.key) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
            .map { KeyValue(key: $0.key, value: $0.value) }
    }
}

/// Random changes to a store and to its model, and random looks at both.
private struct ModelRun {
    private let contract: OrderedStoreContract
    private let seed: UInt64
    private var random: SeededGenerator
    private var open: OpenStore
    private var model = Model()
    private var frozen: (snapshot: any OrderedSnapshot, model: Model)?
    private var steps = 0

    init(_ contract: OrderedStoreContract, seed: UInt64, isLogged: Bool) throws {
        self.contract = contract
        self.seed = seed
        self.random = SeededGenerator(seed: seed)
        self.open = try contract.open(contract.freshDirectory(), isLogged: isLogged)
    }

    mutating func step() throws {
        self.steps += 1
        switch Int.random(in: 0..<1_000, using: &self.random) {
        case 0..<600: try self.write()
        case 600..<800: try self.compareGet(self.open.store, self.model)
        case 800..<930: try self.compareScan(self.open.store, self.model)
        case 930..<980:
            if let frozen = self.frozen {
                try self.compareGet(frozen.snapshot, frozen.model)
                try self.compareScan(frozen.snapshot, frozen.model)
            }
        case 980..<988: self.frozen = (self.open.store.snapshot(), self.model)
        case 988..<994: try self.open.store.flush()
        case 994..<996: try self.open.store.reclaim()
        default: try self.reopen()
        }
    }

    mutating func finish() throws {
        self.frozen = nil
        for family in OpenStore.families {
            try self.contract.expect(
                self.open.pairs(family), is: self.model.pairs(family, .all),
                "\(self.place) all of \(family)")
        }
        self.open.store.close()
    }

    private var place: String { "seed \(self.seed), step \(self.steps):" }

    private mutating func write() throws {
        var batch = WriteBatch()
        for _ in 0..<Int.random(in: 1...6, using: &self.random) {
            let family = self.family()
            switch Int.random(in: 0..<20, using: &self.random) {
            case 0..<14: batch.put(family, self.key(), self.value())
            case 14..<19: batch.delete(family, self.key())
            default: batch.delete(family, in: self.range())
            }
        }
        let isSynced = Int.random(in: 0..<4, using: &self.random) == 0
        let logged: WriteDurability = isSynced ? .synced : .buffered
        try self.open.store.write(batch, self.open.isLogged ? logged : .unlogged)
        self.model.apply(batch)
    }

    private mutating func compareGet(_ reader: any OrderedReader, _ model: Model) throws {
        let (family, key) = (self.family(), self.key())
        try self.contract.expect(
            reader.get(family, key), is: model.families[family.index][key],
            "\(self.place) get \(key) in \(family)")
    }

    private mutating func compareScan(_ reader: any OrderedReader, _ model: Model) throws {
        let (family, range) = (self.family(), self.range())
        let expected = model.pairs(family, range)
        let cursor = reader.scan(family, range)
        try self.contract.expect(
            OpenStore.rest(of: cursor), is: expected, "\(self.place) scan \(range) of \(family)")
        let target = self.key()
        cursor.seek(target)
        try self.contract.expect(
            cursor.next(), is: expected.first { !$0.key.lexicographicallyPrecedes(target) },
            "\(self.place) seek \(target) in \(range) of \(family)")
    }

    /// Closes and opens, or crashes and opens; everything is durable before that.
    private mutating func reopen() throws {
        self.frozen = nil
        try self.open.store.flush()
        if Bool.random(using: &self.random), let left = try self.contract.afterCrash(self.open) {
            self.open = left
        } else {
            self.open.store.close()
            self.open = try self.contract.open(
                self.open.directory, isLogged: self.open.isLogged)
        }
    }

    private mutating func family() -> Family {
        OpenStore.families[Int.random(in: 0..<OpenStore.families.count, using: &self.random)]
    }

    /// Few enough keys that changes meet, with many that are prefixes of others.
    private mutating func key() -> [UInt8] {
        let alphabet: [UInt8] = [0, 1, 0x7f, 0x80, 0xff]
        return (0..<Int.random(in: 0...3, using: &self.random)).map { _ in
            alphabet[Int.random(in: 0..<alphabet.count, using: &self.random)]
        }
    }

    private mutating func value() -> [UInt8] {
        let count = Int.random(in: 0...40, using: &self.random)
        return [UInt8](repeating: UInt8(truncatingIfNeeded: self.steps), count: count)
    }

    private mutating func range() -> KeyRange {
        let start = self.key()
        let isOpenEnded = Int.random(in: 0..<8, using: &self.random) == 0
        return KeyRange(start: start, end: isOpenEnded ? nil : self.key())
    }
}
