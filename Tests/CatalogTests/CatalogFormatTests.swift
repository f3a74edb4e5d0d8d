import Catalog
import Placement
import Primitives
import Testing
import Wire

@Suite struct CatalogFormatTests {
    static func operations() throws -> [CatalogOperation] {
        let bootstrap = try SystemTests.bootstrap()
        return [
            .openSession(client),
            .createBucket(create(photos)), .deleteBucket(photos), .raiseLinkEpoch(photos),
            .revokeLink(
                RevokeLink(
                    bucket: photos, link: RevokedLink(expirySeconds: 5, number: 4))),
            put("a", if: .matches(tag("x"))),
            put("b", chunks: [chunk(1), chunk(2, exceptions: [NodeID(3)])]),
            copy("b", VersionID(rawValue: 5), to: "c", attributes: ObjectAttributes()),
            delete("a", if: .present),
            .createAccessKey(bootstrap.firstAccessKey),
            .openUpload(
                OpenUpload(
                    bucket: photos, key: key("u"), sealedFor: photosVersion,
                    attributes: ObjectAttributes(contentType: "a/b"),
                    checksum: UploadChecksum(algorithm: .crc32c, kind: .composite))),
            UploadTests.putPart(UploadTests.upload, 3, [chunk(1), chunk(2)]),
            .putPart(
                PutPart(
                    upload: UploadTests.upload, number: .greatest, size: 12, entityTag: tag("p"),
                    sha256: Array(repeating: 1, count: 32),
                    checksums: [ObjectChecksum(algorithm: .crc32, value: [1, 2, 3, 4])],
                    source: .upload(
                        UploadID(rawValue: 8), revision: 2, UploadTests.table([(1, 5), (3, 7)])))),
            .completeUpload(
                CompleteUpload(
                    upload: UploadTests.upload, key: key("u"), revision: 3,
                    parts: UploadTests.table([(2, 5), (3, 5), (9, 1)]),
                    leftOut: UploadTests.set([1, 4, 5]), entityTag: tag("e-3"),
                    precondition: .absent)),
            .abortUpload(AbortUpload(upload: UploadTests.upload)),
            .abortUpload(
                AbortUpload(
                    upload: UploadTests.upload, untouchedSince: Timestamp(milliseconds: 5))),
            .sweepManifest(UploadTests.doomed),
            .deleteAccessKey(bootstrap.firstAccessKey.id), .bootstrap(bootstrap),
            .finishBootstrap, .registerNode(bootstrap.nodes[0]), .allocateIncarnation,
            .setLayout(SetLayout(expected: .none, layout: bootstrap.layout)),
            .setGroupTable(SetGroupTable(expected: 0, table: bootstrap.groupTable)),
            .addLinkKey(bootstrap.linkKey), .removeLinkKey(id: "link-1"),
            .setWrappingKey(
                SetWrappingKey(
                    generation: 4, key: MasterKeyTests.masterKey(7),
                    former: [MasterKeyTests.masterKey(6)])),
            .rewrapSecrets(
                [
                    SecretPlace.bucket(photos), .accessKey(bootstrap.firstAccessKey.id),
                    .linkKey("1"), .firstAccessKey(bootstrap.firstAccessKey.id),
                ].map { RewrappedSecret(place: $0, old: [1, 2], new: [3]) }),
            .retireMasterKey(
                RetireMasterKey(key: MasterKeyTests.masterKey(6), tableVersion: 9)),
        ] + DeletionFormatTests.operations + SlotMoveFormatTests.operations
    }

    static let results: [CommandResult] = [
        .malformed, .wrongGroup, .sessionUnknown, .slotNotOwned(Epoch(3)), .limitReached,
        .sessionOpened(firstSequence: 9), .slotsAdopted(Epoch(1)),
        .slotsReleased(Epoch(2), versionFloor: 7), .staleEpoch(Epoch(4)), .bucketCreated,
        .bucketAlreadyOwned, .bucketTaken, .bucketDeleted, .bucketNotEmpty, .noSuchBucket,
        .bucketReplaced,
        .stored(VersionID(rawValue: 65_536), at: Timestamp(milliseconds: 5)), .preconditionFailed,
        .noSuchKey, .sourceChanged, .objectDeleted(existed: true), .accessKeyCreated,
        .accessKeyTaken, .accessKeyDeleted, .chunkCondemned(chunk(1).name),
        .uploadOpened(UploadID(rawValue: 4)), .noSuchUpload,
        .partStored(revision: 5, at: Timestamp(milliseconds: 6)), .uploadChanged(revision: 7),
        .uploadCompletedBefore(VersionID(rawValue: 8), at: Timestamp(milliseconds: 9)),
        .uploadAborted, .uploadActive, .manifestSwept(isDone: true), .bootstrapped,
        .bootstrappedBefore(unwrap(ClusterID(bytes: Array(0..<16)))), .bootstrapFinished,
        .nodeRegistered, .nodeIdentityUsed, .incarnation(3), .layoutSet(LayoutVersion(1)),
        .layoutChanged(current: LayoutVersion(2)), .groupTableSet(version: 3),
        .groupTableChanged(current: 4), .linkRevoked,
        .linkEpochRaised(VersionID(rawValue: 9)), .linkKeyAdded, .linkKeyTaken, .linkKeyRemoved,
        .wrongMasterKey, .wrappingKeySet(generation: 2), .wrappingKeyKept(generation: 3),
        .secretsRewrapped(count: 64), .masterKeyRetired, .masterKeyNeeded,
        .chunkCondemned(chunk(3).name), .chunks([.done, .referenced, .lost]),
        .slotsNotImported, .slotsRetained(Epoch(4)), .rowsErased(isDone: true),
        .rowsImported(pieces: 7), .slotMoves([SlotMoveFormatTests.move]),
        .slotsInMotion(Epoch(5)), .noSuchSlotMove, .noSuchGroup,
    ]

    static let queries: [CatalogQuery] = [
        .object(photos, key("a"), withManifest: true),
        .manifest(photos, ManifestID(rawValue: 4)), .bucket(photos),
        .buckets(ListBuckets(owner: alice, after: photos, limit: 5)),
        .objects(
            ListObjects(
                bucket: photos, prefix: [1], delimiter: [2], start: .afterPrefix([3]), limit: 4)),
        .accessKey(accessKeyID("AKID")), .slot(Slot(rawValue: 3)), .session(client), .applied,
        .manifestParts(photos, ManifestID(rawValue: 4), from: .least, limit: 5),
        .upload(UploadTests.upload),
        .uploads(
            ListUploads(
                bucket: photos, prefix: [1], delimiter: [2],
                start: .after([3], UploadID(rawValue: 4)), limit: 5)),
        .uploads(ListUploads(bucket: photos, start: .afterKey([3]))),
        .uploads(ListUploads(bucket: photos, start: .afterPrefix([3]))),
        .uploadParts(UploadTests.upload, after: .greatest, limit: 7),
        .uploadParts(UploadTests.upload, after: nil, limit: 1_000),
        .deduplicated(photos, RandomOperations.fingerprints.suffix(2)),
        .abandonedUploads(untouchedSince: Timestamp(milliseconds: 1), limit: 2),
        .doomedManifests(before: Timestamp(milliseconds: 1), limit: 2),
        .masterKeys, .configuration,
        .cluster, .tables(known: TableVersions(layout: LayoutVersion(3), groupTable: 4, nodes: 5)),
        .nodes, .groupTable, .linkKeys, .incarnation,
        .deletions(
            ListDeletions(node: NodeID(3), after: chunkKey(1), limit: 9, isDiskFull: true)),
        .chunkStates([chunkKey(1), chunkKey(2)]), .revokedLinks(photos),
    ]

    static func answers() throws -> [CatalogAnswer] {
        let bootstrap = try SystemTests.bootstrap()
        let head = ObjectHead(
            version: VersionID(rawValue: 1), manifest: ManifestID(rawValue: 2),
            isInline: false, sealedFor: VersionID(rawValue: 5), size: 3,
            modified: Timestamp(milliseconds: 4),
            entityTag: tag("e"), sha256: nil,
            checksums: [ObjectChecksum(algorithm: .sha1, value: [1], partCount: 2)],
            attributes: ObjectAttributes(contentType: "a/b"))
        let listed = ListedObject(
            key: key("a"), version: head.version, size: 3, modified: head.modified,
            entityTag: head.entityTag, checksums: [])
        let bucket = Bucket(
            name: photos, version: VersionID(rawValue: 5), owner: alice,
            created: Timestamp(milliseconds: 1), wrappedKey: [1],
            links: BucketLinks(
                epoch: VersionID(rawValue: 6), revision: VersionID(rawValue: 7), revokedCount: 1))
        return [
            .slotNotOwned(Epoch(1)), .absent, .noSuchBucket, .object(head, nil),
            .object(head, .chunks([chunk(1)])), .manifest(.chunks([])), .bucket(bucket),
            .manifest(.parts(UploadTests.table([(1, 5), (2, 5), (3, 4)]))),
            .manifestParts(UploadTests.parts), .upload(UploadTests.opened, UploadTests.progress),
            .completedUpload(UploadTests.completed),
            .uploads(
                UploadPage(
                    uploads: [
                        ListedUpload(
                            key: key("a"), id: UploadID(rawValue: 5),
                            opened: Timestamp(milliseconds: 6), checksum: nil)
                    ],
                    commonPrefixes: [[1]], next: .after([2], UploadID(rawValue: 5)))),
            .uploadParts(
                UploadPartPage(
                    revision: 4, parts: UploadTests.parts.map { ListedPart($0) },
                    isTruncated: true)),
            .deduplicated([nil, chunk(1)]), .abandonedUploads([UploadTests.upload]),
            .doomedManifests([UploadTests.doomed]),
            .buckets([bucket], of: SlotTally(photosSlots)),
            .objects(
                ObjectPage(objects: [listed], commonPrefixes: [[1]], next: .after([2]))),
            .revokedLinks(
                RevokedLinks(
                    links: bucket.links, revoked: [RevokedLink(expirySeconds: 5, number: 4)])),
            .accessKey(bootstrap.firstAccessKey), .slot(.owned(Epoch(1), versionBase: 2)),
            .slot(.released(Epoch(2), versionFloor: 3)),
            .session(
                Session(
                    firstSequence: 1, firstUnacknowledged: 2, firstUnused: 4,
                    lastUsed: Timestamp(milliseconds: 3))),
            .applied(.start),
            .cluster(
                Cluster(
                    id: bootstrap.cluster, created: Timestamp(milliseconds: 1),
                    firstAccessKey: bootstrap.firstAccessKey)),
            .tables(ClusterTables()),
            .tables(
                ClusterTables(
                    layout: bootstrap.layout, groupTable: bootstrap.groupTable,
                    nodes: ClusterTables.Nodes(version: 3, records: bootstrap.nodes))),
            .nodes(bootstrap.nodes),
            .groupTable(bootstrap.groupTable), .linkKeys([bootstrap.linkKey]), .incarnation(7),
            .configuration([1, 2, 3]),
            .masterKeys(MasterKeys(generation: 2, wrapping: MasterKeyTests.masterKey(1))),
            .deletions(DeletionPage(chunks: [chunkKey(1)], next: chunkKey(1))),
            .chunkStates(
                [.slotNotOwned, .absent] + DeletionFormatTests.rows.map { .present($0) }),
        ]
    }

    static func command(_ operation: CatalogOperation) -> CatalogCommand {
        CatalogCommand(
            identity: CommandIdentity(session: client, sequence: 5, firstUnacknowledged: 4),
            operation: operation)
    }

    @Test func `everything reads back as it was written`() throws {
        for operation in try Self.operations() {
            let command = Self.command(operation)
            #expect(try CatalogCommand(decoding: command.encoded) == command)
        }
        for result in Self.results {
            #expect(try CommandResult(decoding: result.encoded) == result)
        }
        for query in Self.queries {
            #expect(try CatalogQuery(decoding: query.encoded) == query)
        }
        for answer in try Self.answers() {
            #expect(try CatalogAnswer(decoding: answer.encoded) == answer)
        }
        let entry = CatalogEntry(
            timestamp: Timestamp(milliseconds: 77),
            commands: try Self.operations().map { Self.command($0) })
        #expect(try CatalogEntry(decoding: entry.encoded) == entry)
        #expect(
            CatalogEntry.payload(
                timestamp: entry.timestamp, commands: entry.commands.map(\.encoded))
                == entry.encoded)
    }

    @Test func `no bytes make a reader trap, and what it reads writes back the same`() throws {
        var random = SeededGenerator(seed: 31)
        let entry = CatalogEntry(
            timestamp: Timestamp(milliseconds: 77),
            commands: try Self.operations().map { Self.command($0) })
        for _ in 0..<1_000 {
            let bytes = Self.mutated(entry.encoded, using: &random)
            _ = try? CatalogEntry(decoding: bytes)
        }
        for sample in try Self.operations().map({ Self.command($0).encoded })
        where sample.count < 1_000 {
            for _ in 0..<300 {
                let bytes = Self.mutated(sample, using: &random)
                guard let command = try? CatalogCommand(decoding: bytes) else { continue }
                #expect(command.encoded == bytes)
            }
        }
        for sample in Self.queries.map(\.encoded) {
            for _ in 0..<100 {
                let bytes = Self.mutated(sample, using: &random)
                guard let query = try? CatalogQuery(decoding: bytes) else { continue }
                #expect(query.encoded == bytes)
            }
        }
        for sample in try Self.answers().map(\.encoded) where sample.count < 1_000 {
            for _ in 0..<100 {
                let bytes = Self.mutated(sample, using: &random)
                guard let answer = try? CatalogAnswer(decoding: bytes) else { continue }
                #expect(answer.encoded == bytes)
            }
        }
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                UInt8.random(in: 0...40, using: &random)
            }
            _ = try? CatalogCommand(decoding: bytes)
            _ = try? CommandResult(decoding: bytes)
            _ = try? CatalogAnswer(decoding: bytes)
        }
    }

    private static func mutated(
        _ sample: [UInt8], using random: inout SeededGenerator
    ) -> [UInt8] {
        var bytes = sample
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let position = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.removeSubrange(position...)
            case 1: bytes.insert(.random(in: 0 ... .max, using: &random), at: position)
            case 2: bytes[position] = .max
            default: bytes[position] = .random(in: 0 ... .max, using: &random)
            }
        }
        return bytes
    }

    @Test(arguments: [
        ("ab", false), ("abc", true), ("a.b-c", true), ("a..b", false), ("-abc", false),
        ("abc-", false), (".abc", false), ("abc.", false), ("Abc", false), ("a_c", false),
        ("123", true), (String(repeating: "a", count: 63), true),
        (String(repeating: "a", count: 64), false), ("a.-b", true),
    ])
    func `a bucket's name follows the rules of S3`(text: String, isValid: Bool) {
        #expect((BucketName(text) != nil) == isValid)
    }

    @Test func `a key is one to 1,024 bytes of UTF-8 and differs by its bytes`() {
        #expect(ObjectKey("") == nil)
        #expect(ObjectKey(String(repeating: "é", count: 512)) != nil)
        #expect(ObjectKey(String(repeating: "é", count: 513)) == nil)
        #expect(ObjectKey(utf8: [0xc3]) == nil)
        #expect(key("e\u{301}") != key("\u{e9}"))
    }

    @Test func `what is over its bound is refused before it is stored`() {
        func refuses(_ change: (inout Draft) -> Void) -> Bool {
            var draft = Draft()
            change(&draft)
            return (try? CatalogCommand(decoding: Self.command(draft.operation).encoded)) == nil
        }
        #expect(!refuses { _ in })
        let kilobyte = String(repeating: "x", count: 1_024)
        #expect(
            refuses {
                $0.attributes.metadata = [
                    ObjectField(name: "a", value: kilobyte),
                    ObjectField(name: "b", value: kilobyte),
                ]
            })
        #expect(
            refuses {
                $0.attributes.headers = (0..<8).map {
                    ObjectField(name: "h\($0)", value: kilobyte)
                }
            })
        #expect(refuses { $0.attributes.contentType = String(repeating: "x", count: 257) })
        #expect(refuses { $0.sealed = Array(repeating: 0, count: (16 << 10) + 257) })
        #expect(refuses { $0.size = (16 << 10) + 1 })
        #expect(refuses { $0.sha256 = [1, 2, 3] })
    }

    private struct Draft {
        var size: UInt64 = 3
        var sha256: [UInt8]?
        var sealed: [UInt8] = [1]
        var attributes = ObjectAttributes()

        var operation: CatalogOperation {
            .putObject(
                PutObject(
                    bucket: photos, key: key("a"), size: self.size, entityTag: tag("e"),
                    sha256: self.sha256, attributes: self.attributes,
                    content: ObjectContent(
                        .inline(
                            name: ChunkName(incarnation: 1, counter: 1), sealed: self.sealed),
                        placedBy: LayoutVersion(1), sealedFor: photosVersion)))
        }
    }

    @Test func `the size of an object is that of its chunks`() {
        let command = Self.command(
            .putObject(
                PutObject(
                    bucket: photos, key: key("a"), size: 199, entityTag: tag("e"),
                    content: ObjectContent(
                        .chunks([chunk(1), chunk(2)]), placedBy: LayoutVersion(1),
                        sealedFor: photosVersion))))
        #expect(throws: FormatFault.self) { try CatalogCommand(decoding: command.encoded) }
    }

    @Test func `a command that must not repeat needs an identity, and one within its window`() {
        let nameless = CatalogCommand(operation: put("a"))
        #expect(throws: FormatFault.self) { try CatalogCommand(decoding: nameless.encoded) }
        let tooFar = CatalogCommand(
            identity: CommandIdentity(session: client, sequence: 1_024, firstUnacknowledged: 0),
            operation: put("a"))
        #expect(throws: FormatFault.self) { try CatalogCommand(decoding: tooFar.encoded) }
    }

    @Test func `the bytes of an entry with a put are these`() {
        let entry = CatalogEntry(
            timestamp: Timestamp(milliseconds: 2),
            commands: [Self.command(put("a", if: .matches(tag("t"))))])
        #expect(Hex.encode(entry.encoded) == Self.goldenEntry)
    }

    @Test func `the bytes of rows are these`() {
        let head = ObjectHead(
            version: VersionID(index: LogIndex(1), ordinal: 2), manifest: ManifestID(rawValue: 3),
            isInline: true, sealedFor: VersionID(index: LogIndex(1), ordinal: 1), size: 4,
            modified: Timestamp(milliseconds: 5), entityTag: tag("e"), sha256: nil,
            checksums: [], attributes: ObjectAttributes())
        #expect(Hex.encode(head.encoded) == Self.goldenHead)
        let bucket = Bucket(
            name: photos, version: VersionID(index: LogIndex(1), ordinal: 1), owner: alice,
            created: Timestamp(milliseconds: 5), wrappedKey: [1, 2])
        #expect(Hex.encode(bucket.encoded) == Self.goldenBucket)
        let session = Session(
            firstSequence: 1, firstUnacknowledged: 2, firstUnused: 3,
            lastUsed: Timestamp(milliseconds: 4))
        #expect(
            Hex.encode(session.encoded) == "01" + "0100000000000000" + "0200000000000000"
                + "0300000000000000" + "0400000000000000")
        #expect(Hex.encode(CommandResult.bucketReplaced.encoded) == "1e")
        let row = ChunkRow(
            life: .unreferenced(.init(index: LogIndex(5), time: Timestamp(milliseconds: 6))),
            sealedLength: 2, placedBy: LayoutVersion(3), exceptions: [NodeID(4)],
            suspects: [NodeID(7)], corrected: LogIndex(8))
        #expect(Hex.encode(row.encoded) == Self.goldenChunk)
        #expect(
            Hex.encode(
                AppliedPosition(
                    index: LogIndex(1), term: Term(2), time: Timestamp(milliseconds: 3),
                    digest: 4
                ).encoded) == "01" + "0100000000000000" + "0200000000000000" + "0300000000000000"
                + "0400000000000000")
    }

    private static let goldenEntry = [
        // format, timestamp, one command, its length
        "01" + "0200000000000000" + "01000000" + "81000000",
        // format, identity: session, sequence, first unacknowledged
        "01" + "01" + "0700000000000000" + "0500000000000000" + "0400000000000000",
        // put: bucket, key, size, tag
        "06" + "06000000" + "70686f746f73" + "01000000" + "61" + "0300000000000000",
        "05000000" + "7461672d31",
        // no sha256, no checksums, no content type, no headers, no metadata
        "00" + "00000000" + "00" + "00000000" + "00000000",
        // content: layout, bucket's version, no new chunk, format, inline, name, three bytes
        "0100000000000000" + "0000030000000000" + "00" + "01" + "01" + "0900000000000000"
            + "0100000000000000",
        "03000000" + "010203",
        // no fingerprints, no shared chunks
        "00000000" + "00000000",
        // if it matches
        "03" + "01000000" + "74",
    ].joined()

    private static let goldenHead = [
        "01" + "0200010000000000" + "0300000000000000" + "01" + "0100010000000000",
        "0400000000000000" + "0500000000000000" + "01000000" + "65" + "00" + "00000000",
        "00" + "00000000" + "00000000",
    ].joined()

    private static let goldenBucket = [
        "01" + "06000000" + "70686f746f73" + "0100010000000000" + "05000000" + "616c696365",
        "0500000000000000" + "02000000" + "0102",
        // links: epoch, revision, none revoked
        "0100010000000000" + "0100010000000000" + "00000000",
    ].joined()

    private static let goldenChunk = [
        "01" + "02" + "0500000000000000" + "0600000000000000",
        "02000000" + "0300000000000000" + "01" + "04000000" + "01" + "07000000",
        "0800000000000000",
        // no fingerprint
        "00",
    ].joined()
}
