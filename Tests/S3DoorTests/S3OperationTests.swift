import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives
import S3Door
import Testing

@Suite struct S3OperationTests {
    private static func read(_ method: String, _ target: String) throws(S3Refusal) -> S3Operation {
        guard let head = parsedHead(method, target) else { throw S3Refusal(.invalidRequest) }
        return try S3Operation(head.method, path: head.path, query: S3Query(head.query))
    }

    private static func told(_ operation: S3Operation) -> String {
        switch operation {
        case .putObject(let bucket, let key), .getObject(let bucket, let key),
            .headObject(let bucket, let key), .deleteObject(let bucket, let key):
            "\(operation.name.rawValue) \(bucket) \(key)"
        default: "\(operation.name.rawValue) \(operation.ownedBucket?.text ?? "-")"
        }
    }

    @Test(arguments: [
        ("GET", "/", "ListBuckets -"),
        ("GET", "/?x-id=ListBuckets", "ListBuckets -"),
        ("PUT", "/photos", "CreateBucket -"),
        ("PUT", "/photos/", "CreateBucket -"),
        ("HEAD", "/photos", "HeadBucket photos"),
        ("DELETE", "/photos", "DeleteBucket photos"),
        ("GET", "/photos?location", "GetBucketLocation photos"),
        ("GET", "/photos?versioning", "GetBucketVersioning photos"),
        ("GET", "/photos?list-type=2&prefix=a", "ListObjects photos"),
        ("GET", "/photos/?prefix=a&delimiter=%2F", "ListObjects photos"),
        ("POST", "/photos", "PostObject photos"),
        ("POST", "/photos/", "PostObject photos"),
        ("POST", "/photos?delete", "DeleteObjects photos"),
        ("GET", "/photos/a?partNumber=2", "GetObject photos a"),
        ("PUT", "/photos/a?AWSAccessKeyId=k&Expires=1&Signature=s", "PutObject photos a"),
        ("POST", "/photos?delete=", "DeleteObjects photos"),
        ("PUT", "/photos/a.jpg?x-id=PutObject", "PutObject photos a.jpg"),
        ("PUT", "/photos/a?X-Amz-Signature=0", "PutObject photos a"),
        ("GET", "/photos/a%20b%2Bc/%C3%A9", "GetObject photos a b+c/é"),
        ("GET", "/photos//a/../b/./c", "GetObject photos /a/../b/./c"),
        ("GET", "/photos/a?versionId=null", "GetObject photos a"),
        ("GET", "/photos/a?response-content-type=x", "GetObject photos a"),
        ("GET", "/photos/a?attributes", "GetObjectAttributes photos"),
        ("HEAD", "/photos/a+b", "HeadObject photos a+b"),
        ("DELETE", "/photos/dir/", "DeleteObject photos dir/"),
        ("GET", "/photos?uploads&prefix=a", "ListMultipartUploads photos"),
        ("POST", "/photos/a?uploads", "CreateMultipartUpload photos"),
        ("PUT", "/photos/a?partNumber=7&uploadId=1f", "UploadPart photos"),
        ("GET", "/photos/a?uploadId=1f&max-parts=2", "ListParts photos"),
        ("POST", "/photos/a?uploadId=1f", "CompleteMultipartUpload photos"),
        ("DELETE", "/photos/a?uploadId=1f", "AbortMultipartUpload photos"),
    ])
    func `method, path and query name an operation`(
        method: String, target: String, expected: String
    ) throws {
        #expect(Self.told(try Self.read(method, target)) == expected)
    }

    @Test(arguments: [
        ("GET", "/ab", "InvalidBucketName"),
        ("PUT", "/Photos", "InvalidBucketName"),
        ("GET", "/photos/%zz", "InvalidURI"),
        ("GET", "/photos/%ff", "InvalidURI"),
        ("GET", "/photos/a?prefix=%4", "InvalidURI"),
        ("PUT", "/photos/a?uploadId=1f", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=1f&partNumber=0", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=1f&partNumber=10001", "InvalidArgument"),
        ("PUT", "/photos/a?partNumber=1", "NoSuchUpload"),
        ("POST", "/photos/a?uploadId=", "NoSuchUpload"),
        ("DELETE", "/photos/a?uploadId=-1", "NoSuchUpload"),
        ("GET", "/photos?uploads&acl", "NotImplemented"),
        ("PUT", "/photos?acl", "NotImplemented"),
        ("PUT", "/photos?replication", "NotImplemented"),
        ("PUT", "/photos?future-feature", "NotImplemented"),
        ("GET", "/photos?policy", "NotImplemented"),
        ("PUT", "/photos/a?tagging", "NotImplemented"),
        ("GET", "/photos/a?tagging", "NotImplemented"),
        ("POST", "/photos?tagging", "NotImplemented"),
        ("POST", "/photos/a", "NotImplemented"),
        ("GET", "/photos/a?versionId=7", "InvalidArgument"),
        ("DELETE", "/photos/a?versionId=7", "InvalidArgument"),
        ("PUT", "/", "MethodNotAllowed"),
        ("PATCH", "/photos/a", "MethodNotAllowed"),
        ("OPTIONS", "*", "MethodNotAllowed"),
    ])
    func `what is no operation of ours is refused by its name`(
        method: String, target: String, expected: String
    ) {
        #expect(code { () throws(S3Refusal) in try Self.read(method, target) } == expected)
    }

    @Test func `a key of 1024 bytes is taken and one of 1025 is not`() throws {
        let longest = String(repeating: "k", count: 1_024)
        _ = try Self.read("GET", "/photos/" + longest)
        #expect(
            code { () throws(S3Refusal) in try Self.read("GET", "/photos/k" + longest) }
                == "KeyTooLongError")
    }

    /// No target may stop the process, and none that is taken may reach outside its own words.
    @Test func `random targets are read or refused`() {
        var random = SeededGenerator(seed: 11)
        let pieces = [
            "/", "photos", "%2F", "%00", "?", "&", "=", "delete", "acl", "list-type=2", "%", "..",
            "%c3%a9", "versionId", "null", "x-id", "+", "a", "X-Amz-", "%ff",
        ]
        let methods: [Method] = [.get, .head, .put, .post, .delete, .options, .other("PROPFIND")]
        var taken = 0
        for _ in 0..<20_000 {
            let text =
                "/"
                + (0..<Int.random(in: 0...8, using: &random)).map { _ in
                    pieces[Int.random(in: 0..<pieces.count, using: &random)]
                }.joined()
            let bytes = Array(text.utf8)
            let mark = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.endIndex
            let method = methods[Int.random(in: 0..<methods.count, using: &random)]
            do throws(S3Refusal) {
                _ = try S3Operation(
                    method, path: bytes[..<mark], query: S3Query(bytes[mark...].dropFirst()))
                taken += 1
            } catch {
                #expect(error.status.rawValue >= 400)
            }
        }
        #expect(taken > 500)
    }
}
