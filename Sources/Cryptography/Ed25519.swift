internal import COpenSSL
internal import Primitives

/// A key that makes Ed25519 signatures (RFC 8032 §5.1).
package struct Ed25519PrivateKey: Sendable {
    package static let seedSizeBytes = 32
    private let handle: KeyHandle

    /// The key of a 32-byte seed; nil for another size. Seeds come from `Environment.randomBytes`.
    package init?(seed: [UInt8]) {
        let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        guard seed.count == Self.seedSizeBytes, let key else {
            EVP_PKEY_free(key)
            OpenSSLErrors.clear()
            return nil
        }
        self.handle = KeyHandle(key)
    }

    /// The 64-byte signature; the same for the same message, always.
    package func sign(_ message: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        return [UInt8](unsafeUninitializedCapacity: 64) { out, count in
            count = 64
            let done =
                EVP_DigestSignInit(context, nil, nil, nil, self.handle.pointer) == 1
                && EVP_DigestSign(context, out.baseAddress, &count, message, message.count) == 1
            invariant(done && count == 64, "an Ed25519 key signs any message")
        }
    }

    package var publicKeyBytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            count = 32
            let done = EVP_PKEY_get_raw_public_key(self.handle.pointer, out.baseAddress, &count)
            invariant(done == 1 && count == 32, "an Ed25519 private key has its public key")
        }
    }
}

/// A key that checks Ed25519 signatures.
package struct Ed25519PublicKey: Sendable, Equatable {
    package let bytes: [UInt8]
    private let handle: KeyHandle

    /// Nil unless these are 32 bytes and a point that only the holder of a private key can have
    /// made: with a point of small order anybody can sign anything.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 32, !Self.hasSmallOrder(bytes),
            let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
        else {
            OpenSSLErrors.clear()
            return nil
        }
        self.bytes = bytes
        self.handle = KeyHandle(key)
    }

    /// OpenSSL refuses a signature whose S is not below the group's order (RFC 8032 §5.1.7), so no
    /// second signature can be made of a first.
    package func isValid(signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == 64 else { return false }
        let context = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(context)
            OpenSSLErrors.clear()
        }
        return EVP_DigestVerifyInit(context, nil, nil, nil, self.handle.pointer) == 1
            && EVP_DigestVerify(context, signature, 64, message, message.count) == 1
    }

    package static func == (a: Self, b: Self) -> Bool { a.bytes == b.bytes }

    /// The y coordinates of the eight points of small order, and their encodings that are not
    /// reduced (as in libsodium's `ge25519_has_small_order`); the sign bit is not compared.
    private static func hasSmallOrder(_ bytes: [UInt8]) -> Bool {
        var y = bytes
        y[31] &= 0x7f
        return Self.smallOrder.contains(y)
    }

    private static let smallOrder: [[UInt8]] = {
        func padded(_ first: UInt8, _ rest: UInt8, _ last: UInt8) -> [UInt8] {
            [first] + [UInt8](repeating: rest, count: 30) + [last]
        }
        let order8 = [
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ].compactMap { Hex.decode($0) }
        return order8 + [
            padded(0, 0, 0), padded(1, 0, 0), padded(0xec, 0xff, 0x7f),
            padded(0xed, 0xff, 0x7f), padded(0xee, 0xff, 0x7f),
        ]
    }()
}

/// An OpenSSL key. Unchecked, because nobody changes it after it was made, and OpenSSL counts
/// its references atomically.
final class KeyHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { EVP_PKEY_free(self.pointer) }
}
