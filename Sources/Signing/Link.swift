package import Primitives

/// Why a link opens nothing here and now.
package enum LinkRefusal: Error, Equatable, Sendable {
    /// Not a link, or one whose policy no maker would have signed.
    case malformed
    /// No link key of this cluster has the number.
    case unknownKey(LinkKeyID)
    case badSignature
    case notYetValid(fromSeconds: Int64)
    case expired(atSeconds: Int64)
    case wrongMethod
    case wrongPath
    case wrongNetwork
    case staleEpoch
    /// This one link was withdrawn.
    case revoked
}

package enum LinkVerdict: Equatable, Sendable {
    /// The holder may do what was asked, within the policy's size and version.
    case allowed
    case refused(LinkRefusal)
}

/// A policy and its signature, as they travel in a URL: `/f/BUCKET/KEY?hf-policy=…&hf-signature=…`,
/// both in base 64 for URLs.
package struct Link: Equatable, Sendable {
    package static let policyParameter = "hf-policy"
    package static let signatureParameter = "hf-signature"
    /// What is signed begins with this and a zero byte, so that a link's signature is good for
    /// nothing else, and nothing else's for a link.
    private static let domain = Array("holdfast-link-1".utf8) + [0]
    /// How far an edge's clock and a maker's may differ.
    package static let allowedSkewSeconds: Int64 = 60

    package let policy: LinkPolicy
    package let signature: [UInt8]

    init(policy: LinkPolicy, signature: [UInt8]) {
        self.policy = policy
        self.signature = signature
    }

    /// Reads the link of a request's raw query. Other parameters may stand beside it; each of its
    /// own stands once. Nil: the query has no part of a link.
    package static func read(rawQuery: [UInt8]) throws(LinkRefusal) -> Link? {
        guard let query = QueryParameters(rawQuery) else { throw .malformed }
        guard query.contains(Self.policyParameter) || query.contains(Self.signatureParameter) else {
            return nil
        }
        guard let policyText = query.only(Self.policyParameter),
            let signatureText = query.only(Self.signatureParameter),
            policyText.utf8.count <= LinkPolicy.sizeLimitBytes,
            signatureText.utf8.count == 86,
            let policyBytes = Base64.decodeForURL(policyText),
            let signature = Base64.decodeForURL(signatureText), signature.count == 64
        else { throw .malformed }
        do throws(FormatFault) {
            return Link(policy: try LinkPolicy(decoding: policyBytes), signature: signature)
        } catch { throw .malformed }
    }

    /// The parameters to append to a URL.
    package var query: String {
        self.parameters.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
    }

    /// None of them needs to be escaped in a URL.
    package var parameters: [(name: String, value: String)] {
        [
            (Self.policyParameter, Base64.encodeForURL(self.policy.encoded())),
            (Self.signatureParameter, Base64.encodeForURL(self.signature)),
        ]
    }

    /// Whether the link key's holder made this link. The answer never changes, so an edge may
    /// remember it; all else must be asked each time, with `verdict`.
    ///
    /// - Parameter verify: whether the signature is one of the message, by the public key of
    ///   `policy.keyID` (RFC 8032).
    package func isAuthentic(
        _ verify: (_ signature: [UInt8], _ message: [UInt8]) -> Bool
    ) -> Bool {
        Self.hasCanonicalScalar(self.signature)
            && verify(self.signature, Self.message(of: self.policy))
    }

    /// Judges an authentic link: may this be done now, from there? Pass the epochs in force, and
    /// whether the link's id is on the denylist of its bucket.
    package func verdict(
        on request: LinkRequest, epochs: LinkEpochs, isRevoked: Bool
    ) -> LinkVerdict {
        let refusal =
            self.refusal(of: request) ?? self.withdrawal(epochs: epochs, isRevoked: isRevoked)
        return refusal.map { .refused($0) } ?? .allowed
    }

    /// Why the link does not allow a request, by what it says itself.
    package func refusal(of request: LinkRequest) -> LinkRefusal? {
        let policy = self.policy
        let now = request.now.seconds
        if now + Self.allowedSkewSeconds < policy.notBeforeSeconds {
            return .notYetValid(fromSeconds: policy.notBeforeSeconds)
        }
        if now >= policy.expirySeconds { return .expired(atSeconds: policy.expirySeconds) }
        guard let needed = LinkMethods(method: request.method), policy.methods.contains(needed)
        else { return .wrongMethod }
        guard let target = LinkTarget(rawPath: request.rawPath), target.matches(policy.path) else {
            return .wrongPath
        }
        if let network = policy.network {
            guard let client = request.client, network.contains(client) else {
                return .wrongNetwork
            }
        }
        return nil
    }

    /// Why the link holds no longer, by what the cluster has said since it was made.
    package func withdrawal(epochs: LinkEpochs, isRevoked: Bool) -> LinkRefusal? {
        if self.policy.epochs != epochs { return .staleEpoch }
        return isRevoked ? .revoked : nil
    }

    static func message(of policy: LinkPolicy) -> [UInt8] { Self.domain + policy.encoded() }

    /// Whether S, the second half, is below the group's order L (RFC 8032 §5.1.7): else who has one
    /// signature can make a second.
    private static func hasCanonicalScalar(_ signature: [UInt8]) -> Bool {
        guard signature.count == 64 else { return false }
        return signature[32...].reversed().lexicographicallyPrecedes(Self.order)
    }

    /// L = 2^252 + 27742317777372353535851937790883648493, most significant byte first.
    private static let order: [UInt8] = [
        0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58, 0x12, 0x63, 0x1a, 0x5c, 0xf5, 0xd3,
        0xed,
    ]
}

/// What a request with a link asks for.
package struct LinkRequest: Sendable {
    package var method: String
    /// The path behind `/f/`, as it stood on the wire: `bucket/key`.
    package var rawPath: ArraySlice<UInt8>
    /// Where the client is, as the edge saw it.
    package var client: IPAddress?
    package var now: Timestamp

    package init(
        method: String, rawPath: ArraySlice<UInt8>, client: IPAddress?, now: Timestamp
    ) {
        self.method = method
        self.rawPath = rawPath
        self.client = client
        self.now = now
    }
}

/// Makes links. Only meta nodes have the key that `sign` uses.
package struct LinkSigner: Sendable {
    private let sign: @Sendable (_ message: [UInt8]) -> [UInt8]

    package init(sign: @escaping @Sendable (_ message: [UInt8]) -> [UInt8]) { self.sign = sign }

    /// Nil for a policy that edges would refuse: no method, a doubtful path, an end before the
    /// beginning, a field over its limit.
    package func link(for policy: LinkPolicy) -> Link? {
        let encoded = policy.encoded()
        let decoded: LinkPolicy
        do throws(FormatFault) { decoded = try LinkPolicy(decoding: encoded) } catch { return nil }
        guard decoded == policy, policy.notBeforeSeconds < policy.expirySeconds,
            Base64.encodeForURL(encoded).utf8.count <= LinkPolicy.sizeLimitBytes
        else { return nil }
        return Link(policy: policy, signature: self.sign(Link.message(of: policy)))
    }
}
