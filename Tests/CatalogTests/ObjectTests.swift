import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing
import Wire

@Suite struct ObjectTests {
    struct Condition: Sendable, CustomTestStringConvertible {
        let exists: Bool
        let condition: ObjectPrecondition
        /// Nil: it is carried out.
        let refusal: CommandResult?
        var testDescription: String { "exists \(self.exists), \(self.condition)" }
    }

    static let conditions = [
        Condition(exists: false, condition: .none, refusal: nil),
        Condition(exists: false, condition: .absent, refusal: nil),
        Condition(exists: false, condition: .present, refusal: .noSuchKey),
        Condition(exists: false, condition: .matches(tag("tag-1")), refusal: .noSuchKey),
        Condition(exists: true, condition: .none, refusal: nil),
        Condition(exists: true, condition: .absent, refusal: .preconditionFailed),
        Condition(exists: true, condition: .present, refusal: nil),
        Condition(exists: true, condition: .matches(tag("tag-1")), refusal: nil),
        Condition(exists: true, condition: .matches(tag("tag-2")), refusal: .preconditionFailed),
    ]

    @Test(arguments: conditions)
    func `a condition is decided against the current version`(_ row: Condition) throws {
        for operation in [
            put("a", tag: "tag-3", if: row.condition), delete("a", if: row.condition),
        ] {
            let group = try CatalogGroup.withBucket()
            if row.exists { try group.send(put("a", tag: "tag-1")) }
            let before = try group.view.head(key("a"), in: photos)
            let result = try group.send(operation)
            if let refusal = row.refusal {
                #expect(result == refusal)
                #expect(try group.view.head(key("a"), in: photos) == before)
            } else {
                #expect(result != .noSuchKey && result != .preconditionFailed)
                #expect(
                    try group.view.head(key("a"), in: photos) != before
                        || result == .objectDeleted(existed: false))
            }
        }
    }

    @Test func `of many who create the same key in one entry the first wins`() throws {
        let group = try CatalogGroup.withBucket()
        let commands = (0..<5).map { group.command(put("lock", tag: "t\($0)", if: .absent)) }
        let results = try group.apply(commands).results
        #expect(results.dropFirst().allSatisfy { $0 == .preconditionFailed })
        #expect(try group.view.head(key("lock"), in: photos)?.entityTag == tag("t0"))
    }

    @Test func `what is stored is what was said`() throws {
        let group = try CatalogGroup.withBucket()
        let put = PutObject(
            bucket: photos, key: key("a"), size: 3, entityTag: tag("e"),
            sha256: Array(repeating: 5, count: 32),
            checksums: [ObjectChecksum(algorithm: .crc32c, value: [1, 2, 3, 4])],
            attributes: ObjectAttributes(
                contentType: "text/plain",
                headers: [ObjectField(name: "cache-control", value: "no-cache")],
                metadata: [ObjectField(name: "mtime", value: "1.5")]),
            content: ObjectContent(
                .inline(name: ChunkName(incarnation: 1, counter: 2), sealed: [9, 9]),
                placedBy: LayoutVersion(1), sealedFor: photosVersion))
        let result = try group.send(.putObject(put))
        let version = VersionID(index: group.index, ordinal: 0)
        #expect(result == .stored(version, at: group.time))
        let head = ObjectHead(
            version: version, manifest: ManifestID(rawValue: version.rawValue),
            isInline: true, sealedFor: photosVersion, size: 3, modified: group.time,
            entityTag: put.entityTag,
            sha256: put.sha256,
            checksums: put.checksums, attributes: put.attributes)
        #expect(
            try group.view.answer(.object(photos, key("a"), withManifest: true))
                == .object(
                    head, .inline(name: ChunkName(incarnation: 1, counter: 2), sealed: [9, 9])))
    }

    @Test func `an overwritten object lets go of its chunks, whose rows stay`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1), chunk(2, exceptions: [NodeID(4)])]))
        #expect(
            try group.view.chunk(chunk(2).name, in: photos.slot)
                == ChunkRow(
                    life: .referenced(1), sealedLength: 116, placedBy: LayoutVersion(1),
                    exceptions: [NodeID(4)]))
        let old = unwrap(try group.view.head(key("a"), in: photos)).manifest
        try group.send(put("a"))
        #expect(try group.view.manifest(old, in: photos) == nil)
        #expect(
            try group.view.chunk(chunk(1).name, in: photos.slot)
                == ChunkRow(
                    life: .unreferenced(.init(index: group.index, time: group.time)),
                    sealedLength: 116, placedBy: LayoutVersion(1), exceptions: []))
    }

    @Test func `a shared manifest stays until its last object goes`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a", chunks: [chunk(1)]))
        let source = unwrap(try group.view.head(key("a"), in: photos))
        let manifest = source.manifest
        for name in ["b", "c", "a"] { try group.send(copy("a", source.version, to: name)) }
        #expect(try group.view.references(to: manifest, in: photos) == 3)
        // Copied onto itself, it is another version, of the same bytes.
        #expect(try group.send(copy("a", source.version, to: "d")) == .sourceChanged)
        try group.send(delete("a"))
        try group.send(delete("b"))
        #expect(try group.view.references(to: manifest, in: photos) == 1)
        #expect(try group.view.chunk(chunk(1).name, in: photos.slot)?.life == .referenced(1))
        try group.send(put("c"))
        #expect(try group.view.manifest(manifest, in: photos) == nil)
        #expect(try group.view.chunk(chunk(1).name, in: photos.slot)?.references == 0)
    }

    @Test func `deleting what is not there is done`() throws {
        let group = try CatalogGroup.withBucket()
        #expect(try group.send(delete("a")) == .objectDeleted(existed: false))
        try group.send(put("a"))
        #expect(try group.send(delete("a")) == .objectDeleted(existed: true))
        #expect(try group.view.answer(.object(photos, key("a"), withManifest: false)) == .absent)
    }

    @Test func `versions grow within an entry and between entries`() throws {
        let group = try CatalogGroup.withBucket()
        var last = VersionID(rawValue: 0)
        for _ in 0..<10 {
            let commands = (0..<5).map { _ in group.command(put("a")) }
            for result in try group.apply(commands).results {
                guard case .stored(let version, _) = result else {
                    Issue.record("not stored: \(result)")
                    continue
                }
                #expect(version > last)
                last = version
            }
        }
    }

    @Test func `time never goes back, whatever a new leader's clock says`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(put("a"))
        group.pass(.seconds(-60))
        try group.send(put("b"))
        #expect(
            try group.view.head(key("b"), in: photos)?.modified
                == (try group.view.head(key("a"), in: photos)?.modified))
    }

    @Test func `an entry names what it changed, in order, and what it refused not`() throws {
        let group = try CatalogGroup.withBucket()
        try group.own([bucketName("docs").slot])
        let applied = try group.apply([
            group.command(put("b")), group.command(put("a", if: .present)),
            group.command(delete("b")), group.command(delete("c")),
            group.command(.createBucket(create(bucketName("docs")))),
        ])
        #expect(
            applied.invalidations == [
                .object(photos, key("b")), .object(photos, key("b")),
                .bucket(bucketName("docs")),
            ])
    }

    @Test func `one command that cannot be read spoils no other`() throws {
        let group = try CatalogGroup.withBucket()
        let good = group.command(put("a")).encoded
        let payload = CatalogEntry.payload(
            timestamp: group.time, commands: [[], [1, 0, 200], good, Array(good.dropLast())])
        let results = try group.apply(payload: payload).results
        #expect(
            results == [
                .malformed, .malformed,
                .stored(VersionID(index: group.index, ordinal: 2), at: group.time), .malformed,
            ])
    }

    @Test func `an entry without commands, or without sense, moves the applied position alone`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        for payload in [[], [250], CatalogEntry(timestamp: group.time, commands: []).encoded] {
            let applied = try group.apply(payload: payload)
            #expect(applied.results.isEmpty)
            #expect(applied.batch.changes.count == 1)
            #expect(try group.view.applied()?.index == group.index)
        }
    }
}
