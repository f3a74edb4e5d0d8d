import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import S3Door
import Signing
import Testing

@Suite struct PutRequestTests {
    @Test(arguments: [
        ("5=\(hash), 16777216=\(hash)", [5, 16_777_216]), ("1=\(hash)", [1]), ("0=\(hash)", nil),
        ("16777217=\(hash)", nil), ("5=00", nil), ("5", nil), ("=", nil), ("5=\(hash),", nil),
        ("-5=\(hash)", nil),
    ])
    func `stated chunks are sizes and hashes in the order of the body`(
        value: String, sizes: [Int]?
    ) throws {
        let head = try #require(
            parsedHead("PUT", "/photos/a", [("x-holdfast-chunk-sha256", value)]))
        var chunks: [StatedChunk]?
        do throws(S3Refusal) { chunks = try PutRequest.statedChunks(head.fields) } catch {
            #expect(error.code == "InvalidArgument")
        }
        #expect(chunks?.map(\.sizeBytes) == sizes)
    }

    private static let hash = String(repeating: "a5", count: 32)

    private static func read(
        _ fields: [(String, String)], _ payload: SigV4Payload = .unsigned
    ) throws(S3Refusal) -> PutRequest {
        guard let head = parsedHead("PUT", "/photos/a", fields) else {
            throw S3Refusal(.internalError)
        }
        return try PutRequest(head, payload: payload)
    }

    @Test func `what is to be stored beside the bytes is taken from the head`() throws {
        let put = try Self.read([
            ("Content-Length", "11"), ("Content-Type", "text/plain"),
            ("Cache-Control", "max-age=60"), ("Content-Encoding", "aws-chunked, gzip"),
            ("Expires", "Thu, 01 Dec 2033 16:00:00 GMT"), ("X-Amz-Meta-Color", "rosé"),
            ("x-amz-acl", "private"), ("x-amz-storage-class", "STANDARD"),
            ("x-amz-sdk-checksum-algorithm", "CRC32"),
            ("x-amz-checksum-crc32", "DUoRhQ=="), ("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="),
        ])
        #expect(
            put.options.attributes
                == ObjectAttributes(
                    contentType: "text/plain",
                    headers: [
                        ObjectField(name: "cache-control", value: "max-age=60"),
                        ObjectField(name: "content-encoding", value: "gzip"),
                        ObjectField(name: "expires", value: "Thu, 01 Dec 2033 16:00:00 GMT"),
                    ], metadata: [ObjectField(name: "color", value: "rosé")]))
        #expect(put.options.stated.sizeBytes == 11)
        #expect(put.options.stated.crc32 == [0x0d, 0x4a, 0x11, 0x85])
        #expect(put.options.stated.md5?.count == 16)
        #expect(put.form == BodyForm())
    }

    @Test(arguments: [
        ([("If-None-Match", "*")], ObjectPrecondition.absent),
        ([("If-Match", "*")], .present),
        ([("Range", "bytes=0-")], .none),
    ])
    func `a condition of a write is handed to the catalog`(
        fields: [(String, String)], expected: ObjectPrecondition
    ) throws {
        #expect(
            try Self.read([("Content-Length", "0")] + fields).options.precondition == expected)
    }

    @Test func `a tag is matched with and without its quotes`() throws {
        let tag = try #require(EntityTag("9e107d9d372bb6826bd81d3542a419d6"))
        for text in ["\"\(tag)\"", tag.text] {
            let put = try Self.read([("Content-Length", "0"), ("If-Match", text)])
            #expect(put.options.precondition == .matches(tag))
        }
    }

    @Test(arguments: [
        ([], "MissingContentLength"),
        ([("x-amz-copy-source", "/photos/b")], "NotImplemented"),
        ([("Content-MD5", "AAAA")], "InvalidDigest"),
        ([("x-amz-checksum-crc32", "DUoRhQ")], "InvalidRequest"),
        ([("x-amz-checksum-crc32", "DUoRhYU=")], "InvalidRequest"),
        ([("x-amz-checksum-xxhash3", "DUoRhQ==")], "InvalidRequest"),
        (
            [("x-amz-checksum-crc32", "DUoRhQ=="), ("x-amz-checksum-crc32c", "yZRlqg==")],
            "InvalidRequest"
        ),
        ([("x-amz-tagging", "a=b")], "NotImplemented"),
        ([("x-amz-server-side-encryption", "aws:kms")], "NotImplemented"),
        ([("x-amz-server-side-encryption-customer-key", "x")], "NotImplemented"),
        ([("x-amz-acl", "public-read")], "AccessControlListNotSupported"),
        ([("x-amz-grant-read", "id=1")], "AccessControlListNotSupported"),
        ([("x-amz-storage-class", "GLACIER")], "InvalidStorageClass"),
        ([("If-None-Match", "\"a\"")], "NotImplemented"),
        ([("If-Match", "\"a\", \"b\"")], "NotImplemented"),
        ([("If-Unmodified-Since", "Thu, 01 Dec 2033 16:00:00 GMT")], "NotImplemented"),
        ([("If-Match", "\"a")], "InvalidArgument"),
        ([("x-amz-meta-a", String(repeating: "x", count: 2_048))], "MetadataTooLarge"),
    ])
    func `what would be stored as something else is refused`(
        fields: [(String, String)], expected: String
    ) {
        let length = fields.isEmpty ? [] : [("Content-Length", "1")]
        #expect(code { () throws(S3Refusal) in try Self.read(length + fields) } == expected)
    }

    @Test func `an aws-chunked body has the length behind its encoding`() throws {
        let put = try Self.read(
            [
                ("Transfer-Encoding", "chunked"), ("x-amz-decoded-content-length", "18"),
                ("x-amz-trailer", "x-amz-checksum-crc32"),
            ], .unsignedChunksWithTrailer)
        #expect(put.options.stated.sizeBytes == 18)
        #expect(put.form.encoding == .chunks(isSigned: false))
        #expect(put.form.checksum?.algorithm == .crc32)
        #expect(
            code { () throws(S3Refusal) in
                try Self.read([("Transfer-Encoding", "chunked")], .unsignedChunksWithTrailer)
            } == "MissingContentLength")
        #expect(
            code { () throws(S3Refusal) in
                try Self.read(
                    [
                        ("Content-Length", "1"), ("x-amz-decoded-content-length", "1"),
                        ("x-amz-trailer", "x-amz-checksum-md7"),
                    ], .unsignedChunksWithTrailer)
            } == "InvalidRequest")
    }

    @Test func `two statements of one hash must agree`() throws {
        let sum = "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="
        let digest = try #require(Base64.decode(sum))
        let fields = [("Content-Length", "11"), ("x-amz-checksum-sha256", sum)]
        let put = try Self.read(fields, .hash(digest))
        #expect(put.form.verifiedElsewhere.map(\.algorithm) == [.sha256])
        let other = [UInt8](repeating: 0, count: 32)
        #expect(
            code { () throws(S3Refusal) in try Self.read(fields, .hash(other)) } == "BadDigest")
    }
}
