import OrderedStorage
import Primitives

/// What a store has on its disk, and what its process holds beside that.
///
/// The durable pairs and the batches behind them in order: what survives a death is the durable
/// pairs and a first part of the batches, each whole.
final class StoreMedium {
    /// Batches kept behind the durable pairs. At the limit the older half becomes durable, as a
    /// store's own flushes and the system's write-back do.
    static let pendingLimit = 4096

    private(set) var familyNames: [String]
    private(set) var current: [SortedPairs]
    private(set) var durable: [SortedPairs]
    private var pending: [PlacedBatch] = []

    /// How the store was opened last, and by which process.
    private(set) var isLogged = true
    private(set) var holderGeneration: Int?

    /// A checkpoint was opened, and the power went since: its files must be looked at again.
    private(set) var mustCheckFiles = false
    private let cameFromFiles: Bool

    /// A batch, with the position here of each change's family.
    typealias PlacedBatch = [(position: Int, change: WriteBatch.Change)]

    init() {
        self.familyNames = []
        self.current = []
        self.durable = []
        self.cameFromFiles = false
    }

    init(_ contents: StoreContents) {
        self.familyNames = contents.families.map(\.name)
        self.current = contents.families.map(\.pairs)
        self.durable = self.current
        self.cameFromFiles = true
    }

    var sizeBytes: UInt64 { UInt64(self.current.reduce(0) { $0 + $1.sizeBytes }) }

    /// Takes the store for a process, with families that are made where they are missing. Says
    /// where each opened family stands.
    func open(_ families: [Family], isLogged: Bool, generation: Int) -> [Int] {
        self.isLogged = isLogged
        self.holderGeneration = generation
        self.mustCheckFiles = false
        return families.map { family in
            if let position = self.familyNames.firstIndex(of: family.name) { return position }
            self.familyNames.append(family.name)
            self.current.append(SortedPairs())
            self.durable.append(SortedPairs())
            return self.familyNames.count - 1
        }
    }

    func close() {
        // A store that is closed in order leaves nothing in its process's memory.
        if !self.isLogged { self.makeDurable() }
        self.holderGeneration = nil
    }

    func write(_ batch: PlacedBatch) {
        Self.apply(batch, to: &self.current)
        self.pending.append(batch)
        if self.pending.count >= Self.pendingLimit { self.advance(by: Self.pendingLimit / 2) }
    }

    /// Everything written so far survives from here on.
    func makeDurable() {
        self.durable = self.current
        self.pending = []
    }

    /// Frees the pairs; the store is used no more.
    func discard() {
        self.current = []
        self.durable = []
        self.pending = []
    }

    var contents: StoreContents {
        StoreContents(
            families: zip(self.familyNames, self.durable).map { (name: $0, pairs: $1) })
    }

    private func advance(by count: Int) {
        for batch in self.pending.prefix(count) { Self.apply(batch, to: &self.durable) }
        self.pending.removeFirst(count)
    }

    private static func apply(_ batch: PlacedBatch, to families: inout [SortedPairs]) {
        for (position, change) in batch {
            switch change {
            case .put(_, let key, let value): families[position].put(key, value)
            case .delete(_, let key): families[position].delete(key)
            case .deleteRange(_, let range): families[position].delete(in: range)
            }
        }
    }
}

// MARK: - Deaths

extension StoreMedium {
    /// The log of a logged store is in the system's memory and survives the process; an unlogged
    /// store loses what its process had not flushed.
    func processDied(_ generator: inout SeededGenerator) {
        self.holderGeneration = nil
        if !self.isLogged { self.loseSome(&generator) }
    }

    func powerCut(_ generator: inout SeededGenerator) {
        self.holderGeneration = nil
        self.mustCheckFiles = self.cameFromFiles
        self.loseSome(&generator)
    }

    private func loseSome(_ generator: inout SeededGenerator) {
        let survivors = generator.chance(0.25) ? 0 : generator.below(self.pending.count + 1)
        self.advance(by: survivors)
        self.pending = []
        self.current = self.durable
    }
}
