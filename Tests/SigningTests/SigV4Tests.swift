import Cryptography
import Primitives
import Signing
import Testing

/// The example account of Amazon's documentation, at its example time.
enum Example {
    static let accessKey = "AKIAIOSFODNN7EXAMPLE"
    static let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    static let scope = SigV4Scope(day: "20130524", region: "us-east-1")
    static let primitives = OpenSSLPrimitives()
    static let key = SigV4SigningKey(secret: secret, scope: scope, using: primitives)
    static let signer = SigV4Signer(
        accessKey: accessKey, secret: secret, region: "us-east-1", primitives: primitives)
    static let now = CalendarTime(year: 2013, month: 5, day: 24).timestamp

    static func judge(
        _ request: SignableRequest, at time: Timestamp = now, rules: SigV4Rules = SigV4Rules()
    ) -> SigV4Verdict? {
        do throws(SigV4Refusal) {
            guard let claim = try SigV4Claim.read(request, rules: rules) else { return nil }
            return claim.verdict(
                on: request, key: key, now: time, rules: rules, using: primitives)
        } catch { return .refused(error) }
    }

    static func refusal(
        of request: SignableRequest, at time: Timestamp = now, rules: SigV4Rules = SigV4Rules()
    ) -> SigV4Refusal? {
        guard case .refused(let refusal) = judge(request, at: time, rules: rules) else {
            return nil
        }
        return refusal
    }

    static func request(
        _ method: String, _ target: String, _ headers: [(String, String)]
    ) -> SignableRequest {
        SignableRequest(
            method: method, target: target,
            headers: headers.map { SignableRequest.Header($0.0, $0.1) })
    }
}

@Suite struct SigV4Tests {
    @Test func `the signing key is the published one`() {
        #expect(Hex.encode(Example.key.bytes) == SigV4Vectors.signingKey)
    }

    @Test(arguments: SigV4Vectors.headers.indices)
    func `a signature in the header is accepted, with either separator`(index: Int) throws {
        let vector = SigV4Vectors.headers[index]
        let comma = vector.authorization.replacing(",", with: ", ")
        for authorization in [vector.authorization, comma] {
            let request = Example.request(
                vector.method, vector.target, vector.headers + [("Authorization", authorization)])
            guard case .accepted(let acceptance) = Example.judge(request) else {
                Issue.record("\(vector.name): \(String(describing: Example.judge(request)))")
                continue
            }
            #expect(acceptance.accessKey == Example.accessKey)
            #expect(acceptance.scope == Example.scope)
            #expect(acceptance.signature == vector.signature)
            #expect(!acceptance.isPresigned)
        }
    }

    @Test(arguments: SigV4Vectors.headers.indices)
    func `a wrong signature is answered with the two strings to compare`(index: Int) {
        let vector = SigV4Vectors.headers[index]
        let zeros = String(repeating: "0", count: 64)
        let forged = vector.authorization.replacing(vector.signature, with: zeros)
        let request = Example.request(
            vector.method, vector.target, vector.headers + [("Authorization", forged)])
        #expect(
            Example.refusal(of: request)
                == .signatureMismatch(
                    canonicalRequest: vector.canonicalRequest,
                    stringToSign: vector.stringToSign))
    }

    @Test(arguments: SigV4Vectors.headers.indices)
    func `our signer makes the same signature`(index: Int) throws {
        let vector = SigV4Vectors.headers[index]
        var request = Example.request(vector.method, vector.target, vector.headers)
        let payloadText = try #require(request.only("x-amz-content-sha256"))
        let payload = try #require(
            Self.payloads.first { $0.text == payloadText }
                ?? Hex.decode(payloadText).map { SigV4Payload.hash($0) })
        Example.signer.sign(&request, payload: payload, at: Example.now)
        let authorization = try #require(request.only("authorization"))
        #expect(authorization.hasSuffix("Signature=\(vector.signature)"))
    }

    private static let payloads: [SigV4Payload] = [
        .unsigned, .unsignedChunksWithTrailer, .signedChunks(withTrailer: true),
        .signedChunks(withTrailer: false),
    ]

    @Test(arguments: SigV4Vectors.presigned.indices)
    func `a presigned URL is accepted until its end`(index: Int) {
        let vector = SigV4Vectors.presigned[index]
        let request = Example.request(
            vector.method, vector.target, vector.headers + [("Host", vector.host)])
        let end = Example.now + .seconds(vector.expiresSeconds)
        guard case .accepted(let acceptance) = Example.judge(request, at: end) else {
            Issue.record("\(vector.name)")
            return
        }
        #expect(acceptance.isPresigned && acceptance.payload == .unsigned)
        let late = end + .milliseconds(1)
        #expect(
            Example.refusal(of: request, at: late) == .expired(at: end, serverTime: late))
        let early = Example.now + .seconds(-901)
        #expect(
            Example.refusal(of: request, at: early)
                == .notYetValid(from: Example.now, serverTime: early))
    }

    @Test func `our signer presigns the documented URL`() {
        var request = Example.request(
            "GET", "/test.txt", [("Host", "examplebucket.s3.amazonaws.com")])
        Example.signer.presign(&request, expiresSeconds: 86_400, at: Example.now)
        #expect(request.target == SigV4Vectors.presigned[0].target)
    }

    @Test func `a chain of signed chunks is accepted in its order only`() {
        let letters = [UInt8](repeating: UInt8(ascii: "a"), count: 66_560)
        let hashes = [
            SHA256.hash(letters[..<65_536]), SHA256.hash(letters[65_536...]), SHA256.hash([]),
        ]
        for (seed, signatures) in [
            (SigV4Vectors.chunksSeed, SigV4Vectors.chunks),
            (SigV4Vectors.chunksWithTrailerSeed, SigV4Vectors.chunksWithTrailer),
        ] {
            guard case .accepted(let acceptance) = Example.judge(Self.chunked(seed: seed)) else {
                Issue.record("the seed \(seed) is accepted")
                continue
            }
            var chain = SigV4ChunkChain(acceptance, key: Example.key)
            var swapped = chain
            let isSecondTakenFirst = swapped.accepts(
                chunkHash: hashes[1], signature: signatures[1], using: Example.primitives)
            #expect(!isSecondTakenFirst)
            for (hash, signature) in zip(hashes, signatures) {
                let isAccepted = chain.accepts(
                    chunkHash: hash, signature: signature, using: Example.primitives)
                #expect(isAccepted)
            }
            let isTrailerAccepted = chain.accepts(
                trailer: Array(SigV4Vectors.trailerLine.utf8),
                signature: SigV4Vectors.trailerSignature, using: Example.primitives)
            #expect(isTrailerAccepted == (seed == SigV4Vectors.chunksWithTrailerSeed))
        }
    }

    /// The documented request whose header signature is `seed`.
    private static func chunked(seed: String) -> SignableRequest {
        let hasTrailer = seed == SigV4Vectors.chunksWithTrailerSeed
        let payload = SigV4Payload.signedChunks(withTrailer: hasTrailer)
        var headers = [
            ("content-encoding", "aws-chunked"), ("host", "s3.amazonaws.com"),
            ("x-amz-content-sha256", payload.text), ("x-amz-date", "20130524T000000Z"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ]
        headers.append(
            hasTrailer ? ("x-amz-trailer", "x-amz-checksum-crc32c") : ("content-length", "66824"))
        let names = headers.map(\.0).sorted().joined(separator: ";")
        headers.append(
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=\(Example.accessKey)/\(Example.scope), "
                    + "SignedHeaders=\(names), Signature=\(seed)"
            ))
        return Example.request("PUT", "/examplebucket/chunkObject.txt", headers)
    }

    @Test func `a clock off by more than fifteen minutes is told so`() {
        var request = Example.request("GET", "/b/k", [("Host", "h")])
        Example.signer.sign(&request, payload: .unsigned, at: Example.now)
        for offset: Int64 in [-900, 0, 900] {
            #expect(Example.refusal(of: request, at: Example.now + .seconds(offset)) == nil)
        }
        for offset: Int64 in [-901, 901] {
            let server = Example.now + .seconds(offset)
            #expect(
                Example.refusal(of: request, at: server)
                    == .clockSkewed(requestTime: Example.now, serverTime: server))
        }
    }

    @Test func `the Date header stands in for x-amz-date`() {
        let vector = SigV4Vectors.headers[0]
        var request = Example.request(
            vector.method, vector.target, vector.headers.filter { $0.0 != "x-amz-date" })
        request.headers.append(.init("Date", "Fri, 24 May 2013 00:00:00 GMT"))
        let names = ["date", "host", "x-amz-content-sha256"]
        let canonical = SigV4Canonical.request(
            request, signedHeaders: names, payload: SigV4Payload.emptyHash)
        let toSign = SigV4Canonical.stringToSign(
            date: "20130524T000000Z", scope: Example.scope, canonicalRequest: canonical ?? [],
            using: Example.primitives)
        let signature = Example.key.sign(toSign, using: Example.primitives)
        request.headers.append(
            .init(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(Example.accessKey)/\(Example.scope),"
                    + "SignedHeaders=\(names.joined(separator: ";")),Signature=\(signature)"))
        #expect(Example.refusal(of: request) == nil)
    }

    @Test func `a request without a signature is anonymous`() {
        #expect(Example.judge(Example.request("GET", "/b/k?a=b", [("Host", "h")])) == nil)
    }

    @Test func `no answer shows the secret`() {
        let vector = SigV4Vectors.headers[0]
        let zeros = String(repeating: "0", count: 64)
        let request = Example.request(
            vector.method, vector.target,
            vector.headers + [
                ("Authorization", vector.authorization.replacing(vector.signature, with: zeros))
            ])
        let shown = "\(String(describing: Example.judge(request))) \(Example.key)"
        #expect(!shown.contains(Example.secret) && !shown.contains(SigV4Vectors.signingKey))
    }
}
