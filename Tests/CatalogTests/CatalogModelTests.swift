import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing
import Wire

@Suite struct CatalogModelTests {
    private let names = ["alpha", "beta", "gamma"].map { bucketName($0) }
    private let keys = ["a", "b", "b/1", "b/2", "c"].map { key($0) }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `thousands of random commands, repeats among them, come to what plain dictionaries say`(
        seed: UInt64
    ) throws {
        var source = RandomOperations(
            buckets: self.names, keys: self.keys, random: SeededGenerator(seed: seed))
        var model = CatalogModel()
        let group = CatalogGroup()
        try group.own(self.names.map(\.slot))
        try group.open(client)
        var sent: [(command: CatalogCommand, result: CommandResult)] = []
        for round in 0..<600 {
            group.pass(.milliseconds(source.number(-5...50)))
            var commands: [CatalogCommand] = []
            var repeated: [CommandResult?] = []
            for _ in 0..<source.number(1...6) {
                if source.once(in: 4), !sent.isEmpty {
                    let old = source.one(of: Array(sent.suffix(50)))
                    commands.append(old.command)
                    repeated.append(old.result)
                } else {
                    commands.append(group.command(source.operation(model)))
                    repeated.append(nil)
                }
            }
            let applied = try group.apply(commands)
            for (position, result) in applied.results.enumerated() {
                let command = commands[position]
                if let repeated = repeated[position] {
                    #expect(result == repeated)
                    continue
                }
                sent.append((command, result))
                let expected = model.carryOut(
                    command.operation,
                    as: VersionID(index: group.index, ordinal: position),
                    at: applied.position.time)
                #expect(result == expected, "\(command.operation)")
            }
            if round % 20 == 0 { try self.compare(group, with: model) }
        }
        try self.compare(group, with: model)
        self.expectAllMet(sent.map(\.result))
    }

    /// What never happened was never compared.
    private func expectAllMet(_ results: [CommandResult]) {
        #expect(results.contains(.bucketReplaced))
        #expect(results.contains(.bucketDeleted))
        #expect(results.contains(.sourceChanged))
        #expect(results.contains(.uploadAborted))
        #expect(results.contains(.noSuchUpload))
        #expect(results.contains(.malformed), "an implicit upload inside an implicit one")
        #expect(results.contains { if case .uploadChanged = $0 { true } else { false } })
        #expect(results.contains { if case .uploadCompletedBefore = $0 { true } else { false } })
        #expect(results.contains { if case .chunkCondemned = $0 { true } else { false } })
    }

    private func compare(_ group: CatalogGroup, with model: CatalogModel) throws {
        try group.sweep()
        for bucket in self.names {
            let present = try group.view.bucket(bucket)
            #expect(present?.owner == model.buckets[bucket]?.owner)
            #expect(present?.version == model.buckets[bucket]?.version)
            try self.compareObjects(of: bucket, group, with: model)
            try self.compareUploads(of: bucket, group, with: model)
            try self.compareChunks(of: bucket, group, with: model)
        }
        #expect(try group.audit(ReferenceSums()).differing == [])
    }

    private func compareObjects(
        of bucket: BucketName, _ group: CatalogGroup, with model: CatalogModel
    ) throws {
        let objects = model.objects[bucket, default: [:]]
        let listed = try group.view.objects(ListObjects(bucket: bucket)).objects
        #expect(listed.map(\.key) == objects.keys.sorted())
        for object in listed {
            let head = unwrap(try group.view.head(object.key, in: bucket))
            let expected = unwrap(objects[object.key])
            #expect(head.entityTag == expected.tag)
            #expect(head.version == expected.version)
            #expect(head.sealedFor == model.buckets[bucket]?.version)
            let chunks = try group.chunks(of: head.manifest, in: bucket)
            #expect(chunks == model.contents[expected.content])
            #expect(head.size == chunks.reduce(0) { $0 + UInt64($1.plainLength) })
        }
    }

    private func compareUploads(
        of bucket: BucketName, _ group: CatalogGroup, with model: CatalogModel
    ) throws {
        let open = model.uploads.filter { $0.key.bucket == bucket }
        let shown = open.filter { !$0.value.isImplicit }
            .map { (key: $0.value.key, id: $0.key.id) }
            .sorted { ($0.key, $0.id) < ($1.key, $1.id) }
        let listed = try group.view.uploads(ListUploads(bucket: bucket)).uploads
        #expect(listed.map(\.key) == shown.map(\.key))
        #expect(listed.map(\.id) == shown.map(\.id))
        for (name, upload) in open {
            let page = unwrap(try group.view.parts(of: name, after: nil, limit: 100))
            #expect(page.revision == upload.revision)
            #expect(page.parts.map(\.number) == upload.parts.keys.sorted())
            for part in page.parts {
                #expect(part.entityTag == upload.parts[part.number]?.tag)
                #expect(part.size == upload.parts[part.number]?.size)
            }
        }
    }

    private func compareChunks(
        of bucket: BucketName, _ group: CatalogGroup, with model: CatalogModel
    ) throws {
        let references = model.chunkReferences(in: bucket)
        for number in RandomOperations.chunkNumbers {
            let name = chunk(number).name
            let row = try group.view.chunk(name, in: bucket.slot)
            #expect((row?.references ?? 0) == (references[name] ?? 0))
            #expect((row != nil) == (model.chunks[bucket.slot]?[name] != nil))
            switch row?.life {
            case nil, .referenced: break
            case .unreferenced: #expect(row?.references == 0)
            case .condemned, .authorised, .deleted: Issue.record("nobody condemned \(name)")
            }
        }
        for fingerprint in RandomOperations.fingerprints {
            let name = model.fingerprints[bucket.slot]?[fingerprint]
            let isFound = name.map { (references[$0] ?? 0) > 0 } ?? false
            #expect(
                try group.view.chunk(fingerprint, in: bucket.slot)?.name == (isFound ? name : nil))
        }
    }

    @Test func `the same entries make the same batches, byte for byte`() throws {
        var source = RandomOperations(
            buckets: self.names, keys: self.keys, random: SeededGenerator(seed: 4))
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
        var model = CatalogModel()
        for payload in payloads {
            let one = try first.apply(payload: payload)
            #expect(try second.apply(payload: payload) == one)
        }
        for round in 0..<200 {
            let commands = (0..<10).map { position in
                let sequence = 2 << 20 + UInt64(round * 10 + position)
                return CatalogCommand(
                    identity: CommandIdentity(
                        session: source.one(of: sessions),
                        sequence: sequence, firstUnacknowledged: sequence),
                    operation: source.operation(model))
            }
            let payload = CatalogEntry(
                timestamp: Timestamp(milliseconds: Int64(2_000_000 + round * 7_000)),
                commands: commands
            ).encoded
            let one = try first.apply(payload: payload)
            #expect(try second.apply(payload: payload) == one)
            for (position, command) in commands.enumerated() {
                _ = model.carryOut(
                    command.operation,
                    as: VersionID(index: first.index, ordinal: position), at: one.position.time)
            }
        }
    }
}
