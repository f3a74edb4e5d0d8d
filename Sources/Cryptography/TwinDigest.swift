internal import COpenSSLShim

/// MD5 and SHA-256 of the same bytes, which come piece by piece: what every body stored by S3 needs.
/// Where the processor has instructions for SHA-256, both take little more time than MD5 alone. A
/// value: a copy goes its own way.
package struct TwinDigest: Sendable {
    private enum Form: Sendable {
        case together(holdfast_twin_digest)
        case apart(MD5Digest, SHA256Digest)
    }

    private var form: Form

    /// - Parameter isTogether: false to have OpenSSL compute one after the other in any case.
    package init(isTogether: Bool = true) {
        var digest = holdfast_twin_digest()
        let canBeTogether = holdfast_twin_digest_begin(&digest) == 1
        self.form = isTogether && canBeTogether ? .together(digest) : .apart(.init(), .init())
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch self.form {
        case .together(var digest):
            holdfast_twin_digest_update(&digest, bytes.baseAddress, bytes.count)
            self.form = .together(digest)
        case .apart(var md5, var sha256):
            // One owner each while they change, else they are copied.
            self.form = .together(holdfast_twin_digest())
            md5.update(bytes)
            sha256.update(bytes)
            self.form = .apart(md5, sha256)
        }
    }

    /// The digests of all bytes so far. More may follow, and the digests then cover them too.
    package func finish() -> (md5: [UInt8], sha256: [UInt8]) {
        switch self.form {
        case .apart(let md5, let sha256): return (md5.finish(), sha256.finish())
        case .together(var digest):
            var md5 = [UInt8](repeating: 0, count: MD5.sizeBytes)
            var sha256 = [UInt8](repeating: 0, count: SHA256.sizeBytes)
            holdfast_twin_digest_end(&digest, &md5, &sha256)
            return (md5, sha256)
        }
    }
}
