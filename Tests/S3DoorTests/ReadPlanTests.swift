import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives
import S3Door
import Testing

@Suite struct ReadPlanTests {
    private static let modified = Timestamp(milliseconds: 784_111_777_500)
    private static let modifiedText = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let laterText = "Sun, 06 Nov 1994 08:49:38 GMT"
    private static let earlierText = "Sun, 06 Nov 1994 08:49:36 GMT"

    private static func object(size: UInt64 = 100, tag: String = "abc") throws -> ObjectHead {
        ObjectHead(
            version: VersionID(rawValue: 1), manifest: ManifestID(rawValue: 1), isInline: true,
            sealedFor: VersionID(rawValue: 1), size: size,
            modified: self.modified, entityTag: try #require(StoredEntityTag(tag)), sha256: nil,
            checksums: [], attributes: ObjectAttributes())
    }

    private static func plan(
        _ fields: [(String, String)], size: UInt64 = 100, _ method: String = "GET",
        ranges: RangeCustom = .single, part: Range<UInt64>? = nil
    ) throws -> ReadPlan {
        let head = try #require(parsedHead(method, "/photos/a", fields))
        return try ReadPlan(
            head.method, head.fields, try self.object(size: size), ranges: ranges, part: part)
    }

    @Test(arguments: [
        ([], ReadPlan.whole),
        ([("Range", "bytes=0-9")], .partial(0..<10)),
        ([("Range", "bytes=90-200")], .partial(90..<100)),
        ([("Range", "bytes=-5")], .partial(95..<100)),
        ([("Range", "bytes=100-")], .unsatisfiable),
        ([("Range", "bytes=5-4")], .whole),
        ([("Range", "lines=0-9")], .whole),
        ([("Range", "bytes=0-1,5-6")], .whole),
        ([("If-Match", "\"abc\"")], .whole),
        ([("If-Match", "\"abd\"")], .preconditionFailed),
        ([("If-None-Match", "\"abc\"")], .notModified),
        ([("If-None-Match", "\"abd\"")], .whole),
        ([("If-Modified-Since", modifiedText)], .notModified),
        ([("If-Modified-Since", earlierText)], .whole),
        ([("If-Unmodified-Since", earlierText)], .preconditionFailed),
        ([("If-Match", "\"abc\""), ("If-Unmodified-Since", earlierText)], .whole),
        ([("If-None-Match", "\"abc\""), ("If-Modified-Since", laterText)], .notModified),
        ([("If-None-Match", "\"abd\""), ("If-Modified-Since", laterText)], .whole),
        ([("Range", "bytes=0-9"), ("If-Range", "\"abc\"")], .partial(0..<10)),
        ([("Range", "bytes=0-9"), ("If-Range", "\"abd\"")], .whole),
        ([("Range", "bytes=0-9"), ("If-Match", "\"abd\"")], .preconditionFailed),
    ])
    func `conditions come before ranges`(fields: [(String, String)], expected: ReadPlan) throws {
        #expect(try Self.plan(fields) == expected)
    }

    @Test func `an empty object has no range`() throws {
        #expect(try Self.plan([("Range", "bytes=0-")], size: 0) == .unsatisfiable)
        #expect(try Self.plan([], size: 0) == .whole)
    }

    @Test func `a link gives several ranges, and none for HEAD`() throws {
        let two = [("Range", "bytes=0-1,500-")]
        let one = [("Range", "bytes=0-1")]
        #expect(
            try Self.plan(two, size: 600, ranges: .several) == .several([0..<2, 500..<600]))
        #expect(try Self.plan(one, ranges: .several) == .partial(0..<2))
        #expect(try Self.plan(one, "HEAD", ranges: .several) == .whole)
        #expect(try Self.plan(one, "HEAD") == .partial(0..<2))
        let stale = two + [("If-Range", "\"abd\"")]
        #expect(try Self.plan(stale, size: 600, ranges: .several) == .whole)
    }

    @Test func `a part is asked for like a range, behind the conditions`() throws {
        #expect(try Self.plan([], part: 5..<9) == .partial(5..<9))
        #expect(try Self.plan([("If-None-Match", "\"abc\"")], part: 5..<9) == .notModified)
        #expect(try Self.plan([], size: 0, part: 0..<0) == .whole)
    }

    @Test func `an object has the parts that its client sent`() throws {
        var table = PartTable()
        for (number, size) in [(1, 10), (3, 10), (4, 5)] {
            #expect(table.append(try #require(PartNumber(number)), sizeBytes: UInt64(size)))
        }
        func part(_ number: Int, tag: String) throws -> ObjectAnswer.WantedPart {
            try ObjectAnswer.part(
                try #require(PartNumber(number)), of: try Self.object(size: 25, tag: tag), table)
        }
        #expect(try part(3, tag: "abc-3") == .init(range: 10..<20, partCount: 3))
        #expect(throws: S3Refusal(.invalidPartNumber)) { try part(2, tag: "abc-3") }
        // What the edge cut by itself was sent whole.
        #expect(try part(1, tag: "abc") == .init(range: 0..<25, partCount: nil))
        #expect(throws: S3Refusal(.invalidPartNumber)) { try part(3, tag: "abc") }
    }

    @Test func `several ranges make a body of as many parts`() {
        let body = MultipartRanges(
            [0..<2, 7..<10], of: 10, contentType: "text/plain", boundary: "b0")
        let content = Array("0123456789".utf8)
        let bytes = body.parts.flatMap {
            $0.prefix + content[Int($0.range.lowerBound)..<Int($0.range.upperBound)]
        }
        #expect(
            String(decoding: bytes + body.suffix, as: UTF8.self)
                == "--b0\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
                + "\r\n--b0\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-9/10\r\n\r\n789"
                + "\r\n--b0--\r\n")
        #expect(body.lengthBytes == UInt64(bytes.count + body.suffix.count))
        #expect(body.contentType == "multipart/byteranges; boundary=b0")
    }

    @Test func `a condition that cannot be read is refused`() {
        #expect(throws: S3Refusal.self) { try Self.plan([("If-Match", "\"abc")]) }
    }

    @Test func `overrides are read from their parameters, without line ends`() throws {
        let query = try S3Query(
            Array("response-content-type=a%2Fb&response-expires=0&x=1".utf8)[...])
        let overrides = try S3Door.overrides(query)
        #expect(overrides.map(\.name) == ["content-type", "expires"])
        #expect(overrides.map(\.value) == ["a/b", "0"])
        #expect(
            code { () throws(S3Refusal) in
                try S3Door.overrides(
                    S3Query(Array("response-cache-control=a%0D%0AX%3A1".utf8)[...]))
            } == "InvalidArgument")
    }
}
