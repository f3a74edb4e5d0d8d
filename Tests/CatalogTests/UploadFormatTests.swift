import Catalog
import Placement
import Primitives
import Testing
import Wire

@Suite struct UploadFormatTests {
    @Test func `the bytes of an upload's rows are these`() {
        let opened: [String] = [
            // format, identity, key, bucket's version, opened
            "01", "0500000000000000", "01000000", "75", "0600000000000000", "0700000000000000",
            // content type, no headers, no metadata
            "01", "01000000", "74", "00000000", "00000000",
            // CRC-32 of the full object, not implicit
            "01", "01", "02", "00",
        ]
        #expect(Hex.encode(UploadTests.opened.encoded) == opened.joined())
        let progress = "01" + "0800000000000000" + "0900000000000000"
        #expect(Hex.encode(UploadTests.progress.encoded) == progress)
        let completed: [String] = [
            "01", "01000000", "75", "0100000000000000", "0200000000000000",
            // size, tag, no SHA-256, no checksums
            "0300000000000000", "01000000", "65", "00", "00000000",
        ]
        #expect(Hex.encode(UploadTests.completed.encoded) == completed.joined())
    }

    @Test func `the bytes of a manifest in parts, and of its parts, are these`() {
        let root = Manifest.parts(UploadTests.table([(1, 5), (2, 5), (3, 4), (9, 4)]))
        let runs: [String] = [
            // format, parts, three runs: first number, count, size of each
            "01", "03", "03000000",
            "0100", "0200", "0500000000000000",
            "0300", "0100", "0400000000000000",
            "0900", "0100", "0400000000000000",
        ]
        #expect(Hex.encode(root.encoded) == runs.joined())
        func part(_ number: String, _ content: [String]) -> String {
            // format, part, number, size, tag, no SHA-256, no checksums, time
            let head: [String] = [
                "01", "10", number, "6400000000000000", "01000000", "70", "00", "00000000",
                "0500000000000000",
            ]
            return (head + content).joined()
        }
        let expected = [
            part(
                "0200",
                [
                    "01", "01000000", "0900000000000000", "0100000000000000", "64000000",
                    "74000000", "00",
                ]),
            part("0700", ["02", "0300000000000000"]),
        ]
        #expect(UploadTests.parts.map { Hex.encode($0.encoded) } == expected)
    }

    @Test func `a row of the family tells by itself what it is`() throws {
        let roots = [
            Manifest.chunks([chunk(1)]), .inline(name: chunk(2).name, sealed: [1]),
            .parts(UploadTests.table([(1, 5)])),
        ]
        for root in roots {
            #expect(try ManifestRow(decoding: root.encoded) == .root(root))
        }
        for part in UploadTests.parts {
            #expect(try ManifestRow(decoding: part.encoded) == .part(part))
        }
        #expect(ManifestRow.root(roots[0]).chunks == [chunk(1)])
        #expect(ManifestRow.part(UploadTests.parts[0]).chunks == [chunk(1)])
        #expect(ManifestRow.part(UploadTests.parts[1]).chunks.isEmpty)
    }

    @Test func `no bytes make a reader of rows trap, and what it reads writes back the same`() {
        var random = SeededGenerator(seed: 5)
        let samples =
            [
                UploadTests.opened.encoded, UploadTests.completed.encoded,
                Manifest.parts(UploadTests.table([(1, 5), (2, 5), (3, 4), (9, 4)])).encoded,
                UploadTests.set([1, 2, 5, 9]).encoded,
            ] + UploadTests.parts.map(\.encoded)
        for round in 0..<8_000 {
            var bytes = samples[round % samples.count]
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] =
                    Bool.random(using: &random) ? .random(in: 0...3, using: &random) : .max
            }
            if let row = try? ManifestRow(decoding: bytes) { #expect(row.encoded == bytes) }
            if let row = try? Upload(decoding: bytes) { #expect(row.encoded == bytes) }
            if let row = try? CompletedUpload(decoding: bytes) { #expect(row.encoded == bytes) }
            if let set = try? PartSet(decoding: bytes) { #expect(set.encoded == bytes) }
        }
    }

    @Test(arguments: [0, 1, 4, 5, 9, 10, 13, 14, 20])
    func `a position lies in the part that a walk over all parts finds`(position: UInt64) {
        let parts: [(Int, UInt64)] = [(1, 5), (2, 5), (3, 0), (4, 4), (9, 1)]
        var start: UInt64 = 0
        var expected: (Int, UInt64)?
        for (number, size) in parts {
            if position >= start, position < start + size { expected = (number, start) }
            start += size
        }
        let table = UploadTests.table(parts)
        #expect(table.sizeBytes == 15)
        #expect(table.partCount == 5)
        let found = table.part(at: position)
        #expect((found?.number).map { Int($0.rawValue) } == expected?.0)
        #expect(found?.start == expected?.1)
        if let found { #expect(table.part(found.number) == found) }
    }

    @Test func `parts that do not ascend, or are longer than an object, are no table`() {
        var table = UploadTests.table([(2, 5)])
        let before = table
        let refused = [
            table.append(unwrap(PartNumber(2)), sizeBytes: 5),
            table.append(unwrap(PartNumber(1)), sizeBytes: 5),
            table.append(.greatest, sizeBytes: CatalogLimits.objectBytes),
        ]
        #expect(refused == [false, false, false])
        #expect(table == before)
        #expect(PartNumber(0) == nil)
        #expect(PartNumber(10_001) == nil)
        #expect(PartNumber.greatest.next == nil)
    }

    @Test func `the bytes of a content in chunks are these`() throws {
        let content = ObjectContent(
            .chunks([chunk(1)]), placedBy: LayoutVersion(2), sealedFor: VersionID(rawValue: 3),
            oldestSealed: Timestamp(milliseconds: 4), deduplication: Deduplication(shared: [0]))
        let expected: [String] = [
            // layout, bucket's version, when the oldest was sealed
            "0200000000000000", "0300000000000000", "01", "0400000000000000",
            // format, chunks, one: name, plain and sealed length, no exceptions
            "01", "02", "01000000", "0900000000000000", "0100000000000000", "64000000", "74000000",
            "00",
            // no fingerprints, one shared chunk
            "00000000", "01000000", "0000",
        ]
        #expect(Hex.encode(content.encoded) == expected.joined())
        #expect(try ObjectContent(decoding: content.encoded) == content)
    }

    @Test(arguments: [
        ([3], true), ([5, 6], true), ([1, 2, 10], true), ([], true), ([4], false), ([8], false),
        ([2, 3, 4], false), ([1, 9, 10], false), ([1, 5, 7], false),
    ])
    func `a command that leaves out a part of its object is unreadable`(
        leftOut: [Int], isReadable: Bool
    ) {
        let complete = CompleteUpload(
            upload: UploadTests.upload, key: key("u"), revision: 1,
            parts: UploadTests.table([(4, 5), (7, 5), (8, 5), (9, 4)]),
            leftOut: UploadTests.set(leftOut), entityTag: tag("e"))
        let decoded = try? CompleteUpload(decoding: complete.encoded)
        #expect(decoded == (isReadable ? complete : nil))
    }

    @Test func `deduplication speaks of chunks that the command has, and of each once`() {
        func isReadable(_ deduplication: Deduplication) -> Bool {
            let content = ObjectContent(
                .chunks([chunk(1), chunk(2)]), placedBy: LayoutVersion(1),
                sealedFor: photosVersion, deduplication: deduplication)
            return (try? ObjectContent(decoding: content.encoded)) == content
        }
        let entry = { (place: UInt16) in
            Deduplication.Entry(position: place, fingerprint: RandomOperations.fingerprints[0])
        }
        #expect(isReadable(Deduplication(entries: [entry(0)], shared: [1])))
        #expect(!isReadable(Deduplication(entries: [entry(1)], shared: [1])))
        #expect(!isReadable(Deduplication(shared: [2])))
        #expect(!isReadable(Deduplication(shared: [1, 0])))
        #expect(!isReadable(Deduplication(entries: [entry(1), entry(1)])))
    }
}
