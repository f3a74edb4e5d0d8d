internal import COpenSSL
internal import COpenSSLShim
internal import Primitives

/// A hash function by name. Its cases are types, so that a digest's kind is known when compiling.
package protocol DigestAlgorithm: Sendable {
    static var sizeBytes: Int { get }
    static var method: DigestMethod { get }
}

/// FIPS 180-4.
package enum SHA256: DigestAlgorithm {
    package static let sizeBytes = 32
    package static var method: DigestMethod { DigestMethod(pointer: holdfast_sha256()) }
}

/// FIPS 180-4; only where a protocol of others wants it.
package enum SHA1: DigestAlgorithm {
    package static let sizeBytes = 20
    package static var method: DigestMethod { DigestMethod(pointer: holdfast_sha1()) }
}

/// RFC 1321; only for S3's ETag and Content-MD5.
package enum MD5: DigestAlgorithm {
    package static let sizeBytes = 16
    package static var method: DigestMethod { DigestMethod(pointer: holdfast_md5()) }
}

package typealias SHA256Digest = Digest<SHA256>
package typealias SHA1Digest = Digest<SHA1>
package typealias MD5Digest = Digest<MD5>

/// OpenSSL's implementation of one algorithm.
package struct DigestMethod {
    let pointer: OpaquePointer

    init(pointer: OpaquePointer?) {
        guard let pointer else { brokenInvariant("OpenSSL has SHA-256, SHA-1 and MD5") }
        self.pointer = pointer
    }
}

extension DigestAlgorithm {
    /// The digest of one message that lies in memory whole.
    package static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.sizeBytes) { out, count in
            let done = holdfast_digest(
                Self.method.pointer, bytes.baseAddress, bytes.count, out.baseAddress)
            invariant(done == 1, "a digest needs nothing but memory")
            count = Self.sizeBytes
        }
    }

    package static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes(Self.hash) }

    package static func hash(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        bytes.withUnsafeBytes(Self.hash)
    }
}

/// A digest of bytes that come piece by piece. A value: a copy goes its own way.
package struct Digest<Algorithm: DigestAlgorithm>: Sendable {
    private var state = DigestState(Algorithm.method)

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if !isKnownUniquelyReferenced(&self.state) { self.state = DigestState(copyOf: self.state) }
        self.state.update(bytes)
    }

    package mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { self.update($0) } }

    package mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { self.update($0) }
    }

    /// The digest of all bytes so far. More may follow, and the digest then covers them too.
    package func finish() -> [UInt8] {
        DigestState(copyOf: self.state).finish(sizeBytes: Algorithm.sizeBytes)
    }
}

/// An OpenSSL context. Unchecked, because `Digest` changes it only while it is the only one
/// who holds it, and a context is tied to no thread.
private final class DigestState: @unchecked Sendable {
    private let context: OpaquePointer

    init(_ method: DigestMethod) {
        guard let context = EVP_MD_CTX_new() else { brokenInvariant("a digest needs memory") }
        self.context = context
        let done = EVP_DigestInit_ex2(context, method.pointer, nil)
        invariant(done == 1, "a fetched digest can be begun")
    }

    init(copyOf other: DigestState) {
        guard let context = EVP_MD_CTX_new() else { brokenInvariant("a digest needs memory") }
        self.context = context
        let done = EVP_MD_CTX_copy_ex(context, other.context)
        invariant(done == 1, "a digest can be copied")
    }

    deinit { EVP_MD_CTX_free(self.context) }

    func update(_ bytes: UnsafeRawBufferPointer) {
        let done = EVP_DigestUpdate(self.context, bytes.baseAddress, bytes.count)
        invariant(done == 1, "a digest that has begun takes bytes")
    }

    func finish(sizeBytes: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: sizeBytes) { out, count in
            let done = EVP_DigestFinal_ex(self.context, out.baseAddress, nil)
            invariant(done == 1, "a digest that has begun can end")
            count = sizeBytes
        }
    }
}
