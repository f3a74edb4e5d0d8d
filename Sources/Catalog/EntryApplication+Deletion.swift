internal import OrderedStorage
internal import Placement
internal import Primitives
internal import Wire

/// How chunks die: condemned, authorised, confirmed, remembered for a while, forgotten. `ChunkLife`
/// says why none that is needed ever does.
///
/// Each chunk of a command is decided for itself, its slot first; the verdicts stand in the order of
/// the chunks. Every step may be proposed again: it finds its work done.
extension EntryApplication {
    mutating func condemn(_ condemn: CondemnChunks) throws(StoreFault) -> CommandResult {
        try self.decide(condemn.chunks) { (application, _, key) throws(StoreFault) in
            guard let holder = condemn.holder else { return try application.condemn(key) }
            return try application.condemn(key, heldBy: holder)
        }
    }

    /// Condemns a chunk whose last reference went.
    private mutating func condemn(_ key: ChunkKey) throws(StoreFault) -> ChunkVerdict {
        guard var row = try self.view.chunk(key.name, in: key.slot) else { return .absent }
        switch row.life {
        case .referenced: return .referenced
        case .unreferenced(let since):
            self.dequeue(key, from: .unreferenced, since.time)
            self.enqueue(key, in: .condemned, since.time)
            try self.forgetFingerprint(of: key, &row)
            row.life = .condemned(since)
            self.set(key, to: row)
            return .done
        case .condemned, .authorised, .deleted: return .done
        }
    }

    /// Condemns a chunk of a store that has no row, or adds the store to those that will be told to
    /// delete it.
    private mutating func condemn(
        _ key: ChunkKey, heldBy holder: NodeID
    ) throws(StoreFault) -> ChunkVerdict {
        guard var row = try self.view.chunk(key.name, in: key.slot) else {
            return try self.condemnUnknown(key, heldBy: holder)
        }
        switch row.life {
        case .referenced: return .referenced
        case .unreferenced: return .unreferenced
        case .condemned:
            guard !row.exceptions.contains(holder) else { return .done }
            guard row.exceptions.count < CatalogLimits.exceptionsPerChunk else {
                return .limitReached
            }
            row.exceptions.append(holder)
        case .authorised(let holders):
            guard !holders.contains(holder) else { return .done }
            guard holders.count < CatalogLimits.holdersPerChunk else { return .limitReached }
            row.life = .authorised((holders + [holder]).sorted())
            self.put(CatalogFamilies.rows, CatalogKeys.deletion(of: key, by: holder), [])
        // Nothing can name it any more, so a copy that turns up goes the way of the others.
        case .deleted(let time):
            self.dequeue(key, from: .deleted, time)
            row.life = .authorised([holder])
            self.put(CatalogFamilies.rows, CatalogKeys.deletion(of: key, by: holder), [])
        }
        self.set(key, to: row)
        return .done
    }

    /// That there is no row proves something: whoever owns a slot has all of its rows, because it
    /// adopts what it was brought whole, and nothing else.
    private mutating func condemnUnknown(
        _ key: ChunkKey, heldBy holder: NodeID
    ) throws(StoreFault) -> ChunkVerdict {
        let since = ChunkLife.Unreferenced(index: self.position.index, time: self.now)
        self.enqueue(key, in: .condemned, since.time)
        self.set(
            key,
            to: ChunkRow(
                life: .condemned(since), sealedLength: 0, placedBy: .none, exceptions: [holder]))
        return .done
    }

    mutating func authorise(_ authorise: AuthoriseDeletions) throws(StoreFault) -> CommandResult {
        try self.decide(authorise.chunks.map(\.key)) {
            (application, position, key) throws(StoreFault) in
            try application.authorise(
                key, homes: authorise.chunks[position].homes, grace: authorise.grace)
        }
    }

    private mutating func authorise(
        _ key: ChunkKey, homes: [NodeID], grace: Duration
    ) throws(StoreFault) -> ChunkVerdict {
        guard var row = try self.view.chunk(key.name, in: key.slot) else { return .absent }
        switch row.life {
        case .referenced, .unreferenced: return .notCondemned
        case .authorised, .deleted: return .done
        case .condemned(let since):
            guard self.now - since.time >= grace else { return .tooEarly }
            let holders = Set(homes + row.exceptions).sorted()
            for holder in holders {
                self.put(CatalogFamilies.rows, CatalogKeys.deletion(of: key, by: holder), [])
            }
            self.dequeue(key, from: .condemned, since.time)
            row.life = .authorised(holders)
            self.set(key, to: row)
            return .done
        }
    }

    mutating func confirm(_ confirm: ConfirmDeletions) throws(StoreFault) -> CommandResult {
        try self.decide(confirm.chunks) { (application, _, key) throws(StoreFault) in
            guard var row = try application.view.chunk(key.name, in: key.slot),
                case .authorised(var holders) = row.life,
                let place = holders.firstIndex(of: confirm.node)
            else { return .done }
            holders.remove(at: place)
            application.delete(
                CatalogFamilies.rows, CatalogKeys.deletion(of: key, by: confirm.node))
            if holders.isEmpty {
                row.life = .deleted(at: application.now)
                application.enqueue(key, in: .deleted, application.now)
            } else {
                row.life = .authorised(holders)
            }
            application.set(key, to: row)
            return .done
        }
    }

    /// Drops the rows of chunks that were deleted long ago.
    mutating func forget(_ chunks: [ChunkKey]) throws(StoreFault) -> CommandResult {
        try self.decide(chunks) { (application, _, key) throws(StoreFault) in
            guard let row = try application.view.chunk(key.name, in: key.slot) else {
                return .done
            }
            guard case .deleted(let time) = row.life else { return .notCondemned }
            guard application.now - time >= CatalogLimits.tombstoneLifetime else {
                return .tooEarly
            }
            application.dequeue(key, from: .deleted, time)
            application.delete(
                CatalogFamilies.rows, CatalogKeys.chunk(key.name, in: key.slot))
            return .done
        }
    }

    mutating func file(_ filed: FileBadCopy) throws(StoreFault) -> CommandResult {
        try self.decide([filed.chunk]) { (application, _, key) throws(StoreFault) in
            guard var row = try application.view.chunk(key.name, in: key.slot) else {
                return .absent
            }
            guard !row.suspects.contains(filed.node) else { return .done }
            guard row.suspects.count < CatalogLimits.suspectsPerChunk else { return .limitReached }
            row.suspects = (row.suspects + [filed.node]).sorted()
            application.set(key, to: row)
            return .done
        }
    }

    mutating func correct(_ correct: CorrectReferences) throws(StoreFault) -> CommandResult {
        try self.decide(correct.chunks.map(\.key)) {
            (application, position, key) throws(StoreFault) in
            try application.apply(correct.chunks[position], to: key, asOf: correct.asOf)
        }
    }

    private mutating func apply(
        _ correction: CorrectReferences.Correction, to key: ChunkKey, asOf: LogIndex
    ) throws(StoreFault) -> ChunkVerdict {
        var row =
            try self.view.chunk(key.name, in: key.slot)
            ?? ChunkRow(
                life: .referenced(0), sealedLength: correction.sealedLength, placedBy: .none,
                exceptions: [])
        guard row.corrected <= asOf else { return .outdated }
        let (count, overflows) = Int64(clamping: row.references)
            .addingReportingOverflow(correction.delta)
        guard !overflows, count >= 0, correction.delta != 0 else { return .outdated }
        switch row.life {
        case .referenced: break
        case .unreferenced(let since): self.dequeue(key, from: .unreferenced, since.time)
        // No store was told anything yet: the chunk is taken back.
        case .condemned(let since): self.dequeue(key, from: .condemned, since.time)
        case .authorised, .deleted: return .lost
        }
        self.setReferences(of: key, to: UInt64(count), &row)
        row.corrected = self.position.index
        self.set(key, to: row)
        return .done
    }

    /// The verdict on each chunk, where the group owns its slot.
    private mutating func decide(
        _ chunks: [ChunkKey],
        _ verdict: (inout EntryApplication, Int, ChunkKey) throws(StoreFault) -> ChunkVerdict
    ) throws(StoreFault) -> CommandResult {
        var verdicts: [ChunkVerdict] = []
        verdicts.reserveCapacity(chunks.count)
        for (position, key) in chunks.enumerated() {
            guard case .owned = try self.ownership(of: key.slot) else {
                verdicts.append(.slotNotOwned)
                continue
            }
            verdicts.append(try verdict(&self, position, key))
        }
        return .chunks(verdicts)
    }
}
