internal import OrderedStorage
package import Primitives

/// Ownership of slots: what the group itself says of them, whatever group 0's table hints. `SlotMove`
/// says in which order groups give and take.
extension EntryApplication {
    mutating func adopt(_ adopt: AdoptSlots) throws(StoreFault) -> CommandResult {
        let known = try self.view.ownerships(of: adopt.slots)
        guard let taken = try self.view.slotImports().first(where: { $0.slots == adopt.slots })
        else { return try self.begin(adopt, known) }
        guard taken.epoch == adopt.epoch, case .taking = taken.stage else {
            return .staleEpoch(taken.epoch)
        }
        for (_, ownership) in known {
            guard case .released(let epoch, _) = ownership, epoch < adopt.epoch else {
                return .staleEpoch(ownership.epoch)
            }
        }
        self.delete(CatalogFamilies.rows, CatalogKeys.slotImport(adopt.slots))
        try self.own(adopt.slots, in: adopt.epoch, above: adopt.versionFloor)
        return .slotsAdopted(adopt.epoch)
    }

    /// Adopts slots that nobody owned before, or has adopted these slots already.
    private mutating func begin(
        _ adopt: AdoptSlots, _ known: [(Slot, SlotOwnership)]
    ) throws(StoreFault) -> CommandResult {
        for (_, ownership) in known {
            guard case .owned(adopt.epoch, _) = ownership else {
                return .staleEpoch(ownership.epoch)
            }
        }
        if known.count == adopt.slots.count { return .slotsAdopted(adopt.epoch) }
        // Slots of a later epoch were somebody's, and have rows.
        guard known.isEmpty, adopt.epoch == .firstOfSlots else { return .slotsNotImported }
        try self.own(adopt.slots, in: adopt.epoch, above: adopt.versionFloor)
        return .slotsAdopted(adopt.epoch)
    }

    mutating func release(_ release: ReleaseSlots) throws(StoreFault) -> CommandResult {
        let known = try self.view.ownerships(of: release.slots)
        guard known.count == release.slots.count else { return .slotNotOwned(Epoch(0)) }
        var floor: UInt64 = 0
        for (_, ownership) in known {
            switch ownership {
            case .owned(let epoch, let base):
                // In the epoch just below: a release that an earlier attempt began comes too late.
                guard epoch.rawValue + 1 == release.epoch.rawValue else {
                    return .staleEpoch(epoch)
                }
                floor = max(floor, self.position.index.rawValue + base)
            case .released(let epoch, let versionFloor):
                if epoch != release.epoch { return .staleEpoch(epoch) }
                floor = max(floor, versionFloor)
            }
        }
        var tally = try self.view.ownedSlots()
        var hasReleased = false
        for (slot, ownership) in known {
            guard case .owned = ownership else { continue }
            self.setOwnership(of: slot, .released(release.epoch, versionFloor: floor))
            tally.remove(slot)
            hasReleased = true
        }
        if hasReleased {
            self.put(CatalogFamilies.rows, CatalogKeys.ownedSlots, tally.row)
            self.invalidate(.slots(release.slots))
        }
        return .slotsReleased(release.epoch, versionFloor: floor)
    }

    mutating func retain(_ retain: RetainSlots) throws(StoreFault) -> CommandResult {
        let known = try self.view.ownerships(of: retain.slots)
        guard known.count == retain.slots.count else { return .slotNotOwned(Epoch(0)) }
        for (_, ownership) in known {
            switch ownership {
            case .owned(let epoch, _):
                if epoch > retain.epoch { return .staleEpoch(epoch) }
            case .released(let epoch, _):
                if epoch >= retain.epoch { return .staleEpoch(epoch) }
            }
        }
        // Whoever drops their rows has seen that another group owns them.
        guard try !self.view.slotDrops().contains(where: { $0.slots.overlaps(retain.slots) }) else {
            return .slotNotOwned(retain.epoch)
        }
        var floor: UInt64 = 0
        for case (_, .released(_, let versionFloor)) in known { floor = max(floor, versionFloor) }
        try self.own(retain.slots, in: retain.epoch, above: floor)
        return .slotsRetained(retain.epoch)
    }

    /// Makes the group the owner of slots, so that its versions in them are above `floor`, and above
    /// those that it made there itself.
    private mutating func own(
        _ slots: SlotRange, in epoch: Epoch, above floor: UInt64
    ) throws(StoreFault) {
        let index = self.position.index.rawValue
        let floorBase = floor >= index ? floor - index + 1 : 0
        var tally = try self.view.ownedSlots()
        for number in slots.first.rawValue...slots.last.rawValue {
            let slot = Slot(rawValue: number)
            var base = floorBase
            if case .owned(_, let ownBase) = try self.ownership(of: slot) {
                base = max(base, ownBase)
            } else {
                tally.insert(slot)
            }
            self.setOwnership(of: slot, .owned(epoch, versionBase: base))
        }
        self.put(CatalogFamilies.rows, CatalogKeys.ownedSlots, tally.row)
        self.invalidate(.slots(slots))
    }
}

extension Epoch {
    /// In which slots have their first owner.
    package static let firstOfSlots = Epoch(1)
}

extension SlotRange {
    package var count: Int { Int(self.last.rawValue) - Int(self.first.rawValue) + 1 }

    package func overlaps(_ other: SlotRange) -> Bool {
        self.first <= other.last && other.first <= self.last
    }
}
