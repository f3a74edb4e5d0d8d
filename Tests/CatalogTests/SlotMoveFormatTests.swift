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
                slots: Self.range, epoch: Epoch(2), piece: 1, isBehindRelease: true,
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
            "a4" + slots + two + "0100000000000000" + "01" + "02000000" + name + "01" + "01000000"
                + "09"
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

    @Test func `rows that come behind the release are taken where nothing may grow`() {
        func grows(isBehindRelease: Bool) -> Bool {
            CatalogOperation.importRows(
                ImportRows(
                    slots: Self.range, epoch: Epoch(2), piece: 0,
                    isBehindRelease: isBehindRelease, rows: [])
            ).grows
        }
        #expect(grows(isBehindRelease: false), "a piece without rows asks for room")
        #expect(!grows(isBehindRelease: true))
    }

    /// Rows as large as the limits of what is in them allow.
    private static func largestRows() -> [(section: SlotSection, value: [UInt8])] {
        func fields(_ sizeBytes: Int) -> [ObjectField] {
            let each = sizeBytes / CatalogLimits.fieldsPerObject
            return (0..<CatalogLimits.fieldsPerObject).map { _ in
                ObjectField(name: "n", value: String(repeating: "v", count: each - 1))
            }
        }
        func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 7, count: count) }
        let attributes = ObjectAttributes(
            contentType: String(repeating: "t", count: CatalogLimits.contentTypeBytes),
            headers: fields(CatalogLimits.storedHeadersBytes),
            metadata: fields(CatalogLimits.userMetadataBytes))
        let checksums = [ObjectChecksum](
            repeating: ObjectChecksum(
                algorithm: .sha256, value: bytes(CatalogLimits.checksumBytes)),
            count: CatalogLimits.checksumsPerObject)
        let entityTag = tag(String(repeating: "e", count: CatalogLimits.entityTagBytes.upperBound))
        let longKey = key(
            String(repeating: "k", count: CatalogLimits.objectKeyBytes.upperBound))
        let chunks = [ChunkReference](
            repeating: ChunkReference(
                name: chunk(1).name, plainLength: 1, sealedLength: 1,
                exceptions: (0..<UInt32(CatalogLimits.exceptionsPerChunk)).map { NodeID($0) }),
            count: CatalogLimits.chunksPerRow)
        let time = Timestamp(milliseconds: 1)
        let version = VersionID(rawValue: 1)
        let head = ObjectHead(
            version: version, manifest: ManifestID(rawValue: 1), isInline: true,
            sealedFor: version, size: 1, modified: time, entityTag: entityTag, sha256: bytes(32),
            checksums: checksums, attributes: attributes)
        let upload = Upload(
            id: UploadID(rawValue: 1), key: longKey, sealedFor: version, opened: time,
            attributes: attributes,
            checksum: UploadChecksum(algorithm: .sha256, kind: .composite), isImplicit: false)
        let completed = CompletedUpload(
            key: longKey, version: version, completed: time, size: 1, entityTag: entityTag,
            sha256: bytes(32), checksums: checksums)
        let part = ManifestPart(
            number: .greatest, size: 1, entityTag: entityTag, sha256: bytes(32),
            checksums: checksums,
            modified: time, content: .chunks(chunks))
        // No two parts behind each other are of one size.
        let table = UploadTests.table(
            (1...Int(CatalogLimits.partsPerUpload)).map { ($0, UInt64(1 + $0 % 2)) })
        let bucket = Bucket(
            name: photos, version: version, owner: alice, created: time,
            wrappedKey: bytes(CatalogLimits.wrappedBytes))
        let sealed = bytes(CatalogLimits.inlineBytes + CatalogLimits.inlineSealBytes)
        return [
            (.buckets, bucket.encoded), (.heads, head.encoded), (.uploads, upload.encoded),
            (.completedUploads, completed.encoded), (.manifests, part.encoded),
            (.manifests, Manifest.inline(name: chunk(1).name, sealed: sealed).encoded),
            (.manifests, Manifest.chunks(chunks).encoded),
            (.manifests, Manifest.parts(table).encoded),
        ]
    }

    /// A command is cut behind the row that passes the bound of a piece, so the bound of an entry
    /// holds only if the largest row does.
    @Test func `the largest rows of slots are within the bound, and travel`() throws {
        let rows = Self.largestRows()
        let largest = try #require(rows.map(\.value.count).max())
        #expect(largest <= CatalogLimits.rowValueBytes)
        #expect(largest > CatalogLimits.rowValueBytes * 9 / 10, "or the bound says nothing")
        for (section, value) in rows {
            let name = SlotRowName(
                section: section, key: [UInt8](repeating: 0, count: CatalogLimits.rowKeyBytes))
            let row = ImportedRow(name: name, value: value)
            #expect(row.encoded.count <= row.sizeBytes)
            #expect(row.sizeBytes <= CatalogLimits.importedRowBytes)
            #expect(try ImportedRow(decoding: row.encoded) == row)
        }
    }

    @Test func `a table with moves reads back as it was written`() throws {
        let table = GroupTable(
            version: 3, groups: [GroupDescriptor(id: GroupID(1), voters: [NodeID(1)])],
            slots: [SlotAssignment(slots: Self.range, group: GroupID(1))], epoch: Epoch(9),
            moves: [Self.move])
        #expect(try GroupTable(decoding: table.encoded) == table)
    }
}
