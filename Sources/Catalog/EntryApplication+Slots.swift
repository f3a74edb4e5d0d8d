internal import OrderedStorage
internal import Primitives

/// Ownership of slots: what the group itself says of them, whatever group 0's table hints.
extension EntryApplication {
    mutating func adopt(_ adopt: AdoptSlots) throws(StoreFault) -> CommandResult {
        let known = try self.view.ownerships(of: adopt.slots)
        for (_, ownership) in known {
            switch ownership {
            case .owned(let epoch, _):
                if epoch > adopt.epoch { return .staleEpoch(epoch) }
            // Given away in this very epoch: the adopter is another group.
            case .released(let epoch, _):
                if epoch >= adopt.epoch { return .staleEpoch(epoch) }
            }
        }
        let index = self.position.index.rawValue
        let floorBase = adopt.versionFloor >= index ? adopt.versionFloor - index + 1 : 0
        var next = known[...]
        for number in adopt.slots.first.rawValue...adopt.slots.last.rawValue {
            let slot = Slot(rawValue: number)
            var base = floorBase
            if let (first, ownership) = next.first, first == slot {
                next.removeFirst()
                if case .owned(let epoch, let ownBase) = ownership {
                    if epoch == adopt.epoch { continue }
                    base = max(base, ownBase)
                }
            }
            self.setOwnership(of: slot, .owned(adopt.epoch, versionBase: base))
        }
        return .slotsAdopted(adopt.epoch)
    }

    mutating func release(_ release: ReleaseSlots) throws(StoreFault) -> CommandResult {
        let known = try self.view.ownerships(of: release.slots)
        let count = Int(release.slots.last.rawValue) - Int(release.slots.first.rawValue) + 1
        guard known.count == count else { return .slotNotOwned(Epoch(0)) }
        var floor: UInt64 = 0
        for (_, ownership) in known {
            switch ownership {
            case .owned(let epoch, let base):
                if epoch >= release.epoch { return .staleEpoch(epoch) }
                floor = max(floor, self.position.index.rawValue + base)
            case .released(let epoch, let versionFloor):
                if epoch != release.epoch { return .staleEpoch(epoch) }
                floor = max(floor, versionFloor)
            }
        }
        for (slot, ownership) in known {
            guard case .owned = ownership else { continue }
            self.setOwnership(of: slot, .released(release.epoch, versionFloor: floor))
        }
        return .slotsReleased(release.epoch, versionFloor: floor)
    }
}
