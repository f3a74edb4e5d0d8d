// The rules that every conformer enforces in the same way.

extension StoreOptions {
    /// Refuses a family that the store was not opened with.
    package func check(_ family: Family) throws(StoreFault) {
        guard self.families.indices.contains(family.index), self.families[family.index] == family
        else { throw .misuse("the store has no family \(family.index) named \(family.name)") }
    }

    /// Refuses families that are not numbered by their positions, or that share a name.
    package func check() throws(StoreFault) {
        for (position, family) in self.families.enumerated() where family.index != position {
            throw .misuse("family \(family.name) has index \(family.index) at \(position)")
        }
        guard Set(self.families.map(\.name)).count == self.families.count else {
            throw .misuse("two families share a name")
        }
        guard !self.families.isEmpty else { throw .misuse("a store needs a family") }
    }
}

extension WriteBatch {
    /// The longest key a store takes. It makes room for the longest S3 key (1,024 bytes, twice that
    /// when each byte is escaped) with what stands around it.
    package static let maximumKeyBytes = 4 << 10

    /// Refuses a batch that a store opened with `options` must not take.
    package func check(
        _ durability: WriteDurability, for options: StoreOptions
    ) throws(StoreFault) {
        let isLogged = durability != .unlogged
        guard isLogged == options.isLogged else {
            throw .misuse("\(durability) write to a store opened with isLogged \(options.isLogged)")
        }
        for change in self.changes {
            try options.check(change.family)
            guard change.longestKeyBytes <= Self.maximumKeyBytes else {
                throw .misuse(
                    "a key of \(change.longestKeyBytes) bytes, over \(Self.maximumKeyBytes)")
            }
        }
    }
}

extension WriteBatch.Change {
    package var family: Family {
        switch self {
        case .put(let family, _, _), .delete(let family, _), .deleteRange(let family, _): family
        }
    }

    fileprivate var longestKeyBytes: Int {
        switch self {
        case .put(_, let key, _), .delete(_, let key): key.count
        case .deleteRange(_, let range): max(range.start.count, range.end?.count ?? 0)
        }
    }
}

extension KeyRange {
    /// Whether no key can lie in the range.
    package var isEmpty: Bool {
        self.end.map { !KeyOrder.precedes(self.start, $0) } ?? false
    }
}

extension StoreFault {
    package static let usedAfterClose = StoreFault.misuse("the store was closed")
}
