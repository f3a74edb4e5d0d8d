import Cryptography
import ObjectExchange
import Primitives
import Signing
import Testing

/// From the bytes of a head to the verdict on its signature.
@Suite struct SignedHeadTests {
    private static let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

    private static func verdict(_ text: String) throws -> SigV4Verdict {
        let head = try #require(parsedHead(text))
        let request = SignableRequest(head)
        let claim = try #require(try SigV4Claim.read(request, rules: SigV4Rules()))
        let key = SigV4SigningKey(
            secret: self.secret, scope: claim.scope, using: OpenSSLPrimitives())
        return claim.verdict(
            on: request, key: key, now: claim.time, rules: SigV4Rules(),
            using: OpenSSLPrimitives())
    }

    private static let emptyHash =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private static func odd(_ path: String, _ signature: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n"
            + "X-Amz-Date: 20130524T000000Z\r\nX-Amz-Content-SHA256: \(self.emptyHash)\r\n"
            + "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1"
            + "/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
            + "Signature=\(signature)\r\n\r\n"
    }

    @Test(arguments: [
        odd(
            "/bucket/a%20b%2Bc%25d/%C3%A9~!*'().txt",
            "83d89beaf97ca13b21c15a73bf2e9aea7abcdedacd09dbfe10d528a517d87c73"),
        odd(
            "/bucket//a/../b/./c",
            "17f59ce1ac636e538108efdb6402e24c7129762624091cec36dcf8f50eff87a4"),
        odd(
            "/bucket?list-type=2&prefix=a/b%20c%2B%C3%A9&delimiter=/&max-keys=1000&encoding-type=url",
            "b88f5f84b54b0fe7a803711cc3a7ae905850061cd26680aad39c4ca55eff0c30"),
        "GET /test.txt HTTP/1.1\r\nRange: bytes=0-9\r\nhost: examplebucket.s3.amazonaws.com\r\n"
            + "x-amz-date: 20130524T000000Z\r\nx-amz-content-sha256: \(emptyHash)\r\n"
            + "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1"
            + "/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n\r\n",
        "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F"
            + "20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires="
            + "86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995"
            + "330da4c265957d157751f604d404 HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\n\r\n",
    ])
    func `published requests are accepted as they stand on the wire`(text: String) throws {
        guard case .accepted(let acceptance) = try Self.verdict(text) else {
            Issue.record("refused: \(text)")
            return
        }
        #expect(acceptance.accessKey == "AKIAIOSFODNN7EXAMPLE")
    }

    @Test func `a path that was tidied on its way is not what was signed`() throws {
        let text = Self.odd(
            "/bucket/a/b/c", "17f59ce1ac636e538108efdb6402e24c7129762624091cec36dcf8f50eff87a4")
        guard case .refused(let refusal) = try Self.verdict(text) else {
            Issue.record("accepted")
            return
        }
        #expect(S3Refusal(of: refusal).code == "SignatureDoesNotMatch")
    }
}
