internal import Primitives

/// The chain of signatures over the chunks of an `aws-chunked` body: each covers its chunk and the
/// signature before it ("Transferring Payload in Multiple Chunks", Amazon S3 API Reference).
package struct SigV4ChunkChain: Sendable {
    private let key: SigV4SigningKey
    private let date: String
    private let scope: SigV4Scope
    private var last: String

    /// Begins behind the request's own signature.
    package init(_ request: SigV4Acceptance, key: SigV4SigningKey) {
        self.key = key
        self.date = request.date
        self.scope = request.scope
        self.last = request.signature
    }

    /// Whether `signature` is that of the next chunk, whose SHA-256 is `chunkHash`. The last chunk
    /// is empty and signed too. After false the body must be refused.
    package mutating func accepts(
        chunkHash: [UInt8], signature: String, using primitives: any SigningPrimitives
    ) -> Bool {
        let stringToSign =
            "AWS4-HMAC-SHA256-PAYLOAD\n\(self.date)\n\(self.scope)\n\(self.last)\n"
            + "\(SigV4Payload.emptyHash)\n\(Hex.encode(chunkHash))"
        return self.accepts(stringToSign, signature: signature, using: primitives)
    }

    /// Whether `signature` is that of the trailer.
    ///
    /// - Parameter trailer: the trailing header lines as `name:value\n`, without the signature's.
    package mutating func accepts(
        trailer: [UInt8], signature: String, using primitives: any SigningPrimitives
    ) -> Bool {
        let stringToSign =
            "AWS4-HMAC-SHA256-TRAILER\n\(self.date)\n\(self.scope)\n\(self.last)\n"
            + Hex.encode(primitives.sha256(trailer))
        return self.accepts(stringToSign, signature: signature, using: primitives)
    }

    private mutating func accepts(
        _ stringToSign: String, signature: String, using primitives: any SigningPrimitives
    ) -> Bool {
        let expected = self.key.sign(stringToSign, using: primitives)
        guard equalInConstantTime(Array(expected.utf8), Array(signature.utf8)) else {
            return false
        }
        self.last = expected
        return true
    }
}
