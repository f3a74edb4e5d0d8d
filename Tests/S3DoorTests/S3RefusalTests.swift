import Catalog
import ClusterClient
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import S3Door
import Signing
import Testing

@Suite struct S3RefusalTests {
    @Test func `every fault of access has its status and code`() throws {
        let bucket = try #require(BucketName("photos"))
        let table: [(AccessFault, Int, String)] = [
            (.noSuchBucket(bucket), 404, "NoSuchBucket"),
            (.noSuchKey, 404, "NoSuchKey"),
            (.bucketNotEmpty, 409, "BucketNotEmpty"),
            (.bucketTaken, 409, "BucketAlreadyExists"),
            (.preconditionFailed, 412, "PreconditionFailed"),
            (.bodyMismatch(.sha256), 400, "XAmzContentSHA256Mismatch"),
            (.bodyMismatch(.md5), 400, "BadDigest"),
            (.bodyMismatch(.crc32), 400, "BadDigest"),
            (.bodyMismatch(.crc32c), 400, "BadDigest"),
            (.bodyIncomplete, 400, "IncompleteBody"),
            (.bodyTooLarge(limitBytes: 1), 400, "EntityTooLarge"),
            (.source(.truncated), 400, "IncompleteBody"),
            (.source(.malformed("x")), 400, "InvalidRequest"),
            (.source(.tooSlow), 400, "RequestTimeout"),
            (.source(.connection("x")), 400, "RequestTimeout"),
            (.unavailable("x"), 503, "ServiceUnavailable"),
            (.unreadable("x"), 503, "ServiceUnavailable"),
            (.outcomeUnknown("x"), 500, "InternalError"),
            (.broken("x"), 500, "InternalError"),
        ]
        for (fault, status, code) in table {
            let refusal = S3Refusal(of: fault)
            #expect(refusal.status.rawValue == UInt16(status), "\(fault)")
            #expect(refusal.code == code, "\(fault)")
        }
    }

    @Test func `every refused signature has its status, code and facts`() {
        let at = Timestamp(milliseconds: 1_369_353_600_000)
        let table: [(SigV4Refusal, Int, String, [String])] = [
            (.unknownAccessKey("AK"), 403, "InvalidAccessKeyId", ["AWSAccessKeyId"]),
            (
                .signatureMismatch(canonicalRequest: "c", stringToSign: "s"), 403,
                "SignatureDoesNotMatch", ["StringToSign", "CanonicalRequest"]
            ),
            (
                .clockSkewed(requestTime: at, serverTime: at), 403, "RequestTimeTooSkewed",
                ["RequestTime", "ServerTime", "MaxAllowedSkewMilliseconds"]
            ),
            (.expired(at: at, serverTime: at), 403, "AccessDenied", ["Expires", "ServerTime"]),
            (.malformedHeader("x"), 400, "AuthorizationHeaderMalformed", []),
            (
                .wrongRegion("a", expected: "b"), 400, "AuthorizationHeaderMalformed", ["Region"]
            ),
            (.malformedQuery("x"), 400, "AuthorizationQueryParametersError", []),
            (.signedTwice, 400, "InvalidArgument", []),
            (.missingPayloadHash, 400, "InvalidRequest", []),
            (.notImplemented("x"), 501, "NotImplemented", []),
        ]
        for (refusal, status, code, details) in table {
            let answer = S3Refusal(of: refusal)
            #expect(answer.status.rawValue == UInt16(status), "\(refusal)")
            #expect(answer.code == code, "\(refusal)")
            #expect(answer.details.map(\.name) == details, "\(refusal)")
        }
    }

    @Test func `codes are told apart by their words`() {
        #expect(Set(S3ErrorCode.allCases.map(\.rawValue)).count == S3ErrorCode.allCases.count)
        #expect(S3ErrorCode.allCases.allSatisfy { $0.status.rawValue >= 400 })
    }

    @Test func `an error document names what failed, escaped`() {
        let id = RequestID(incarnation: 0xab, count: 31, node: NodeID(3))
        let document = S3Refusal(.noSuchKey).document(
            resource: Array("/photos/a&b<c>.jpg".utf8)[...], id: id)
        #expect(
            String(decoding: document, as: UTF8.self) == """
                <?xml version="1.0" encoding="UTF-8"?>
                <Error><Code>NoSuchKey</Code><Message>The specified key does not exist</Message>\
                <Resource>/photos/a&amp;b&lt;c&gt;.jpg</Resource><RequestId>AB000000000001F\
                </RequestId><HostId>holdfast-3</HostId></Error>
                """)
    }

    @Test func `control characters are written as references`() {
        var xml = XMLWriter()
        xml.element("Key", utf8: [0x61, 0x0d, 0x01, 0x09, 0x22, 0xc3, 0xa9])
        #expect(
            String(decoding: xml.bytes, as: UTF8.self).hasSuffix(
                "<Key>a&#xd;&#x1;\t&quot;é</Key>"))
    }

    @Test func `times are told in milliseconds and in seconds`() {
        let time = Timestamp(milliseconds: 1_369_353_600_007)
        #expect(ISOTime.text(time) == "2013-05-24T00:00:00.007Z")
        #expect(ISOTime.textInSeconds(time) == "2013-05-24T00:00:00Z")
    }
}
