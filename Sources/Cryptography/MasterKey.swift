package import Primitives

/// A key that wraps the secrets a group stores: access secrets, bucket keys, private link keys. It
/// lives outside the store, on meta nodes only.
///
/// Envelope format 1: version 1, the key's id (16 bytes), the 12-byte nonce, the ciphertext, the
/// 16-byte tag. Version, id and context are authenticated, and the context is not stored: an
/// envelope moved to another row does not open, nor one that names another key. AES-GCM alone commits
/// to no key (Albertini et al., "How to abuse and fix authenticated encryption without key
/// commitment", USENIX Security 2022); the id does, because it is derived from the key. Random nonces
/// bound one key to 2^32 envelopes (NIST SP 800-38D §8.3).
package struct MasterKey: Sendable {
    package static let nonceSizeBytes = AES256GCM.nonceSizeBytes
    private static let idLabel = Array("holdfast master key id 1".utf8)

    package let id: MasterKeyID
    private let key: SymmetricKey

    /// The id is the front of HKDF-SHA256(key, info "holdfast master key id 1").
    package init(_ key: SymmetricKey) {
        let derived = key.derived(for: Self.idLabel).bytes
        guard let id = MasterKeyID(bytes: Array(derived[..<MasterKeyID.sizeBytes])) else {
            brokenInvariant("an id is shorter than a key")
        }
        self.id = id
        self.key = key
    }

    /// As the key ring's file holds it: 64 hexadecimal digits. A secret.
    package var digits: String { Hex.encode(self.key.bytes) }

    /// - Parameters:
    ///   - context: what the secret is and whose: "bucket key of photos", say.
    ///   - nonce: 12 fresh random bytes.
    package func wrap(_ secret: [UInt8], context: String, nonce: [UInt8]) -> [UInt8] {
        let head = [WrappedSecret.version] + self.id.bytes
        return head + nonce
            + AES256GCM.seal(
                secret, key: self.key, nonce: nonce, associated: head + Array(context.utf8))
    }

    /// Nil when the envelope was wrapped by another key, for another context, or changed.
    package func unwrap(_ envelope: [UInt8], context: String) -> [UInt8]? {
        let nonceEnd = WrappedSecret.headBytes + Self.nonceSizeBytes
        guard WrappedSecret.masterKey(of: envelope) == self.id,
            envelope.count >= nonceEnd + AES256GCM.tagSizeBytes
        else { return nil }
        let head = Array(envelope[..<WrappedSecret.headBytes])
        return AES256GCM.open(
            envelope[nonceEnd...], key: self.key,
            nonce: Array(envelope[WrappedSecret.headBytes..<nonceEnd]),
            associated: head + Array(context.utf8))
    }
}
