import Cryptography
import FileClient
import Primitives
import Testing

@Suite struct PartPlanTests {
    private static let mebibyte: UInt64 = 1 << 20

    @Test(arguments: [
        (33 * mebibyte, 16 * mebibyte, 3), (160_000 * mebibyte, 16 * mebibyte, 10_000),
        (160_000 * mebibyte + 1, 32 * mebibyte, 5001), (5 << 40, 1024 * mebibyte, 5120),
    ])
    func `parts grow so that there are never more than can be`(
        sizeBytes: UInt64, partBytes: UInt64, count: Int
    ) {
        let plan = PartPlan(sizeBytes: sizeBytes)
        #expect(plan.partBytes == partBytes)
        #expect(plan.partCount == count)
    }

    @Test func `a wanted size holds where it makes no more parts than can be`() {
        #expect(PartPlan(sizeBytes: 40 << 20, wanted: 5 << 20).partCount == 8)
        #expect(PartPlan(sizeBytes: 1 << 40, wanted: 5 << 20).partBytes == 128 << 20)
    }

    @Test func `the parts are the whole, one behind the other`() {
        let plan = PartPlan(sizeBytes: (16 << 20) * 2 + 7)
        let ranges = (0..<plan.partCount).map(plan.range)
        #expect(ranges.map(\.lowerBound) == [0, 16 << 20, 32 << 20])
        #expect(ranges.map(\.upperBound) == [16 << 20, 32 << 20, plan.sizeBytes])
    }

    @Test func `the digest of parts does not depend on how the bytes come`() {
        let bytes = noise(1000)
        let parts = stride(from: 0, to: 1000, by: 300).map {
            SHA256.hash(Array(bytes[$0..<min($0 + 300, 1000)]))
        }
        let joined = PartsDigest<SHA256>.joined(parts, Base64.encode)
        for step in [1, 7, 299, 300, 301, 1000] {
            var digest = PartsDigest<SHA256>(partBytes: 300)
            for start in stride(from: 0, to: 1000, by: step) {
                digest.update(Array(bytes[start..<min(start + step, 1000)]))
            }
            #expect(digest.finish(Base64.encode) == joined)
        }
        #expect(joined.hasSuffix("-4"))
    }
}

@Suite struct UploadRecordTests {
    private let record = UploadRecord(
        object: RemotePath(bucket: "box", key: "a/b"), uploadID: "1f", sizeBytes: 0x0102,
        modified: Timestamp(milliseconds: 3), partBytes: 5 << 20)

    @Test func `a record lies in its file byte by byte as before`() {
        let bytes = UploadRecordFormat.encode(self.record)
        #expect(
            Hex.encode(bytes.dropLast(4))
                == "0103000000626f7803000000612f62020000003166020100000000000003000000000000000000"
                + "500000000000")
        #expect(UploadRecordFormat.decode(bytes) == self.record)
    }

    @Test func `bytes that are no record are none, whatever they are`() {
        let bytes = UploadRecordFormat.encode(self.record)
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<3000 {
            var mutated = bytes
            mutated[Int(generator.next() % UInt64(bytes.count))] ^= UInt8(
                truncatingIfNeeded: generator.next() % 255 + 1)
            #expect(UploadRecordFormat.decode(mutated) == nil)
            let noise = (0..<generator.next() % 80).map { _ in
                UInt8(truncatingIfNeeded: generator.next())
            }
            #expect(UploadRecordFormat.decode(noise) == nil)
        }
        for count in 0..<bytes.count {
            #expect(UploadRecordFormat.decode(Array(bytes.prefix(count))) == nil)
        }
    }

    @Test func `an upload goes on only with the same file`() {
        func decide(
            _ record: UploadRecord?, key: String = "a/b", size: UInt64 = 0x0102, at: Int64 = 3
        ) -> UploadResumption {
            UploadResumption.decide(
                record, object: RemotePath(bucket: "box", key: key), sizeBytes: size,
                modified: Timestamp(milliseconds: at))
        }
        #expect(decide(nil) == .begin)
        #expect(decide(self.record) == .goOn(self.record))
        #expect(decide(self.record, size: 9) == .beginAnew(aborting: self.record))
        #expect(decide(self.record, at: 4) == .beginAnew(aborting: self.record))
        #expect(decide(self.record, key: "other") == .begin)
    }
}

@Suite struct PartialRecordTests {
    private static let size: UInt64 = 33 << 20

    private var record: PartialRecord {
        var record = PartialRecord(etag: "\"e\"", plan: PartPlan(sizeBytes: Self.size))
        record.arrived(1)
        return record
    }

    @Test func `what is there is found again, for the same version only`() {
        let bytes = self.record.bytes
        let read = PartialRecord(bytes, etag: "\"e\"", sizeBytes: Self.size)
        #expect(read == self.record)
        #expect(read?.missing == [0, 2])
        #expect(PartialRecord(bytes, etag: "\"f\"", sizeBytes: Self.size) == nil)
        #expect(PartialRecord(bytes, etag: "\"e\"", sizeBytes: Self.size + 1) == nil)
        #expect(self.record.markOffset(2) == Self.size + 55)
        #expect(bytes[54] == 1)
    }

    @Test func `bytes that are no record are none, whatever they are`() {
        let bytes = self.record.bytes
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<3000 {
            var mutated = bytes
            let place = Int(generator.next() % 53)
            mutated[place] ^= UInt8(truncatingIfNeeded: generator.next() % 255 + 1)
            #expect(PartialRecord(mutated, etag: "\"e\"", sizeBytes: Self.size) == nil)
        }
        for count in 0..<bytes.count {
            #expect(
                PartialRecord(Array(bytes.prefix(count)), etag: "\"e\"", sizeBytes: Self.size)
                    == nil)
        }
    }
}

@Suite struct UsageCountTests {
    @Test func `folders are told of when they are complete, the whole last`() {
        var count = UsageCount("box", prefix: "", depth: 1)
        var told: [Usage] = []
        for (key, size) in [("a", 1), ("b/c", 2), ("b/d/e", 4), ("b0", 8), ("c/", 0)] {
            told += count.add(key: key, sizeBytes: UInt64(size))
        }
        told += count.finish()
        #expect(
            told == [
                Usage(name: "b/", objects: 2, sizeBytes: 6),
                Usage(name: "c/", objects: 1, sizeBytes: 0),
                Usage(name: "box", objects: 5, sizeBytes: 15),
            ])
    }

    @Test func `deeper folders stand before those they lie in`() {
        var count = UsageCount("p/", prefix: "p/", depth: 2)
        var told: [Usage] = []
        for key in ["p/a/b/c/d", "p/a/x", "p/z"] { told += count.add(key: key, sizeBytes: 1) }
        told += count.finish()
        #expect(
            told == [
                Usage(name: "p/a/b/", objects: 1, sizeBytes: 1),
                Usage(name: "p/a/", objects: 2, sizeBytes: 2),
                Usage(name: "p/", objects: 3, sizeBytes: 3),
            ])
    }
}

@Suite struct CopyPlanTests {
    @Test(arguments: [
        ("box/a/b", "box/c", "a/b", "box/c"), ("box/a/b", "box/c/", "a/b", "box/c/b"),
        ("box/a/b", "new", "a/b", "new/b"), ("box/a", "new/c", "a/x/y", "new/c/x/y"),
        ("box/a/", "new", "a/x", "new/x"), ("box", "new/c", "x", "new/c/x"),
        ("box", "new", "a/x", "new/a/x"),
    ])
    func `each object has its place`(
        source: String, destination: String, key: String, place: String
    ) throws {
        let plan = CopyPlan(
            from: try #require(RemotePath(source)), to: try #require(RemotePath(destination)))
        #expect(plan.place(of: key)?.description == place)
    }

    @Test(arguments: [
        ("box/a", "box/a/b", true), ("box/a", "box/a", true), ("box", "box/x", true),
        ("box/a", "box/ab", false), ("box/a/b", "box/a", false), ("box/a", "new/a/b", false),
    ])
    func `a folder is not copied into itself`(
        source: String, destination: String, isInside: Bool
    ) throws {
        let plan = CopyPlan(
            from: try #require(RemotePath(source)), to: try #require(RemotePath(destination)))
        #expect(plan.isIntoItself == isInside)
    }
}
