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

    private static func plan(
        _ fields: [(String, String)], size: UInt64 = 100
    ) throws -> ReadPlan {
        let tag = try #require(StoredEntityTag("abc"))
        let object = ObjectHead(
            version: VersionID(rawValue: 1), manifest: ManifestID(rawValue: 1), isInline: true,
            sealedFor: VersionID(rawValue: 1), size: size,
            modified: self.modified, entityTag: tag, sha256: nil, checksums: [],
            attributes: ObjectAttributes())
        let head = try #require(parsedHead("GET", "/photos/a", fields))
        return try ReadPlan(head.method, head.fields, object)
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
