internal import Primitives

/// What a signing key is good for: one day, one region, the service `s3`.
package struct SigV4Scope: Hashable, Sendable, CustomStringConvertible {
    /// `yyyymmdd`.
    package let day: String
    package let region: String

    package init(day: String, region: String) {
        self.day = day
        self.region = region
    }

    package var description: String { "\(self.day)/\(self.region)/s3/aws4_request" }
}

/// The key that signs within one scope. Whoever has it can sign for that day and region, and cannot
/// find the secret from it.
package struct SigV4SigningKey: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    package let bytes: [UInt8]

    /// A key that was derived elsewhere, by a node that holds the secret.
    package init(derived bytes: [UInt8]) { self.bytes = bytes }

    package init(secret: String, scope: SigV4Scope, using primitives: any SigningPrimitives) {
        var key = Array("AWS4\(secret)".utf8)
        for part in [scope.day, scope.region, "s3", "aws4_request"] {
            key = primitives.hmacSHA256(Array(part.utf8), key: key)
        }
        self.bytes = key
    }

    /// The lower-case hexadecimal signature of a string to sign.
    package func sign(_ stringToSign: String, using primitives: any SigningPrimitives) -> String {
        Hex.encode(primitives.hmacSHA256(Array(stringToSign.utf8), key: self.bytes))
    }

    package var description: String { "SigV4SigningKey" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// How the body of a request is covered by its signature (`x-amz-content-sha256`).
package enum SigV4Payload: Hashable, Sendable {
    /// The body's SHA-256, 32 bytes: the door compares (else `XAmzContentSHA256Mismatch`).
    case hash([UInt8])
    /// The body is plain and not covered.
    case unsigned
    /// `aws-chunked`; each chunk carries a signature that `SigV4ChunkChain` checks.
    case signedChunks(withTrailer: Bool)
    /// `aws-chunked` without signatures, a checksum in the trailer.
    case unsignedChunksWithTrailer

    /// The SHA-256 of no bytes.
    package static let emptyHash =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The form that stands in the header and in the canonical request.
    package var text: String {
        switch self {
        case .hash(let bytes): Hex.encode(bytes)
        case .unsigned: "UNSIGNED-PAYLOAD"
        case .signedChunks(withTrailer: false): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        case .signedChunks(withTrailer: true): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
        case .unsignedChunksWithTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        }
    }

    static func read(_ text: String) -> Result<SigV4Payload, SigV4Refusal> {
        let fixed: [SigV4Payload] = [
            .unsigned, .signedChunks(withTrailer: false), .signedChunks(withTrailer: true),
            .unsignedChunksWithTrailer,
        ]
        if let payload = fixed.first(where: { $0.text == text }) { return .success(payload) }
        if text.hasPrefix("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD") {
            return .failure(.notImplemented("Signature Version 4A"))
        }
        guard let bytes = Hex.decode(text), bytes.count == 32 else {
            return .failure(.invalidPayloadHash)
        }
        return .success(.hash(bytes))
    }
}
