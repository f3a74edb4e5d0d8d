import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing
import Wire

/// The catalog in the simplest words: dictionaries, and no thought for the disk.
private struct Model {
    struct Object: Equatable {
        let tag: EntityTag
        let content: Int
    }

    struct Bucket: Equatable {
        let owner: OwnerID
        let version: VersionID
    }

    var buckets: [BucketName: Bucket] = [:]
    /// The versions that buckets of a name ever had.
    var bucketVersions: [BucketName: [VersionID]] = [:]
    var objects: [BucketName: [ObjectKey: Object]] = [:]
    /// The chunks of each content ever put, by its number.
    var contents: [[ChunkReference]] = []

    /// What the operation comes to, with the version left out; `version` is that of what it makes.
    mutating func carryOut(
        _ operation: CatalogOperation, content: Int, as version: VersionID
    ) -> Outcome {
        switch operation {
        case .createBucket(let create):
            if let present = self.buckets[create.name] {
                return .result(
                    present.owner == create.owner ? .bucketAlreadyOwned : .bucketTaken)
            }
            self.buckets[create.name] = Bucket(owner: create.owner, version: version)
            self.bucketVersions[create.name, default: []].append(version)
            return .result(.bucketCreated)
        case .deleteBucket(let name):
            guard self.buckets[name] != nil else { return .result(.noSuchBucket) }
            guard self.objects[name, default: [:]].isEmpty else { return .result(.bucketNotEmpty) }
            self.buckets[name] = nil
            return .result(.bucketDeleted)
        case .putObject(let put):
            guard let bucket = self.buckets[put.bucket] else { return .result(.noSuchBucket) }
            if case .new(_, _, let sealedFor) = put.content, sealedFor != bucket.version {
                return .result(.bucketReplaced)
            }
            let current = self.objects[put.bucket]?[put.key]
            if let refusal = Self.refusal(put.precondition, current) { return .result(refusal) }
            self.objects[put.bucket, default: [:]][put.key] = Object(
                tag: put.entityTag, content: content)
            return .stored
        case .deleteObject(let delete):
            guard self.buckets[delete.bucket] != nil else { return .result(.noSuchBucket) }
            let current = self.objects[delete.bucket]?[delete.key]
            if let refusal = Self.refusal(delete.precondition, current) { return .result(refusal) }
            self.objects[delete.bucket]?[delete.key] = nil
            return .result(.objectDeleted(existed: current != nil))
        case .unreadable, .openSession, .adoptSlots, .releaseSlots, .createAccessKey,
            .deleteAccessKey, .condemnChunks, .authoriseDeletions, .confirmDeletions,
            .forgetChunks, .fileBadCopy, .correctReferences, .bootstrap, .finishBootstrap,
            .registerNode, .allocateIncarnation,
            .setLayout, .setGroupTable, .addLinkKey, .removeLinkKey:
            brokenInvariant("the model knows buckets and objects")
        }
    }

    enum Outcome: Equatable {
        case result(CommandResult)
        case stored
    }

    private static func refusal(
        _ condition: ObjectPrecondition, _ current: Object?
    ) -> CommandResult? {
        switch (condition, current) {
        case (.none, _), (.absent, nil), (.present, .some): nil
        case (.absent, .some): .preconditionFailed
        case (.present, nil), (.matches, nil): .noSuchKey
        case (.matches(let tag), .some(let object)): object.tag == tag ? nil : .preconditionFailed
        }
    }

    /// How many manifests of living objects name each chunk of a bucket.
    func chunkReferences(in bucket: BucketName) -> [ChunkName: UInt64] {
        var references: [ChunkName: UInt64] = [:]
        // A content that several keys share is one manifest.
        for content in Set(self.objects[bucket, default: [:]].values.map(\.content)) {
            for chunk in self.contents[content] { references[chunk.name, default: 0] += 1 }
        }
        return references
    }
}

@Suite struct CatalogModelTests {
    private let names = ["alpha", "beta", "gamma"].map { bucketName($0) }
    private let keys = ["a", "b", "b/1", "b/2", "c"].map { key($0) }

    /// A random operation, and the number of the content it stores.
    private func operation(
        _ model: inout Model, _ view: CatalogView, using random: inout SeededGenerator
    ) throws -> (CatalogOperation, Int) {
        let bucket = unwrap(self.names.randomElement(using: &random))
        let key = unwrap(self.keys.randomElement(using: &random))
        let tags = ["t1", "t2", "t3"].map { tag($0) }
        let newTag = unwrap(tags.randomElement(using: &random))
        let conditions: [ObjectPrecondition] = [
            .none, .none, .none, .absent, .present, .matches(newTag),
        ]
        let condition = unwrap(conditions.randomElement(using: &random))
        switch Int.random(in: 0..<20, using: &random) {
        case 0, 1:
            return (
                .createBucket(create(bucket, owner: Bool.random(using: &random) ? alice : bob)), 0
            )
        case 2: return (.deleteBucket(bucket), 0)
        case 3...8:
            return (
                .deleteObject(DeleteObject(bucket: bucket, key: key, precondition: condition)), 0
            )
        case 9, 10:
            // A copy of what a key holds as the entry begins, which may be gone when it is applied.
            let source = unwrap(self.keys.randomElement(using: &random))
            guard let head = try view.head(source, in: bucket),
                let object = model.objects[bucket]?[source]
            else { return (.deleteBucket(bucket), 0) }
            let put = PutObject(
                bucket: bucket, key: key, size: head.size, entityTag: newTag,
                content: .existing(head.manifest), precondition: condition)
            return (.putObject(put), object.content)
        default:
            // Now and then a chunk that other objects name too, as dedupe does.
            let chunks = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                chunk(.random(in: 0..<200, using: &random))
            }
            model.contents.append(chunks)
            // Mostly what the bucket is as the entry begins, now and then what it was before.
            let past = model.bucketVersions[bucket, default: []].randomElement(using: &random)
            let present = try view.bucket(bucket)?.version
            let version = Int.random(in: 0..<10, using: &random) == 0 ? past : present ?? past
            let put = PutObject(
                bucket: bucket, key: key, size: UInt64(chunks.count * 100), entityTag: newTag,
                content: .new(
                    .chunks(chunks), placedBy: LayoutVersion(1),
                    sealedFor: version ?? VersionID(rawValue: 0)),
                precondition: condition)
            return (.putObject(put), model.contents.count - 1)
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `thousands of random commands, repeats among them, come to what plain dictionaries say`(
        seed: UInt64
    ) throws {
        var random = SeededGenerator(seed: seed)
        var model = Model()
        let group = CatalogGroup()
        try group.own(self.names.map(\.slot))
        try group.open(client)
        var sent: [(command: CatalogCommand, result: CommandResult)] = []
        for round in 0..<600 {
            group.pass(.milliseconds(Int.random(in: -5...50, using: &random)))
            var commands: [CatalogCommand] = []
            var expected: [(repeated: CommandResult?, content: Int)] = []
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                if Int.random(in: 0..<4, using: &random) == 0,
                    let old = sent.suffix(50).randomElement(using: &random)
                {
                    commands.append(old.command)
                    expected.append((old.result, 0))
                } else {
                    let (operation, content) = try self.operation(
                        &model, group.view, using: &random)
                    commands.append(group.command(operation))
                    expected.append((nil, content))
                }
            }
            let applied = try group.apply(commands)
            for (position, result) in applied.results.enumerated() {
                let command = commands[position]
                if let repeated = expected[position].repeated {
                    #expect(result == repeated)
                    continue
                }
                sent.append((command, result))
                // Whether a manifest to share is still there is for the counts below to judge.
                if result == .noSuchManifest { continue }
                let outcome = model.carryOut(
                    command.operation, content: expected[position].content,
                    as: VersionID(index: group.index, ordinal: position))
                if case .stored = result {
                    #expect(outcome == .stored)
                } else {
                    #expect(outcome == .result(result))
                }
            }
            if round % 20 == 0 { try self.compare(group, with: model) }
        }
        try self.compare(group, with: model)
        #expect(sent.contains { $0.result == .bucketReplaced })
        #expect(sent.contains { $0.result == .bucketDeleted })
    }

    private func compare(_ group: CatalogGroup, with model: Model) throws {
        for bucket in self.names {
            let present = try group.view.bucket(bucket)
            #expect(present?.owner == model.buckets[bucket]?.owner)
            #expect(present?.version == model.buckets[bucket]?.version)
            let objects = model.objects[bucket, default: [:]]
            let listed = try group.view.objects(ListObjects(bucket: bucket)).objects
            #expect(listed.map(\.key) == objects.keys.sorted())
            for object in listed {
                let head = unwrap(try group.view.head(object.key, in: bucket))
                let expected = unwrap(objects[object.key])
                #expect(head.entityTag == expected.tag)
                #expect(head.sealedFor == model.buckets[bucket]?.version)
                #expect(
                    try group.view.manifest(head.manifest, in: bucket)
                        == .chunks(model.contents[expected.content]))
            }
            let references = model.chunkReferences(in: bucket)
            for counter in 0..<200 as Range<UInt64> {
                let name = chunk(counter).name
                let row = try group.view.chunk(name, in: bucket.slot)
                #expect((row?.references ?? 0) == (references[name] ?? 0))
                if let row {
                    guard case .unreferenced = row.life else {
                        #expect(row.references > 0)
                        continue
                    }
                    #expect(row.references == 0)
                }
            }
        }
    }

    @Test func `the same entries make the same batches, byte for byte`() throws {
        var random = SeededGenerator(seed: 4)
        let first = CatalogGroup()
        let second = CatalogGroup()
        var payloads: [[UInt8]] = [
            CatalogEntry(
                timestamp: first.time,
                commands: self.names.map { name in
                    CatalogCommand(
                        operation: .adoptSlots(
                            AdoptSlots(
                                slots: SlotRange(first: name.slot, last: name.slot),
                                epoch: Epoch(1))))
                }
            ).encoded
        ]
        let sessions = (1...20).map { SessionID(UInt64($0)) }
        payloads.append(
            CatalogEntry(
                timestamp: first.time,
                commands: sessions.map { CatalogCommand(operation: .openSession($0)) }
            ).encoded)
        var model = Model()
        for round in 0..<200 {
            let commands = try (0..<10).map { position in
                let sequence = 2 << 20 + UInt64(round * 10 + position)
                return CatalogCommand(
                    identity: CommandIdentity(
                        session: unwrap(sessions.randomElement(using: &random)),
                        sequence: sequence, firstUnacknowledged: sequence),
                    operation: try self.operation(&model, first.view, using: &random).0)
            }
            payloads.append(
                CatalogEntry(
                    timestamp: Timestamp(milliseconds: Int64(2_000_000 + round * 7_000)),
                    commands: commands
                ).encoded)
        }
        for payload in payloads {
            let one = try first.apply(payload: payload)
            let other = try second.apply(payload: payload)
            #expect(one == other)
        }
    }
}
