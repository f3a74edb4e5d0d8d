package import Primitives

/// What a cluster asks of every signed request.
package struct SigV4Rules: Sendable {
    /// The region that scopes must name; nil accepts any.
    package var region: String?
    /// How far a client's clock may be off, either way.
    package var allowedSkew: Duration

    package init(region: String? = nil, allowedSkew: Duration = .seconds(900)) {
        self.region = region
        self.allowedSkew = allowedSkew
    }
}

/// A signature that a request carries, read but not yet checked: whose it says it is, and for what.
/// The door fetches the signing key of `accessKey` and `scope`, and then asks for the verdict.
package struct SigV4Claim: Equatable, Sendable {
    package static let headerLimitBytes = 8_192
    package static let signedHeadersLimit = 100
    /// Seven days.
    package static let expiresLimitSeconds: Int64 = 604_800

    package let accessKey: String
    package let scope: SigV4Scope
    package let payload: SigV4Payload
    /// As the client wrote it; the day agrees with the scope's.
    package let date: String
    package let time: Timestamp
    /// How long a presigned URL is valid; nil for a signature in the header.
    package let expiresSeconds: Int64?
    let signedHeaders: [String]
    let signature: [UInt8]
    /// What stands for the payload in the canonical request.
    let payloadText: String

    /// Reads the signature of a request. Nil: it carries none and is anonymous.
    package static func read(
        _ request: SignableRequest, rules: SigV4Rules
    ) throws(SigV4Refusal) -> SigV4Claim? {
        guard let query = QueryParameters(request.rawQuery) else { throw .malformedTarget }
        let isInHeader = request.contains("authorization")
        let isPresigned = query.contains("X-Amz-Algorithm") || query.contains("X-Amz-Signature")
        if isPresigned && isInHeader { throw .signedTwice }
        let claim: SigV4Claim
        if isPresigned {
            claim = try Self.readQuery(query, of: request)
        } else if isInHeader {
            claim = try Self.readHeader(of: request)
        } else {
            return nil
        }
        if let region = rules.region, claim.scope.region != region {
            throw .wrongRegion(claim.scope.region, expected: region)
        }
        try claim.checkSignedHeaders(of: request)
        return claim
    }

    /// Judges the claim. `request` must be the one that it was read from.
    package func verdict(
        on request: SignableRequest, key: SigV4SigningKey, now: Timestamp, rules: SigV4Rules,
        using primitives: any SigningPrimitives
    ) -> SigV4Verdict {
        if let refusal = self.refusalOfTime(now: now, rules: rules) { return .refused(refusal) }
        let canonicalRequest = SigV4Canonical.request(
            request, signedHeaders: self.signedHeaders, payload: self.payloadText)
        guard let canonicalRequest else { return .refused(.malformedTarget) }
        let stringToSign = SigV4Canonical.stringToSign(
            date: self.date, scope: self.scope, canonicalRequest: canonicalRequest,
            using: primitives)
        let expected = primitives.hmacSHA256(Array(stringToSign.utf8), key: key.bytes)
        guard equalInConstantTime(expected, self.signature) else {
            return .refused(
                .signatureMismatch(
                    canonicalRequest: String(decoding: canonicalRequest, as: UTF8.self),
                    stringToSign: stringToSign))
        }
        return .accepted(
            SigV4Acceptance(
                accessKey: self.accessKey, scope: self.scope, payload: self.payload,
                isPresigned: self.expiresSeconds != nil, date: self.date,
                signature: Hex.encode(self.signature)))
    }

    private func refusalOfTime(now: Timestamp, rules: SigV4Rules) -> SigV4Refusal? {
        guard let expiresSeconds = self.expiresSeconds else {
            let isNear =
                now - self.time <= rules.allowedSkew
                && self.time - now <= rules.allowedSkew
            return isNear ? nil : .clockSkewed(requestTime: self.time, serverTime: now)
        }
        if self.time - now > rules.allowedSkew {
            return .notYetValid(from: self.time, serverTime: now)
        }
        let end = self.time + .seconds(expiresSeconds)
        return now <= end ? nil : .expired(at: end, serverTime: now)
    }

    /// An unsigned header that changes what a request does could be added by anybody who sees it.
    private func checkSignedHeaders(of request: SignableRequest) throws(SigV4Refusal) {
        guard self.signedHeaders.contains("host") else { throw .unsignedHeader("host") }
        for header in request.headers where header.name.hasPrefix("x-amz-") {
            // An unsigned payload hash of a presigned request says nothing, because
            // UNSIGNED-PAYLOAD stands in its place.
            let saysNothing =
                self.expiresSeconds != nil && header.name == SigV4Claim.payloadHeader
            guard saysNothing || self.signedHeaders.contains(header.name) else {
                throw .unsignedHeader(header.name)
            }
        }
    }

    static let payloadHeader = "x-amz-content-sha256"
}
