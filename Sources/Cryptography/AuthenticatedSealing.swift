internal import COpenSSLShim
internal import Primitives

/// A 256-bit secret key. Prints as nothing, so that no log line can hold it.
package struct SymmetricKey: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    package static let sizeBytes = 32
    package let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.sizeBytes else { return nil }
        self.bytes = bytes
    }

    /// A key for one purpose (HKDF-SHA256 with an empty salt).
    package func derived(for purpose: [UInt8]) -> SymmetricKey {
        SymmetricKey(
            derived: HKDFSHA256.derive(
                from: self.bytes, info: purpose, sizeBytes: Self.sizeBytes))
    }

    private init(derived: [UInt8]) { self.bytes = derived }

    package var description: String { "SymmetricKey" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// AES-256-GCM (NIST SP 800-38D). A nonce must never be used twice with one key.
package enum AES256GCM {
    package static let nonceSizeBytes = 12
    package static let tagSizeBytes = 16

    /// Seals `plaintext` into the first `plaintext.count + 16` bytes of `output`, the tag last.
    /// `output` may begin where `plaintext` does, and must not overlap it otherwise.
    package static func seal(
        _ plaintext: UnsafeRawBufferPointer, key: SymmetricKey, nonce: [UInt8],
        associated: [UInt8] = [], into output: UnsafeMutableRawBufferPointer
    ) {
        invariant(nonce.count == Self.nonceSizeBytes, "a nonce has 12 bytes")
        invariant(
            output.count >= plaintext.count + Self.tagSizeBytes, "the tag needs room behind")
        let done = key.bytes.withUnsafeBufferPointer { key in
            associated.withUnsafeBytes { associated in
                holdfast_gcm_seal(
                    key.baseAddress, nonce, associated.baseAddress, associated.count,
                    plaintext.baseAddress, plaintext.count,
                    output.assumingMemoryBound(to: UInt8.self).baseAddress)
            }
        }
        invariant(done == 1, "sealing needs nothing but memory")
    }

    /// Opens what `seal` made into the first `sealed.count - 16` bytes of `output`. False when the
    /// tag does not hold; `output` holds zeros then, never unauthenticated bytes.
    package static func open(
        _ sealed: UnsafeRawBufferPointer, key: SymmetricKey, nonce: [UInt8],
        associated: [UInt8] = [], into output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        invariant(nonce.count == Self.nonceSizeBytes, "a nonce has 12 bytes")
        let count = sealed.count - Self.tagSizeBytes
        guard count >= 0 else { return false }
        invariant(output.count >= count, "the plaintext needs room")
        let done = key.bytes.withUnsafeBufferPointer { key in
            associated.withUnsafeBytes { associated in
                holdfast_gcm_open(
                    key.baseAddress, nonce, associated.baseAddress, associated.count,
                    sealed.baseAddress, count,
                    output.assumingMemoryBound(to: UInt8.self).baseAddress)
            }
        }
        guard done == 1 else {
            UnsafeMutableRawBufferPointer(rebasing: output[..<count]).initializeMemory(
                as: UInt8.self, repeating: 0)
            OpenSSLErrors.clear()
            return false
        }
        return true
    }

    package static func seal(
        _ plaintext: [UInt8], key: SymmetricKey, nonce: [UInt8], associated: [UInt8] = []
    ) -> [UInt8] {
        let size = plaintext.count + Self.tagSizeBytes
        return [UInt8](unsafeUninitializedCapacity: size) { output, count in
            plaintext.withUnsafeBytes {
                Self.seal(
                    $0, key: key, nonce: nonce, associated: associated,
                    into: UnsafeMutableRawBufferPointer(output))
            }
            count = size
        }
    }

    /// Nil when the tag does not hold.
    package static func open(
        _ sealed: ArraySlice<UInt8>, key: SymmetricKey, nonce: [UInt8], associated: [UInt8] = []
    ) -> [UInt8]? {
        let size = sealed.count - Self.tagSizeBytes
        guard size >= 0 else { return nil }
        var isAuthentic = false
        let plaintext = [UInt8](unsafeUninitializedCapacity: size) { output, count in
            isAuthentic = sealed.withUnsafeBytes {
                Self.open(
                    $0, key: key, nonce: nonce, associated: associated,
                    into: UnsafeMutableRawBufferPointer(output))
            }
            count = size
        }
        return isAuthentic ? plaintext : nil
    }
}
