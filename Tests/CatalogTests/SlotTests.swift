import Catalog
import OrderedStorage
import Primitives
import Testing

@Suite struct SlotTests {
    @Test func `a group that never owned the slot refuses, and so does its answer`() throws {
        let group = CatalogGroup()
        try group.open(client)
        #expect(try group.send(.createBucket(create(photos))) == .slotNotOwned(Epoch(0)))
        #expect(try group.view.answer(.bucket(photos)) == .slotNotOwned(Epoch(0)))
    }

    @Test func `adopting twice in one epoch is adopting once`() throws {
        let group = CatalogGroup()
        let adopt = CatalogOperation.adoptSlots(AdoptSlots(slots: photosSlots, epoch: Epoch(1)))
        #expect(try group.apply(operation: adopt) == .slotsAdopted(Epoch(1)))
        #expect(try group.apply([CatalogCommand(operation: adopt)]).batch.changes.count == 1)
        #expect(
            try group.view.ownership(of: photos.slot) == .owned(Epoch(1), versionBase: 0))
        #expect(try group.view.ownedSlots() == SlotTally(photosSlots))
    }

    @Test func `an older epoch neither takes nor gives`() throws {
        let group = CatalogGroup()
        try group.apply(operation: .adoptSlots(AdoptSlots(slots: photosSlots, epoch: Epoch(1))))
        try group.apply(operation: .retainSlots(RetainSlots(slots: photosSlots, epoch: Epoch(3))))
        #expect(
            try group.apply(
                operation: .adoptSlots(AdoptSlots(slots: photosSlots, epoch: Epoch(2))))
                == .staleEpoch(Epoch(3)))
        #expect(
            try group.apply(
                operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(2))))
                == .staleEpoch(Epoch(3)))
        #expect(
            try group.apply(
                operation: .retainSlots(RetainSlots(slots: photosSlots, epoch: Epoch(2))))
                == .staleEpoch(Epoch(3)))
        #expect(
            try group.apply(
                operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(3))))
                == .staleEpoch(Epoch(3)))
    }

    @Test func `what was given away in an epoch is not taken back in it`() throws {
        let group = CatalogGroup()
        try group.apply(operation: .adoptSlots(AdoptSlots(slots: photosSlots, epoch: Epoch(1))))
        let release = CatalogOperation.releaseSlots(
            ReleaseSlots(slots: photosSlots, epoch: Epoch(2)))
        #expect(
            try group.apply(operation: release)
                == .slotsReleased(Epoch(2), versionFloor: group.index.rawValue))
        #expect(
            try group.apply(
                operation: .adoptSlots(AdoptSlots(slots: photosSlots, epoch: Epoch(2))))
                == .staleEpoch(Epoch(2)))
        // A repeated release answers the same floor.
        #expect(
            try group.apply(operation: release) == .slotsReleased(Epoch(2), versionFloor: 2))
    }

    @Test func `versions go on growing when a slot moves to a group with a shorter log`() throws {
        let old = try CatalogGroup.withBucket()
        for _ in 0..<20 { try old.send(put("a")) }
        let last = unwrap(try old.view.head(key("a"), in: photos)).version
        guard
            case .slotsReleased(_, let floor) = try old.apply(
                operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(2))))
        else {
            Issue.record("the slots were not released")
            return
        }
        let new = CatalogGroup(GroupID(2))
        try new.apply(
            operation: .clearImport(ClearImport(slots: photosSlots, epoch: Epoch(2))))
        try new.apply(
            operation: .adoptSlots(
                AdoptSlots(slots: photosSlots, epoch: Epoch(2), versionFloor: floor)))
        try new.open(client)
        try new.send(.createBucket(create(photos)))
        let bucketVersion = try new.version(of: photos)
        #expect(bucketVersion > last)
        try new.send(put("a", sealedFor: bucketVersion))
        #expect(unwrap(try new.view.head(key("a"), in: photos)).version > last)
    }

    @Test func `who remembers names of slots hears that they changed hands`() throws {
        let group = CatalogGroup()
        let adopted = try group.apply([
            CatalogCommand(
                operation: .adoptSlots(AdoptSlots(slots: photosSlots, epoch: Epoch(1))))
        ])
        #expect(adopted.invalidations == [.slots(photosSlots)])
        let release = CatalogCommand(
            operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(2))))
        #expect(try group.apply([release]).invalidations == [.slots(photosSlots)])
    }

    @Test func `slots that were never owned cannot be released`() throws {
        let group = CatalogGroup()
        #expect(
            try group.apply(
                operation: .releaseSlots(ReleaseSlots(slots: photosSlots, epoch: Epoch(1))))
                == .slotNotOwned(Epoch(0)))
    }

    @Test func `a table deals every slot to just one group`() {
        let groups = (0...4).map { GroupDescriptor(id: GroupID($0), voters: []) }
        let table = GroupTable(version: 1, dealingSlotsTo: groups)
        var counts: [GroupID: Int] = [:]
        for slot in 0..<Slot.count {
            let owner = table.group(owning: Slot(rawValue: UInt16(slot)))
            counts[unwrap(owner), default: 0] += 1
        }
        #expect(
            counts
                == [1: 16_384, 2: 16_384, 3: 16_384, 4: 16_384].reduce(into: [:]) {
                    $0[GroupID($1.key)] = $1.value
                })
    }

    @Test func `a slot that no run covers has no group`() {
        let table = GroupTable(
            version: 1, groups: [],
            slots: [
                SlotAssignment(
                    slots: SlotRange(first: Slot(rawValue: 10), last: Slot(rawValue: 20)),
                    group: GroupID(1))
            ])
        #expect(table.group(owning: Slot(rawValue: 9)) == nil)
        #expect(table.group(owning: Slot(rawValue: 20)) == GroupID(1))
        #expect(table.group(owning: Slot(rawValue: 21)) == nil)
    }
}
