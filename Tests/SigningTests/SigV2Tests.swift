import Cryptography
import Primitives
import Signing
import Testing

@Suite struct SigV2Tests {
    private static let secret = Array("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".utf8)
    private static let parameters =
        "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=FXd5dIg%2B9%2FEyep%2FAexuSgkLUWUs%3D"
        + "&Expires=1369440000"

    private static func claim(
        _ target: String, method: String = "GET", _ headers: [(String, String)] = []
    ) throws(SigV4Refusal) -> SigV2Claim? {
        try SigV2Claim.read(
            SignableRequest(
                method: method, target: target,
                headers: headers.map { SignableRequest.Header($0.0, $0.1) }))
    }

    @Test func `a URL that an SDK signed is proven by the secret`() throws {
        let claim = try #require(try Self.claim("/bucket/key?" + Self.parameters))
        #expect(claim.accessKey == "AKIAIOSFODNN7EXAMPLE")
        #expect(claim.stringToSign == "GET\n\n\n1369440000\n/bucket/key")
        #expect(
            HMACSHA1.authenticate(Array(claim.stringToSign.utf8), key: Self.secret)
                == claim.signature)
    }

    @Test func `what changes the answer is signed, in its order`() throws {
        let target =
            "/bucket/a%20b?uploadId=1f&x-id=UploadPart&partNumber=2"
            + "&response-content-type=text%2Fplain&acl&" + Self.parameters
        let headers = [
            ("Content-Type", "text/x"), ("Content-MD5", "abc="), ("x-amz-meta-b", "2"),
            ("X-Amz-Acl", "private"), ("x-amz-meta-b", "3"), ("Range", "bytes=0-1"),
        ]
        let claim = try #require(try Self.claim(target, method: "PUT", headers))
        #expect(
            claim.stringToSign
                == "PUT\nabc=\ntext/x\n1369440000\nx-amz-acl:private\nx-amz-meta-b:2,3\n"
                + "/bucket/a%20b?acl&partNumber=2&response-content-type=text/plain&uploadId=1f")
    }

    @Test func `a URL ends with its time`() throws {
        let claim = try #require(try Self.claim("/bucket/key?" + Self.parameters))
        let end = Timestamp(milliseconds: 1_369_440_000_000)
        let later = Timestamp(milliseconds: 1_369_440_000_001)
        #expect(claim.refusalOfTime(now: end) == nil)
        #expect(
            claim.refusalOfTime(now: later) == .expired(at: end, serverTime: later))
    }

    @Test(arguments: [
        ("/b/k", false), ("/b/k?list-type=2", false),
        // A link of another kind, which has no access key.
        ("/b/k?Expires=1&Signature=a&Key-Pair-Id=k", false),
        ("/b/k?AWSAccessKeyId=a", true), ("/b/k?AWSAccessKeyId=&Signature=&Expires=1", true),
        ("/b/k?AWSAccessKeyId=a&Signature=AA%3D%3D&Expires=1", true),
        ("/b/k?\(parameters)&Expires=2", true), ("/b/k?\(parameters)&X-Amz-Algorithm=a", true),
        ("/b/k?AWSAccessKeyId=a&Signature=FXd5dIg%2B9%2FEyep%2FAexuSgkLUWUs%3D&Expires=x", true),
        (
            "/b/k?AWSAccessKeyId=a&Signature=FXd5dIg%2B9%2FEyep%2FAexuSgkLUWUs%3D"
                + "&Expires=9223372036854775807",
            true
        ),
    ])
    func `what is no such URL is left to others, and what is malformed is refused`(
        target: String, isRefused: Bool
    ) {
        do throws(SigV4Refusal) {
            let claim = try Self.claim(target)
            #expect(!isRefused && claim == nil, "\(target)")
        } catch { #expect(isRefused, "\(target)") }
    }

    @Test func `a header and a query together are refused`() {
        #expect(throws: SigV4Refusal.signedTwice) {
            try Self.claim("/b/k?" + Self.parameters, [("Authorization", "AWS a:b")])
        }
    }

    @Test func `random queries are read or refused`() {
        var random = SeededGenerator(seed: 3)
        let pieces = [
            "AWSAccessKeyId=", "Signature=", "Expires=", "&", "1", "a", "%3D", "%", "uploadId",
            "FXd5dIg%2B9%2FEyep%2FAexuSgkLUWUs%3D", "\u{7f}", "=", "-1", "%ff",
        ]
        for _ in 0..<5_000 {
            let query = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }.joined()
            do throws(SigV4Refusal) {
                let claim = try Self.claim("/b/k?" + query)
                #expect(claim.map { $0.signature.count } ?? 20 == 20)
            } catch { #expect(error.status >= 400) }
        }
    }

    @Test func `a form's policy is proven by the key of a day`() throws {
        let policy = "eyJleHBpcmF0aW9uIjoieCJ9"
        let scope = SigV4Scope(day: "20130524", region: "us-east-1")
        let key = SigV4SigningKey(
            secret: String(decoding: Self.secret, as: UTF8.self), scope: scope,
            using: OpenSSLPrimitives())
        var fields = [
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            "x-amz-date": "20130524T000000Z",
            "x-amz-signature": Hex.encode(
                HMACSHA256.authenticate(Array(policy.utf8), key: key.bytes)),
        ]
        let claim = try SigV4FormClaim.read { fields[$0] }
        #expect(claim.accessKey == "AKIAIOSFODNN7EXAMPLE" && claim.scope == scope)
        #expect(claim.holds(for: policy, key: key, using: OpenSSLPrimitives()))
        #expect(!claim.holds(for: policy + "A", key: key, using: OpenSSLPrimitives()))

        for name in fields.keys.sorted() {
            let kept = fields.removeValue(forKey: name)
            #expect(throws: SigV4Refusal.self) { try SigV4FormClaim.read { fields[$0] } }
            fields[name] = kept
        }
        fields["x-amz-date"] = "20130525T000000Z"
        #expect(throws: SigV4Refusal.self) { try SigV4FormClaim.read { fields[$0] } }
    }
}
