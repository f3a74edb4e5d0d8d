import Catalog
import OrderedStorage
import Primitives
import Testing
import Wire

@Suite struct SlotMoveFormatTests {
    static let range = SlotRange(first: Slot(rawValue: 3), last: Slot(rawValue: 4))
    static let row = SlotRowName(section: .heads, key: [0, 3, 7])
    static let operations: [CatalogOperation] = [
        .adoptSlots(AdoptSlots(slots: Self.range, epoch: Epoch(2), versionFloor: 5)),
        .releaseSlots(ReleaseSlots(slots: Self.range, epoch: Epoch(2))),
        .retainSlots(RetainSlots(slots: Self.range, epoch: Epoch(2))),
        .clearImport(ClearImport(slots: Self.range, epoch: Epoch(2))),
        .importRows(
            ImportRows(
                slots: Self.range, epoch: Epoch(2), piece: 1,
                rows: [
                    ImportedRow(name: Self.row, value: [9]),
                    ImportedRow(name: Self.row, value: nil),
                ])),
        .dropRows(DropRows(slots: Self.range, epoch: Epoch(2))),
        .moveSlots(MoveSlots(slots: Self.range, to: GroupID(2))),
        .advanceSlotMove(AdvanceSlotMove(id: Epoch(6), step: .begin(after: Epoch(7)))),
        .advanceSlotMove(AdvanceSlotMove(id: Epoch(6), step: .assign)),
        .advanceSlotMove(AdvanceSlotMove(id: Epoch(6), step: .end)),
    ]
    static let move = SlotMove(
        id: Epoch(6), slots: Self.range, from: GroupID(1), to: GroupID(2), attempt: Epoch(7),
        stage: .dropping)

    @Test func `the bytes of the commands by which slots move are these`() {
        let slots = "0300" + "0400"
        let two = "0200000000000000"
        let six = "0600000000000000"
        let name = "0b" + "03000000" + "000307"
        let golden = [
            "a0" + slots + two + "0500000000000000", "a1" + slots + two, "a2" + slots + two,
            "a3" + slots + two,
            "a4" + slots + two + "0100000000000000" + "02000000" + name + "01" + "01000000" + "09"
                + name + "00",
            "a5" + slots + two, "a8" + slots + "02000000", "a9" + six + "01" + "0700000000000000",
            "a9" + six + "02", "a9" + six + "03",
        ]
        #expect(Self.operations.map { Hex.encode($0.encoded) } == golden)
        #expect(
            Hex.encode(Self.move.encoded)
                == six + slots + "01000000" + "02000000" + "0700000000000000" + "02")
    }

    @Test func `only those may move slots whose part it is`() {
        let voters = [NodeID(1), NodeID(2)]
        let allowed = Self.operations.map { operation in
            [NodeID(1), NodeID(9), CommandProposer.operatorNode].map {
                operation.proposer.allows($0, metaNodes: voters)
            }
        }
        let (metaNodes, leader, operatorAlone) = (
            [true, false, false], [false, false, false], [false, false, true]
        )
        #expect(
            allowed == [
                metaNodes, leader, leader, metaNodes, metaNodes, leader, operatorAlone, metaNodes,
                metaNodes, metaNodes,
            ])
    }

    @Test func `a table with moves reads back as it was written`() throws {
        let table = GroupTable(
            version: 3, groups: [GroupDescriptor(id: GroupID(1), voters: [NodeID(1)])],
            slots: [SlotAssignment(slots: Self.range, group: GroupID(1))], epoch: Epoch(9),
            moves: [Self.move])
        #expect(try GroupTable(decoding: table.encoded) == table)
    }
}
