internal import COpenSSL
internal import COpenSSLShim
internal import Primitives
internal import Signing

/// HMAC with SHA-256 (RFC 2104).
package enum HMACSHA256 {
    package static let sizeBytes = 32

    package static func authenticate(
        _ bytes: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.sizeBytes) { out, count in
            let done = holdfast_hmac_sha256(
                key.baseAddress, key.count, bytes.baseAddress, bytes.count, out.baseAddress)
            invariant(done == 1, "an HMAC needs nothing but memory")
            count = Self.sizeBytes
        }
    }

    package static func authenticate(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        key.withUnsafeBytes { key in
            bytes.withUnsafeBytes { Self.authenticate($0, key: key) }
        }
    }
}

/// HMAC with SHA-1 (RFC 2104); only where a protocol of others wants it. What is weak about SHA-1 are
/// collisions, which HMAC does not rest on (RFC 6194 §3.3).
package enum HMACSHA1 {
    private static let blockBytes = 64

    package static func authenticate(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        var block = key.count > Self.blockBytes ? SHA1.hash(key) : key
        block += [UInt8](repeating: 0, count: Self.blockBytes - block.count)
        let inner = SHA1.hash(block.map { $0 ^ 0x36 } + bytes)
        return SHA1.hash(block.map { $0 ^ 0x5c } + inner)
    }
}

/// HKDF with SHA-256 (RFC 5869): keys for one purpose each from one good key.
package enum HKDFSHA256 {
    /// RFC 5869 §2.3: 255 blocks.
    package static let outputLimitBytes = 255 * 32

    /// - Parameters:
    ///   - info: what the key is for; different purposes give unrelated keys.
    ///   - sizeBytes: 1...`outputLimitBytes`.
    package static func derive(
        from secret: [UInt8], salt: [UInt8] = [], info: [UInt8], sizeBytes: Int
    ) -> [UInt8] {
        invariant(
            sizeBytes > 0 && sizeBytes <= Self.outputLimitBytes, "RFC 5869 bounds the output")
        // An empty salt is a block of zeros (§2.2), and HMAC pads any key with zeros.
        let pseudorandomKey = HMACSHA256.authenticate(secret, key: salt)
        var output: [UInt8] = []
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while output.count < sizeBytes {
            block = HMACSHA256.authenticate(block + info + [counter], key: pseudorandomKey)
            output += block
            counter &+= 1
        }
        return Array(output.prefix(sizeBytes))
    }
}

/// The primitives that `Signing` asks for, by OpenSSL.
package struct OpenSSLPrimitives: SigningPrimitives {
    package init() {}

    package func sha256(_ bytes: [UInt8]) -> [UInt8] { SHA256.hash(bytes) }

    package func hmacSHA256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        HMACSHA256.authenticate(bytes, key: key)
    }
}

/// Compares secrets in a time that depends on their lengths alone.
package enum ConstantTime {
    package static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count
            && a.withUnsafeBytes { a in
                b.withUnsafeBytes { CRYPTO_memcmp(a.baseAddress, $0.baseAddress, a.count) == 0 }
            }
    }
}

/// scrypt (RFC 7914): a password's proof, slow and large on purpose. Run it in the compute lane.
package enum Scrypt {
    /// How much an attempt costs: memory is 128 * `blockSize` * 2^`costBits` bytes.
    package struct Cost: Hashable, Sendable {
        package var costBits: UInt8
        package var blockSize: UInt8
        package var parallelism: UInt8

        /// 32 MiB and about 100 ms.
        package static let interactive = Cost(costBits: 15, blockSize: 8, parallelism: 1)

        package init(costBits: UInt8, blockSize: UInt8, parallelism: UInt8) {
            self.costBits = costBits
            self.blockSize = blockSize
            self.parallelism = parallelism
        }
    }

    /// What one derivation may take of memory, whatever a stored cost says.
    package static let memoryLimitBytes: UInt64 = 256 << 20

    /// Nil when the cost is outside what RFC 7914 or the memory limit allow.
    package static func derive(
        password: [UInt8], salt: [UInt8], cost: Cost, sizeBytes: Int = 32
    ) -> [UInt8]? {
        guard (1...24).contains(cost.costBits), cost.blockSize > 0, cost.parallelism > 0,
            sizeBytes > 0
        else { return nil }
        var done: Int32 = 0
        let key = [UInt8](unsafeUninitializedCapacity: sizeBytes) { out, count in
            password.withUnsafeBytes { password in
                salt.withUnsafeBufferPointer { salt in
                    done = EVP_PBE_scrypt(
                        password.bindMemory(to: CChar.self).baseAddress, password.count,
                        salt.baseAddress, salt.count, 1 << UInt64(cost.costBits),
                        UInt64(cost.blockSize), UInt64(cost.parallelism), Self.memoryLimitBytes,
                        out.baseAddress, sizeBytes)
                }
            }
            count = done == 1 ? sizeBytes : 0
        }
        OpenSSLErrors.clear()
        return done == 1 ? key : nil
    }
}
