package import OrderedStorage
internal import Primitives
internal import Wire

/// The rows of slots that come from another group, or have gone to one. Nobody sees them: whatever
/// answers of a slot, counts in it or deletes in it asks first whether the group owns it.
extension EntryApplication {
    mutating func clear(_ clear: ClearImport) throws(StoreFault) -> CommandResult {
        let imports = try self.view.slotImports().filter { $0.slots.overlaps(clear.slots) }
        if let latest = imports.map(\.epoch).max(), latest > clear.epoch {
            return .staleEpoch(latest)
        }
        var erasure = SlotErasure.beginning
        if let present = imports.first(where: { $0.epoch == clear.epoch }) {
            guard present.slots == clear.slots else { return .staleEpoch(present.epoch) }
            guard case .clearing(let place) = present.stage else {
                return .rowsErased(isDone: true)
            }
            erasure = place
        } else {
            // Moves never overlap, so an import that is left over is of these very slots.
            guard imports.allSatisfy({ $0.slots == clear.slots }) else {
                return .staleEpoch(clear.epoch)
            }
            for (_, ownership) in try self.view.ownerships(of: clear.slots) {
                guard case .released(let epoch, _) = ownership, epoch < clear.epoch else {
                    return .staleEpoch(ownership.epoch)
                }
            }
            // What was being dropped goes with the rest.
            for drop in try self.view.slotDrops() where drop.slots.overlaps(clear.slots) {
                self.delete(CatalogFamilies.rows, CatalogKeys.slotDrop(drop.slots))
            }
        }
        let next = try self.erase(clear.slots, from: erasure)
        self.set(
            SlotImport(
                slots: clear.slots, epoch: clear.epoch,
                stage: next.map { .clearing($0) } ?? .taking(pieces: 0)))
        return .rowsErased(isDone: next == nil)
    }

    mutating func take(_ rows: ImportRows) throws(StoreFault) -> CommandResult {
        guard var taken = try self.view.slotImports().first(where: { $0.slots == rows.slots })
        else { return .slotsNotImported }
        guard taken.epoch == rows.epoch else { return .staleEpoch(taken.epoch) }
        guard case .taking(let pieces) = taken.stage else { return .slotsNotImported }
        if rows.piece < pieces { return .rowsImported(pieces: pieces) }
        guard rows.piece == pieces else { return .slotsNotImported }
        // Whole or not at all: everything is read before anything is written.
        var traces: [SlotRowTraces?] = []
        do throws(FormatFault) {
            for row in rows.rows {
                guard row.name.isOf(rows.slots) else { return .malformed }
                guard let value = row.value else {
                    traces.append(nil)
                    continue
                }
                traces.append(try SlotRowTraces(of: row.name, value: value))
            }
        } catch { return .malformed }
        guard try self.canCount(traces.compactMap { $0?.secret }) else { return .limitReached }
        for (row, traces) in zip(rows.rows, traces) {
            try self.eraseTraces(of: row.name)
            guard let value = row.value, let traces else {
                self.delete(row.name.section.family, row.name.key)
                continue
            }
            self.put(
                row.name.section.family, row.name.key, try self.translated(value, of: row.name))
            try self.write(traces)
        }
        taken.stage = .taking(pieces: pieces + 1)
        self.set(taken)
        return .rowsImported(pieces: pieces + 1)
    }

    mutating func drop(_ drop: DropRows) throws(StoreFault) -> CommandResult {
        var erasure = SlotErasure.beginning
        if let present = try self.view.slotDrops().first(where: { $0.slots == drop.slots }) {
            erasure = present.erasure
        } else {
            let known = try self.view.ownerships(of: drop.slots)
            guard known.count == drop.slots.count else { return .slotNotOwned(Epoch(0)) }
            for (_, ownership) in known {
                guard case .released(let epoch, _) = ownership, epoch <= drop.epoch else {
                    return .staleEpoch(ownership.epoch)
                }
            }
            // They are on their way back: what is here now is what came.
            if let coming = try self.view.slotImports()
                .first(where: { $0.slots.overlaps(drop.slots) })
            {
                return .staleEpoch(coming.epoch)
            }
        }
        let next = try self.erase(drop.slots, from: erasure)
        if let next {
            self.put(
                CatalogFamilies.rows, CatalogKeys.slotDrop(drop.slots),
                SlotDrop(slots: drop.slots, erasure: next).row)
        } else {
            self.delete(CatalogFamilies.rows, CatalogKeys.slotDrop(drop.slots))
        }
        return .rowsErased(isDone: next == nil)
    }

    // MARK: Erasing

    /// Erases the next rows of slots; nil when none is left.
    ///
    /// Sections without traces go as one range each. The others go row by row, with what follows from
    /// them, and each command begins where the last one ended, so that none walks over what is gone.
    private mutating func erase(
        _ slots: SlotRange, from place: SlotErasure
    ) throws(StoreFault) -> SlotErasure? {
        var place = place
        var budget = CatalogLimits.rowsErasedPerCommand
        while true {
            let section = place.section
            let whole = section.keys(of: slots)
            let range = KeyRange(start: place.next ?? whole.start, end: whole.end)
            let cursor = self.view.scan(section.family, range)
            if section.leavesTraces {
                while let pair = try cursor.next() {
                    guard budget > 0 else {
                        return SlotErasure(section: section, next: pair.key)
                    }
                    budget -= 1
                    let row = SlotRowName(section: section, key: pair.key)
                    try self.eraseTraces(of: row, pair.value)
                    self.delete(section.family, pair.key)
                }
            } else if try cursor.next() != nil {
                self.delete(section.family, in: range)
            }
            guard let next = section.next else { return nil }
            place = SlotErasure(section: next, next: nil)
        }
    }

    private mutating func eraseTraces(of row: SlotRowName) throws(StoreFault) {
        guard row.section.leavesTraces else { return }
        guard let value = try self.view.value(of: row) else { return }
        try self.eraseTraces(of: row, value)
    }

    private mutating func eraseTraces(
        of row: SlotRowName, _ value: [UInt8]
    ) throws(StoreFault) {
        let traces = try self.traces(of: row, value)
        for key in traces.index { self.delete(CatalogFamilies.rows, key) }
        if let secret = traces.secret { try self.countSecret(secret, isAdded: false) }
        self.forgetCachedBuckets()
    }

    private func traces(of row: SlotRowName, _ value: [UInt8]) throws(StoreFault) -> SlotRowTraces {
        do throws(FormatFault) { return try SlotRowTraces(of: row, value: value) } catch {
            throw .corrupt("row \(Hex.encode(row.key)) cannot be read: \(error)")
        }
    }

    // MARK: Taking

    private mutating func write(_ traces: SlotRowTraces) throws(StoreFault) {
        for key in traces.index { self.put(CatalogFamilies.rows, key, []) }
        if let secret = traces.secret { try self.countSecret(secret, isAdded: true) }
        self.forgetCachedBuckets()
    }

    /// The value as it stands in this group. Places in the log are those of one group: an audit that
    /// looked before the chunk was here may not correct it, and every later one may.
    private func translated(
        _ value: [UInt8], of row: SlotRowName
    ) throws(StoreFault) -> [UInt8] {
        guard row.section == .chunks else { return value }
        var chunk: ChunkRow = try CatalogView.decode(value, of: row.section.family, row.key)
        chunk.corrected = self.position.index
        return chunk.row
    }

    /// Whether the group can count secrets under all these keys.
    private func canCount(_ secrets: [[UInt8]]) throws(StoreFault) -> Bool {
        guard !secrets.isEmpty else { return true }
        var keys = Set(try self.view.masterKeys().secrets.map(\.key))
        for secret in secrets {
            if let key = WrappedSecret.masterKey(of: secret) { keys.insert(key) }
        }
        return keys.count <= CatalogLimits.masterKeys
    }

    private func set(_ taken: SlotImport) {
        self.put(CatalogFamilies.rows, CatalogKeys.slotImport(taken.slots), taken.row)
    }
}

extension CatalogView {
    func value(of row: SlotRowName) throws(StoreFault) -> [UInt8]? {
        try self.value(row.section.family, row.key)
    }

    /// The slots that the group owns.
    package func ownedSlots() throws(StoreFault) -> SlotTally {
        try self.row(CatalogFamilies.rows, CatalogKeys.ownedSlots) ?? SlotTally()
    }
}
