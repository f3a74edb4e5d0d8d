import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing
import Wire

@Suite struct UploadTests {
    // What tests speak of.

    static let upload = UploadName(bucket: photos, id: UploadID(rawValue: 262_144))
    static let doomed = DoomedManifest(
        doomed: Timestamp(milliseconds: 3), bucket: photos, manifest: ManifestID(rawValue: 4))
    static let opened = Upload(
        id: UploadID(rawValue: 5), key: key("u"), sealedFor: VersionID(rawValue: 6),
        opened: Timestamp(milliseconds: 7), attributes: ObjectAttributes(contentType: "t"),
        checksum: UploadChecksum(algorithm: .crc32, kind: .fullObject), isImplicit: false)
    static let progress = UploadProgress(revision: 8, touched: Timestamp(milliseconds: 9))
    static let completed = CompletedUpload(
        key: key("u"), version: VersionID(rawValue: 1), completed: Timestamp(milliseconds: 2),
        size: 3, entityTag: tag("e"), sha256: nil, checksums: [])
    static let parts = [
        part(2, .chunks([chunk(1)])),
        part(7, .manifest(ManifestID(rawValue: 3))),
    ]

    static func part(_ number: Int, _ content: PartContent) -> ManifestPart {
        ManifestPart(
            number: unwrap(PartNumber(number)), size: 100, entityTag: tag("p"), sha256: nil,
            checksums: [], modified: Timestamp(milliseconds: 5), content: content)
    }

    static func table(_ parts: [(Int, UInt64)]) -> PartTable {
        var table = PartTable()
        for (number, size) in parts {
            invariant(
                table.append(unwrap(PartNumber(number)), sizeBytes: size), "parts ascend")
        }
        return table
    }

    static func set(_ numbers: [Int]) -> PartSet {
        var set = PartSet()
        for number in numbers {
            invariant(set.append(unwrap(PartNumber(number))), "parts ascend")
        }
        return set
    }

    static func putPart(
        _ upload: UploadName, _ number: Int, _ chunks: [ChunkReference], tag name: String = "p"
    ) -> CatalogOperation {
        .putPart(
            PutPart(
                upload: upload, number: unwrap(PartNumber(number)),
                size: chunks.reduce(0) { $0 + UInt64($1.plainLength) }, entityTag: tag(name),
                source: .content(
                    ObjectContent(
                        .chunks(chunks), placedBy: LayoutVersion(1), sealedFor: photosVersion,
                        oldestSealed: lately))))
    }

    private func open(
        _ group: CatalogGroup, _ text: String = "big", isImplicit: Bool = false
    ) throws -> UploadName {
        let open = OpenUpload(
            bucket: photos, key: key(text), sealedFor: photosVersion,
            attributes: ObjectAttributes(contentType: "video/mp4"), isImplicit: isImplicit)
        guard case .uploadOpened(let id) = try group.send(.openUpload(open)) else {
            Issue.record("an upload was not opened")
            return Self.upload
        }
        return UploadName(bucket: photos, id: id)
    }

    private func complete(
        _ name: UploadName, _ text: String = "big", revision: UInt64, _ parts: [(Int, UInt64)],
        leftOut: [Int] = [], if precondition: ObjectPrecondition = .none
    ) -> CatalogOperation {
        .completeUpload(
            CompleteUpload(
                upload: name, key: key(text), revision: revision, parts: Self.table(parts),
                leftOut: Self.set(leftOut), entityTag: tag("whole"), precondition: precondition))
    }

    private func references(_ group: CatalogGroup, _ number: UInt64) throws -> UInt64? {
        try group.view.chunk(chunk(number).name, in: photos.slot)?.references
    }

    // The stories.

    @Test
    func `parts in any order become an object, with the attributes the upload was opened with`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        try group.send(Self.putPart(name, 2, [chunk(3)]))
        try group.send(Self.putPart(name, 1, [chunk(1), chunk(2)]))
        #expect(try group.view.head(key("big"), in: photos) == nil)

        let result = try group.send(self.complete(name, revision: 2, [(1, 200), (2, 100)]))
        let version = VersionID(index: group.index, ordinal: 0)
        #expect(result == .stored(version, at: group.time))
        let head = unwrap(try group.view.head(key("big"), in: photos))
        #expect(head.size == 300)
        #expect(head.attributes.contentType == "video/mp4")
        #expect(head.entityTag == tag("whole"))
        #expect(
            try group.chunks(of: head.manifest, in: photos) == [chunk(1), chunk(2), chunk(3)])
        #expect(try group.view.uploads(ListUploads(bucket: photos)).uploads.isEmpty)
    }

    @Test func `completing changes as many rows for a thousand parts as for one`() throws {
        func changes(partCount: Int) throws -> Int {
            let group = try CatalogGroup.withBucket()
            let name = try self.open(group)
            for first in stride(from: 1, through: partCount, by: 1_000) {
                try group.apply(
                    (first...min(first + 999, partCount)).map {
                        group.command(Self.putPart(name, $0, [chunk(UInt64($0))]))
                    })
            }
            let applied = try group.apply([
                group.command(
                    self.complete(
                        name, revision: UInt64(partCount), (1...partCount).map { ($0, 100) }))
            ])
            #expect(
                applied.results == [
                    .stored(VersionID(index: group.index, ordinal: 0), at: group.time)
                ])
            return applied.batch.changes.count
        }
        #expect(try changes(partCount: 1_000) == changes(partCount: 1))
    }

    @Test func `a part that comes again takes the place of the first, whose chunks are released`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        try group.send(Self.putPart(name, 1, [chunk(1), chunk(2)]))
        #expect(
            try group.send(Self.putPart(name, 1, [chunk(2)]))
                == .partStored(revision: 2, at: group.time))
        #expect(try self.references(group, 1) == 0)
        #expect(try self.references(group, 2) == 1)
    }

    @Test func `completing is refused when a part came after the edge had read them`() throws {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        try group.send(Self.putPart(name, 1, [chunk(1)]))
        let late = self.complete(name, revision: 1, [(1, 100)])
        try group.send(Self.putPart(name, 1, [chunk(2)]))
        #expect(try group.send(late) == .uploadChanged(revision: 2))
        #expect(try group.view.head(key("big"), in: photos) == nil)
        #expect(try group.view.upload(name) != nil)
    }

    @Test func `parts that completing leaves out are released piece by piece`() throws {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        for number in 1...40 {
            try group.send(Self.putPart(name, number, [chunk(UInt64(number))]))
        }
        try group.send(
            self.complete(name, revision: 40, [(40, 100)], leftOut: Array(1...39)))
        let doomed = unwrap(try group.view.doomedManifests(before: group.time, limit: 5).first)
        #expect(
            try group.apply(operation: .sweepManifest(doomed)) == .manifestSwept(isDone: false))
        #expect(try self.references(group, 16) == 0)
        #expect(try self.references(group, 17) == 1)
        try group.sweep()
        #expect(try self.references(group, 39) == 0)
        #expect(try self.references(group, 40) == 1)
        #expect(
            try group.apply(operation: .sweepManifest(doomed)) == .manifestSwept(isDone: true))
    }

    @Test func `an object in parts goes in one step, and its parts afterwards`() throws {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        for number in 1...40 {
            try group.send(Self.putPart(name, number, [chunk(UInt64(number))]))
        }
        try group.send(self.complete(name, revision: 40, (1...40).map { ($0, 100) }))
        let head = unwrap(try group.view.head(key("big"), in: photos))
        try group.send(copy("big", head.version, to: "other"))
        try group.send(delete("big"))
        #expect(try group.view.doomedManifests(before: group.time, limit: 5).isEmpty)
        try group.send(put("other"))
        #expect(try group.view.manifest(head.manifest, in: photos) == nil)
        #expect(try self.references(group, 40) == 1)
        try group.sweep()
        #expect(try self.references(group, 40) == 0)
        #expect(
            try group.view.parts(of: head.manifest, in: photos, from: .least, limit: 5).isEmpty)
    }

    @Test func `completing again answers what the first time came to, for a day`() throws {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        try group.send(Self.putPart(name, 1, [chunk(1)]))
        let complete = self.complete(name, revision: 1, [(1, 100)])
        guard case .stored(let version, let time) = try group.send(complete) else {
            Issue.record("not completed")
            return
        }
        #expect(try group.send(complete) == .uploadCompletedBefore(version, at: time))
        #expect(
            try group.send(self.complete(name, "other", revision: 1, [(1, 100)]))
                == .noSuchUpload)
        #expect(
            try group.view.answer(.upload(name))
                == .completedUpload(
                    CompletedUpload(
                        key: key("big"), version: version, completed: time, size: 100,
                        entityTag: tag("whole"), sha256: nil, checksums: [])))
        #expect(try group.send(Self.putPart(name, 2, [chunk(2)])) == .noSuchUpload)
        group.pass(CatalogLimits.completedUploadLifetime)
        try group.open(client)
        _ = try self.open(group)
        #expect(try group.send(complete) == .noSuchUpload)
    }

    @Test func `completing under a condition that does not hold leaves the upload as it was`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        try group.send(put("big"))
        try group.send(Self.putPart(name, 1, [chunk(1)]))
        #expect(
            try group.send(self.complete(name, revision: 1, [(1, 100)], if: .absent))
                == .preconditionFailed)
        try group.send(delete("big"))
        guard
            case .stored = try group.send(
                self.complete(name, revision: 1, [(1, 100)], if: .absent))
        else {
            Issue.record("not completed")
            return
        }
    }

    @Test func `an implicit upload becomes one part of another, and goes with it`() throws {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        let inner = try self.open(group, isImplicit: true)
        try group.send(Self.putPart(inner, 1, [chunk(1)]))
        try group.send(Self.putPart(inner, 2, [chunk(2)]))
        #expect(try group.view.uploads(ListUploads(bucket: photos)).uploads.map(\.id) == [name.id])
        func put(into outer: UploadName, _ id: UploadID, revision: UInt64) -> CatalogOperation {
            .putPart(
                PutPart(
                    upload: outer, number: .least, size: 200, entityTag: tag("p"),
                    source: .upload(id, revision: revision, Self.table([(1, 100), (2, 100)]))))
        }
        #expect(
            try group.send(put(into: name, inner.id, revision: 1)) == .uploadChanged(revision: 2))
        #expect(try group.send(put(into: inner, inner.id, revision: 2)) == .malformed)
        #expect(try group.send(put(into: name, name.id, revision: 0)) == .noSuchUpload)
        try group.send(put(into: name, inner.id, revision: 2))
        try group.send(self.complete(name, revision: 1, [(1, 200)]))
        let head = unwrap(try group.view.head(key("big"), in: photos))
        #expect(try group.chunks(of: head.manifest, in: photos) == [chunk(1), chunk(2)])
        try group.send(delete("big"))
        try group.sweep()
        #expect(try self.references(group, 2) == 0)
    }

    @Test func `an upload that nobody goes on with is found and aborted, one that lives is not`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let silent = try self.open(group, "silent")
        let alive = try self.open(group, "alive")
        try group.send(Self.putPart(silent, 1, [chunk(1)]))
        group.pass(.seconds(7 * 86_400))
        try group.open(client)
        let bound = group.time + .seconds(-86_400)
        let found = try group.view.abandonedUploads(untouchedSince: bound, limit: 5)
        #expect(found == [silent, alive])
        try group.send(Self.putPart(alive, 1, [chunk(2)]))
        #expect(try group.view.abandonedUploads(untouchedSince: bound, limit: 5) == [silent])
        for name in found {
            let abort = AbortUpload(upload: name, untouchedSince: bound)
            #expect(
                try group.apply(operation: .abortUpload(abort))
                    == (name == silent ? .uploadAborted : .uploadActive))
        }
        try group.sweep()
        #expect(try self.references(group, 1) == 0)
        #expect(try self.references(group, 2) == 1)
        #expect(
            try group.apply(operation: .abortUpload(AbortUpload(upload: silent))) == .noSuchUpload)
    }

    @Test func `a bucket ends with its uploads, and another of its name knows nothing of them`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let name = try self.open(group)
        try group.send(Self.putPart(name, 1, [chunk(1)]))
        #expect(try group.send(.deleteBucket(photos)) == .bucketDeleted)
        #expect(try group.send(.createBucket(create(photos))) == .bucketCreated)
        #expect(try group.send(Self.putPart(name, 2, [chunk(2)])) == .noSuchUpload)
        #expect(try group.view.uploads(ListUploads(bucket: photos)).uploads.isEmpty)
        try group.sweep()
        #expect(try self.references(group, 1) == 0)
    }

    @Test func `listings show uploads by key and age, roll up prefixes and go on where they ended`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        for text in ["b/2", "a", "b/1", "c", "a", "b"] { _ = try self.open(group, text) }
        func pages(limit: Int, delimiter: String) throws -> [[String]] {
            var pages: [[String]] = []
            var start = UploadListStart.beginning
            while true {
                let page = try group.view.uploads(
                    ListUploads(
                        bucket: photos, delimiter: Array(delimiter.utf8), start: start,
                        limit: limit))
                pages.append(
                    page.uploads.map(\.key.description)
                        + page.commonPrefixes.map { String(decoding: $0, as: UTF8.self) })
                guard let next = page.next else { return pages }
                start = next
            }
        }
        #expect(try pages(limit: 10, delimiter: "") == [["a", "a", "b", "b/1", "b/2", "c"]])
        #expect(try pages(limit: 10, delimiter: "/") == [["a", "a", "b", "c", "b/"]])
        #expect(try pages(limit: 1, delimiter: "/") == [["a"], ["a"], ["b"], ["b/"], ["c"]])
        let behind = try group.view.uploads(
            ListUploads(bucket: photos, start: .afterKey(Array("a".utf8)), limit: 2))
        #expect(behind.uploads.map(\.key) == [key("b"), key("b/1")])
        let within = try group.view.uploads(
            ListUploads(bucket: photos, prefix: Array("b/".utf8), limit: 5))
        #expect(within.uploads.map(\.key) == [key("b/1"), key("b/2")])
        let marker = try group.view.uploads(
            ListUploads(
                bucket: photos, prefix: Array("b/".utf8), start: .afterKey(Array("a".utf8))))
        #expect(marker.uploads.map(\.key) == [key("b/1"), key("b/2")])
    }

    @Test func `a chunk is shared by its fingerprint only while it is there`() throws {
        let group = try CatalogGroup.withBucket()
        let fingerprint = RandomOperations.fingerprints[1]
        func put(_ text: String, _ deduplication: Deduplication) -> CatalogOperation {
            .putObject(
                PutObject(
                    bucket: photos, key: key(text), size: 100, entityTag: tag("e"),
                    content: ObjectContent(
                        .chunks([chunk(1)]), placedBy: LayoutVersion(1), sealedFor: photosVersion,
                        oldestSealed: lately,
                        deduplication: deduplication)))
        }
        #expect(
            try group.send(put("b", Deduplication(shared: [0]))) == .chunkCondemned(chunk(1).name))
        #expect(try group.view.chunk(chunk(1).name, in: photos.slot) == nil)
        let entry = Deduplication.Entry(position: 0, fingerprint: fingerprint)
        try group.send(put("a", Deduplication(entries: [entry])))
        #expect(
            try group.view.answer(
                .deduplicated(photos, [RandomOperations.fingerprints[2], fingerprint]))
                == .deduplicated([nil, chunk(1)]))
        try group.send(put("b", Deduplication(shared: [0])))
        #expect(try self.references(group, 1) == 2)
        try group.send(delete("a"))
        try group.send(delete("b"))
        #expect(try group.view.chunk(fingerprint, in: photos.slot) == nil)
    }
}
