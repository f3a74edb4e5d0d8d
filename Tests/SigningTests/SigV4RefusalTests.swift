import Cryptography
import Primitives
import Signing
import Testing

/// What is not let in, and what it is told.
@Suite struct SigV4RefusalTests {
    private static let credential = "Credential=\(Example.accessKey)/\(Example.scope)"
    private static let signature = "Signature=" + String(repeating: "0", count: 64)

    private func code(of authorization: String) -> String? {
        let request = Example.request(
            "GET", "/b/k",
            [
                ("Host", "h"), ("x-amz-date", "20130524T000000Z"),
                ("Authorization", authorization),
            ])
        return Example.refusal(of: request)?.code
    }

    @Test(arguments: [
        ("", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
        ("Basic dXNlcjpwYXNz", "AuthorizationHeaderMalformed"),
        ("AWS AKIA:abc=", "NotImplemented"),
        ("AWS4-ECDSA-P256-SHA256 Credential=x", "NotImplemented"),
        ("AWS4-HMAC-SHA256 Credential=x", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 a=1,a=1", "AuthorizationHeaderMalformed"),
        (
            "AWS4-HMAC-SHA256 \(credential),SignedHeaders=host;x-amz-date,Signature=00",
            "AuthorizationHeaderMalformed"
        ),
        (
            "AWS4-HMAC-SHA256 \(credential),SignedHeaders=x-amz-date;host,\(signature)",
            "AuthorizationHeaderMalformed"
        ),
        (
            "AWS4-HMAC-SHA256 \(credential),SignedHeaders=Host;x-amz-date,\(signature)",
            "AuthorizationHeaderMalformed"
        ),
        (
            "AWS4-HMAC-SHA256 Credential=A/20130525/r/s3/aws4_request,"
                + "SignedHeaders=host;x-amz-date,\(signature)",
            "AuthorizationHeaderMalformed"
        ),
        (
            "AWS4-HMAC-SHA256 Credential=A/20130524/r/ec2/aws4_request,"
                + "SignedHeaders=host;x-amz-date,\(signature)",
            "AuthorizationHeaderMalformed"
        ),
        ("AWS4-HMAC-SHA256 \(credential),SignedHeaders=x-amz-date,\(signature)", "AccessDenied"),
        ("AWS4-HMAC-SHA256 \(credential),SignedHeaders=host,\(signature)", "AccessDenied"),
        (
            "AWS4-HMAC-SHA256 \(credential),SignedHeaders=host;x-amz-date,\(signature)",
            "SignatureDoesNotMatch"
        ),
    ])
    func `a header is refused with the code of S3`(authorization: String, code: String) {
        #expect(self.code(of: authorization) == code)
    }

    @Test(arguments: [
        ("X-Amz-Expires=60", "X-Amz-Expires=0"), ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1"), ("X-Amz-Expires=60", "X-Amz-Expires=+60"),
        ("X-Amz-Expires=60", "X-Amz-Expires=abc"), ("X-Amz-Expires=60", "other=1"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=60"),
        ("X-Amz-Date=20130524", "X-Amz-Date=20130525"),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=yesterday"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), ("%2Fs3%2F", "%2Fiam%2F"),
    ])
    func `a presigned URL with a wrong parameter is a 400`(good: String, bad: String) {
        var request = Example.request("GET", "/b/k", [("Host", "h")])
        Example.signer.presign(&request, expiresSeconds: 60, at: Example.now)
        #expect(Example.refusal(of: request) == nil)
        let target = request.target.replacing(good, with: bad)
        let refusal = Example.refusal(of: Example.request("GET", target, [("Host", "h")]))
        #expect(refusal?.code == "AuthorizationQueryParametersError")
        #expect(refusal?.status == 400)
    }

    @Test func `header and query together are refused`() {
        var request = Example.request("GET", "/b/k", [("Host", "h")])
        Example.signer.presign(&request, expiresSeconds: 60, at: Example.now)
        request.headers.append(.init("Authorization", "AWS4-HMAC-SHA256 x=y"))
        #expect(Example.refusal(of: request) == .signedTwice)
    }

    @Test func `an x-amz header that nobody signed is refused in both forms`() {
        var signed = Example.request("PUT", "/b/k", [("Host", "h")])
        var presigned = signed
        Example.signer.sign(&signed, payload: .unsigned, at: Example.now)
        Example.signer.presign(&presigned, expiresSeconds: 60, at: Example.now)
        for var request in [signed, presigned] {
            request.headers.append(.init("x-amz-copy-source", "/other/secret"))
            #expect(Example.refusal(of: request) == .unsignedHeader("x-amz-copy-source"))
        }
    }

    @Test func `another region is refused with the right one, where a region is set`() {
        var request = Example.request("GET", "/b/k", [("Host", "h")])
        Example.signer.sign(&request, payload: .unsigned, at: Example.now)
        let refusal = Example.refusal(of: request, rules: SigV4Rules(region: "edge-1"))
        #expect(refusal == .wrongRegion("us-east-1", expected: "edge-1"))
        #expect(refusal?.code == "AuthorizationHeaderMalformed")
        #expect(Example.refusal(of: request, rules: SigV4Rules(region: "us-east-1")) == nil)
    }

    @Test func `a payload hash is required where there can be a body`() {
        for (method, expected) in [
            ("GET", nil), ("DELETE", nil), ("PUT", SigV4Refusal.missingPayloadHash),
        ] {
            var request = Example.request(method, "/b/k", [("Host", "h")])
            request.headers.append(.init("x-amz-date", "20130524T000000Z"))
            let names = ["host", "x-amz-date"]
            let canonical = SigV4Canonical.request(
                request, signedHeaders: names, payload: SigV4Payload.emptyHash)
            let toSign = SigV4Canonical.stringToSign(
                date: "20130524T000000Z", scope: Example.scope, canonicalRequest: canonical ?? [],
                using: Example.primitives)
            let signature = Example.key.sign(toSign, using: Example.primitives)
            request.headers.append(
                .init(
                    "Authorization",
                    "AWS4-HMAC-SHA256 \(Self.credential),SignedHeaders=host;x-amz-date,"
                        + "Signature=\(signature)"))
            #expect(Example.refusal(of: request) == expected)
        }
    }

    @Test func `signature version 4A is not implemented`() {
        let request = Example.request(
            "PUT", "/b/k",
            [
                ("Host", "h"), ("x-amz-date", "20130524T000000Z"),
                ("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"),
                (
                    "Authorization",
                    "AWS4-HMAC-SHA256 \(Self.credential),SignedHeaders=host;x-amz-content-sha256;"
                        + "x-amz-date,\(Self.signature)"
                ),
            ])
        #expect(Example.refusal(of: request)?.status == 501)
    }

    @Test(arguments: ["/b/%", "/b/%4", "/b/%zz", "/b/k?a=%f", "/b/k?%=1"])
    func `a target that is not well encoded is refused`(target: String) {
        var request = Example.request("GET", "/b/k", [("Host", "h")])
        Example.signer.sign(&request, payload: .unsigned, at: Example.now)
        let split = SignableRequest(method: "GET", target: target, headers: request.headers)
        #expect(Example.refusal(of: split) == .malformedTarget)
    }
}
