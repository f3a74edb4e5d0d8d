import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import S3Door
import Testing

@Suite struct CopyRequestTests {
    private static func name(_ bucket: String, _ key: String) throws -> ObjectName {
        ObjectName(
            bucket: try #require(BucketName(bucket)), key: try #require(ObjectKey(key)))
    }

    private static func read(
        _ fields: [(String, String)], to target: ObjectName
    ) throws(S3Refusal) -> CopyRequest {
        guard let head = parsedHead("PUT", "/photos/b", fields) else {
            throw S3Refusal(.invalidRequest)
        }
        return try CopyRequest(head.fields, to: target)
    }

    private static func head(tag: String = "abc", modified: Int64 = 1_000_000) throws -> ObjectHead
    {
        ObjectHead(
            version: VersionID(rawValue: 1), manifest: ManifestID(rawValue: 1), isInline: false,
            sealedFor: VersionID(rawValue: 1), size: 1, modified: Timestamp(milliseconds: modified),
            entityTag: try #require(StoredEntityTag(tag)), sha256: nil, checksums: [],
            attributes: ObjectAttributes())
    }

    @Test(arguments: [
        ("/photos/a", "photos", "a"), ("photos/a", "photos", "a"),
        ("photos/dir/a%20b%2Bc", "photos", "dir/a b+c"), ("photos%2Fdir%2Fa", "photos", "dir/a"),
        ("%2Fphotos%2Fa", "photos", "a"), ("photos/a?versionId=null", "photos", "a"),
        ("photos/what%3F", "photos", "what?"), ("photos//a", "photos", "/a"),
        ("photos/%C3%A9", "photos", "é"),
    ])
    func `a source is read as clients write it`(value: String, bucket: String, key: String) throws {
        let copy = try Self.read([("x-amz-copy-source", value)], to: try Self.name("photos", "b"))
        #expect(copy.source == (try Self.name(bucket, key)))
        #expect(copy.options.attributes == nil)
    }

    @Test(arguments: [
        ("photos", "InvalidArgument"), ("/photos/", "InvalidArgument"), ("", "InvalidArgument"),
        ("photos/%zz", "InvalidArgument"), ("Photos/a", "InvalidBucketName"),
        ("photos/a?versionId=7", "InvalidArgument"),
    ])
    func `what is no source is refused`(value: String, expected: String) throws {
        let target = try Self.name("photos", "b")
        let refused = code { () throws(S3Refusal) in
            try Self.read([("x-amz-copy-source", value)], to: target)
        }
        #expect(refused == expected)
    }

    @Test func `metadata is replaced where the client says so, and only there`() throws {
        let target = try Self.name("photos", "b")
        let fields = [
            ("x-amz-copy-source", "photos/a"), ("content-type", "text/plain"),
            ("x-amz-meta-mode", "33188"),
        ]
        #expect(try Self.read(fields, to: target).options.attributes == nil)
        let replaced = try Self.read(
            fields + [("x-amz-metadata-directive", "REPLACE")], to: target
        ).options.attributes
        #expect(
            replaced
                == ObjectAttributes(
                    contentType: "text/plain",
                    metadata: [ObjectField(name: "mode", value: "33188")]))
        let refused = code { () throws(S3Refusal) in
            try Self.read(fields + [("x-amz-metadata-directive", "KEEP")], to: target)
        }
        #expect(refused == "InvalidArgument")
    }

    @Test func `an object is copied onto itself only to change something`() throws {
        let target = try Self.name("photos", "b")
        let source = ("x-amz-copy-source", "photos/b")
        let refused = code { () throws(S3Refusal) in try Self.read([source], to: target) }
        #expect(refused == "InvalidRequest")
        for field in [
            ("x-amz-metadata-directive", "REPLACE"), ("x-amz-storage-class", "STANDARD"),
        ] {
            _ = try Self.read([source, field], to: target)
        }
    }

    static let earlier = "Thu, 01 Jan 1970 00:10:00 GMT"
    static let later = "Thu, 01 Jan 1970 00:20:00 GMT"

    /// Amazon S3, CopyObject: the two pairs in which one condition outweighs the other.
    @Test(arguments: [
        ([("if-match", "\"abc\"")], true), ([("if-match", "\"other\"")], false),
        ([("if-none-match", "\"abc\"")], false), ([("if-none-match", "\"other\"")], true),
        ([("if-modified-since", Self.earlier)], true),
        ([("if-modified-since", Self.later)], false),
        ([("if-unmodified-since", Self.earlier)], false),
        ([("if-unmodified-since", Self.later)], true),
        ([("if-match", "\"abc\""), ("if-unmodified-since", Self.earlier)], true),
        ([("if-none-match", "\"abc\""), ("if-modified-since", Self.earlier)], false),
    ])
    func `conditions on the source decide whether it is copied`(
        conditions: [(String, String)], isCopied: Bool
    ) throws {
        let fields = conditions.map { ("x-amz-copy-source-\($0.0)", $0.1) }
        let copy = try Self.read(
            [("x-amz-copy-source", "photos/a")] + fields, to: try Self.name("photos", "b"))
        let refusal = copy.refusal(of: try Self.head())
        #expect(refusal?.code == (isCopied ? nil : "PreconditionFailed"))
    }

    @Test func `the answer is the document that clients read`() throws {
        let copied = CopiedObject(
            version: VersionID(rawValue: 1), modified: Timestamp(milliseconds: 0),
            entityTag: try #require(StoredEntityTag("abc-2")),
            checksums: [ObjectChecksum(algorithm: .crc32, value: [1, 2, 3, 4], partCount: 2)],
            sizeBytes: 5)
        #expect(
            String(decoding: S3Door.document(of: copied).bytes, as: UTF8.self)
                == """
                <?xml version="1.0" encoding="UTF-8"?>
                <CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\
                <LastModified>1970-01-01T00:00:00.000Z</LastModified>\
                <ETag>&quot;abc-2&quot;</ETag><ChecksumCRC32>AQIDBA==-2</ChecksumCRC32>\
                <ChecksumType>COMPOSITE</ChecksumType></CopyObjectResult>
                """)
    }

    // Parts of other objects.

    private static func part(_ range: String?) throws(S3Refusal) -> PartCopyRequest {
        let fields =
            [("x-amz-copy-source", "photos/a")]
            + (range.map { [("x-amz-copy-source-range", $0)] } ?? [])
        guard let head = parsedHead("PUT", "/photos/b", fields) else {
            throw S3Refusal(.invalidRequest)
        }
        return try PartCopyRequest(head.fields)
    }

    /// The source has one byte.
    @Test(arguments: [nil, "bytes=0-0"] as [String?])
    func `a part is the whole of its source or the bytes that are named`(range: String?) throws {
        #expect(try Self.part(range).range(of: Self.head()) == .success(0..<1))
    }

    @Test(arguments: [
        "bytes=0-1", "bytes=1-1", "bytes=0-18446744073709551615", "bytes=1-0", "bytes=-1",
        "bytes=0-", "bytes=+0-0", "bytes=0-0,0-0", "0-0", "",
    ])
    func `bytes that the source does not have, or that are no range, are refused`(
        range: String
    ) throws {
        let head = try Self.head()
        var refusal: S3Refusal?
        do throws(S3Refusal) { _ = try Self.part(range).range(of: head).get() } catch {
            refusal = error
        }
        #expect(refusal?.code == "InvalidArgument")
    }
}
