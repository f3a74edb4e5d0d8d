/// The key that wraps every secret a group stores: access secrets, bucket keys, private link keys.
/// It lives outside the store, on meta nodes only.
///
/// Envelope format 1: version 1, the 12-byte nonce, the ciphertext, the 16-byte tag. The context is
/// authenticated but not stored: an envelope moved to another row does not open. Random nonces
/// bound one key to 2^32 envelopes (NIST SP 800-38D §8.3).
package struct MasterKey: Sendable {
    package static let nonceSizeBytes = AES256GCM.nonceSizeBytes
    private static let version: UInt8 = 1
    private let key: SymmetricKey

    package init(_ key: SymmetricKey) { self.key = key }

    /// - Parameters:
    ///   - context: what the secret is and whose: "bucket key of photos", say.
    ///   - nonce: 12 fresh random bytes.
    package func wrap(_ secret: [UInt8], context: String, nonce: [UInt8]) -> [UInt8] {
        [Self.version] + nonce
            + AES256GCM.seal(
                secret, key: self.key, nonce: nonce, associated: Array(context.utf8))
    }

    /// Nil when the envelope was wrapped by another key, for another context, or changed.
    package func unwrap(_ envelope: [UInt8], context: String) -> [UInt8]? {
        guard envelope.first == Self.version,
            envelope.count >= 1 + Self.nonceSizeBytes + AES256GCM.tagSizeBytes
        else { return nil }
        let nonce = Array(envelope[1..<1 + Self.nonceSizeBytes])
        return AES256GCM.open(
            envelope[(1 + Self.nonceSizeBytes)...], key: self.key, nonce: nonce,
            associated: Array(context.utf8))
    }
}
