package import Primitives

/// The signature that a browser's form carries in its fields (Amazon S3 API Reference,
/// "Authenticating requests in browser-based uploads using POST"): over the policy, as it was sent.
package struct SigV4FormClaim: Equatable, Sendable {
    package let accessKey: String
    package let scope: SigV4Scope
    private let signature: [UInt8]

    /// - Parameter field: the value of a form's field, by its name in lower case.
    package static func read(_ field: (String) -> String?) throws(SigV4Refusal) -> SigV4FormClaim {
        guard let credential = field("x-amz-credential"), let date = field("x-amz-date"),
            let signatureText = field("x-amz-signature")
        else {
            throw .malformedQuery(
                "A form needs the fields x-amz-credential, x-amz-date and x-amz-signature")
        }
        guard field("x-amz-algorithm") == SigV4Canonical.algorithm else {
            throw .malformedQuery("x-amz-algorithm only supports \"AWS4-HMAC-SHA256\"")
        }
        let (accessKey, scope) = try SigV4Claim.credential(credential) {
            .malformedQuery("Error parsing the x-amz-credential field; \($0)")
        }
        guard SigV4Date.parse(date) != nil, date.hasPrefix(scope.day) else {
            throw .malformedQuery("x-amz-date must be of the credential's day")
        }
        guard let signature = Hex.decode(signatureText), signature.count == 32 else {
            throw .malformedQuery("x-amz-signature must be 64 hexadecimal digits")
        }
        return SigV4FormClaim(accessKey: accessKey, scope: scope, signature: signature)
    }

    /// Whether the signature is that of `policy`, in the Base64 that it was sent in.
    package func holds(
        for policy: String, key: SigV4SigningKey, using primitives: any SigningPrimitives
    ) -> Bool {
        let expected = primitives.hmacSHA256(Array(policy.utf8), key: key.bytes)
        return equalInConstantTime(expected, self.signature)
    }
}
