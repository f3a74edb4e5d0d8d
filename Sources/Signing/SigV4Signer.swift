package import Primitives

/// Signs requests as S3 clients do: the other side of `SigV4Claim`.
package struct SigV4Signer: Sendable {
    private let accessKey: String
    private let secret: String
    private let region: String
    private let primitives: any SigningPrimitives

    package init(
        accessKey: String, secret: String, region: String, primitives: any SigningPrimitives
    ) {
        self.accessKey = accessKey
        self.secret = secret
        self.region = region
        self.primitives = primitives
    }

    /// Adds `x-amz-date`, `x-amz-content-sha256` and `Authorization`; signs every header that is
    /// there, so `host` must be, and nothing between may add or change those.
    package func sign(_ request: inout SignableRequest, payload: SigV4Payload, at now: Timestamp) {
        invariant(request.only("host") != nil, "a signed request names its host")
        let scope = SigV4Scope(day: SigV4Date.day(now), region: self.region)
        let date = SigV4Date.text(now)
        let own = ["x-amz-date", SigV4Claim.payloadHeader, "authorization"]
        request.headers.removeAll { own.contains($0.name) }
        request.headers.append(.init("x-amz-date", date))
        request.headers.append(.init(SigV4Claim.payloadHeader, payload.text))
        let names = Self.names(of: request)
        let signature = self.signature(
            of: request, names: names, payload: payload, date: date, scope: scope)
        request.headers.append(
            .init(
                "authorization",
                "\(SigV4Canonical.algorithm) Credential=\(self.accessKey)/\(scope), "
                    + "SignedHeaders=\(names.joined(separator: ";")), Signature=\(signature)"))
    }

    /// Adds the parameters that let anybody who has the URL send this request, with just these
    /// headers, until `expiresSeconds` (1...604,800) from now.
    package func presign(
        _ request: inout SignableRequest, expiresSeconds: Int64, at now: Timestamp
    ) {
        invariant(
            (1...SigV4Claim.expiresLimitSeconds).contains(expiresSeconds),
            "a presigned request is valid for at most a week")
        invariant(request.only("host") != nil, "a signed request names its host")
        let scope = SigV4Scope(day: SigV4Date.day(now), region: self.region)
        let date = SigV4Date.text(now)
        let names = Self.names(of: request)
        request.append("X-Amz-Algorithm", SigV4Canonical.algorithm)
        request.append("X-Amz-Credential", "\(self.accessKey)/\(scope)")
        request.append("X-Amz-Date", date)
        request.append("X-Amz-Expires", "\(expiresSeconds)")
        request.append("X-Amz-SignedHeaders", names.joined(separator: ";"))
        let signature = self.signature(
            of: request, names: names, payload: .unsigned, date: date, scope: scope)
        request.append("X-Amz-Signature", signature)
    }

    private func signature(
        of request: SignableRequest, names: [String], payload: SigV4Payload, date: String,
        scope: SigV4Scope
    ) -> String {
        let canonical = SigV4Canonical.request(
            request, signedHeaders: names, payload: payload.text)
        guard let canonical else {
            brokenInvariant("a request of our own has a well-encoded target")
        }
        let stringToSign = SigV4Canonical.stringToSign(
            date: date, scope: scope, canonicalRequest: canonical, using: self.primitives)
        return SigV4SigningKey(secret: self.secret, scope: scope, using: self.primitives)
            .sign(stringToSign, using: self.primitives)
    }

    private static func names(of request: SignableRequest) -> [String] {
        var names: [String] = []
        for name in request.headers.map(\.name).sorted() where names.last != name {
            names.append(name)
        }
        return names
    }
}

extension SignableRequest {
    /// Adds a query parameter, encoding its value.
    package mutating func append(_ name: String, _ value: String) {
        if !self.rawQuery.isEmpty { self.rawQuery.append(UInt8(ascii: "&")) }
        self.rawQuery += PercentCoding.encode(name.utf8, keepingSlashes: false)
        self.rawQuery.append(UInt8(ascii: "="))
        self.rawQuery += PercentCoding.encode(value.utf8, keepingSlashes: false)
    }

    /// The target in origin form, to stand in a request line or behind a host in a URL.
    package var target: String {
        let query = self.rawQuery.isEmpty ? [] : [UInt8(ascii: "?")] + self.rawQuery
        return String(decoding: self.rawPath + query, as: UTF8.self)
    }
}
