import Cryptography
import HTTPSyntax
import Primitives

/// What an object's bytes are held against, fed piece by piece in their order. A value.
package enum ContentCheck: Sendable {
    case sha256(SHA256Digest, expected: String)
    /// S3's `COMPOSITE` SHA-256, of an object that was uploaded in parts of one size.
    case sha256OfParts(PartsDigest<SHA256>, expected: String)
    case md5(MD5Digest, expected: String)
    /// The entity tag of an object that was copied in parts of one size.
    case md5OfParts(PartsDigest<MD5>, expected: String)
    /// The edge announced nothing to compare with.
    case none

    /// Chooses the strongest that an answer's head announces.
    package init(announcedBy fields: Fields) {
        let etag = (fields.text("etag") ?? "").filter { $0 != "\"" }.lowercased()
        let partBytes = fields.text(PartPlan.metadataField).flatMap { UInt64($0) }
        if let expected = fields.text("x-holdfast-sha256")?.lowercased() {
            self = .sha256(SHA256Digest(), expected: expected)
        } else if let expected = FileClient.md5(inETag: etag) {
            self = .md5(MD5Digest(), expected: expected)
        } else if let partBytes, partBytes > 0 {
            if let expected = fields.text("x-amz-checksum-sha256") {
                self = .sha256OfParts(PartsDigest(partBytes: partBytes), expected: expected)
            } else if etag.contains("-") {
                self = .md5OfParts(PartsDigest(partBytes: partBytes), expected: etag)
            } else {
                self = .none
            }
        } else {
            self = .none
        }
    }

    package var isNone: Bool {
        if case .none = self { true } else { false }
    }

    /// What the bytes should have hashed to and what they did; nil when they are right, or when
    /// there is nothing to compare with.
    package var mismatch: (expected: String, received: String)? {
        switch self {
        case .sha256(let digest, let expected):
            Self.compare(Hex.encode(digest.finish()), expected)
        case .sha256OfParts(let digest, let expected):
            Self.compare(digest.finish(Base64.encode), expected)
        case .md5(let digest, let expected): Self.compare(Hex.encode(digest.finish()), expected)
        case .md5OfParts(let digest, let expected):
            Self.compare(digest.finish { Hex.encode($0) }, expected)
        case .none: nil
        }
    }

    private static func compare(
        _ received: String, _ expected: String
    ) -> (expected: String, received: String)? {
        received == expected ? nil : (expected, received)
    }

    package func updated(with bytes: [UInt8]) -> Self {
        switch self {
        case .sha256(var digest, let expected):
            digest.update(bytes)
            return .sha256(digest, expected: expected)
        case .sha256OfParts(var digest, let expected):
            digest.update(bytes)
            return .sha256OfParts(digest, expected: expected)
        case .md5(var digest, let expected):
            digest.update(bytes)
            return .md5(digest, expected: expected)
        case .md5OfParts(var digest, let expected):
            digest.update(bytes)
            return .md5OfParts(digest, expected: expected)
        case .none: return .none
        }
    }
}

/// The digest of the digests of parts (Amazon S3, "Checking object integrity").
package struct PartsDigest<Algorithm: DigestAlgorithm>: Sendable {
    private let partBytes: UInt64
    private var part = Digest<Algorithm>()
    private var partFilledBytes: UInt64 = 0
    private var whole = Digest<Algorithm>()
    private var partCount = 0

    package init(partBytes: UInt64) {
        invariant(partBytes > 0, "a part has bytes")
        self.partBytes = partBytes
    }

    package mutating func update(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let taken = rest.prefix(Int(clamping: self.partBytes - self.partFilledBytes))
            self.part.update(taken)
            self.partFilledBytes += UInt64(taken.count)
            rest = rest.dropFirst(taken.count)
            if self.partFilledBytes == self.partBytes { self.endPart() }
        }
    }

    /// The digest, and the number of parts behind a hyphen.
    package func finish(_ encode: ([UInt8]) -> String) -> String {
        var ended = self
        if ended.partFilledBytes > 0 { ended.endPart() }
        return "\(encode(ended.whole.finish()))-\(ended.partCount)"
    }

    private mutating func endPart() {
        self.whole.update(self.part.finish())
        self.part = Digest()
        self.partFilledBytes = 0
        self.partCount += 1
    }

    /// The same from digests that are known, in the order of their parts.
    package static func joined(_ digests: [[UInt8]], _ encode: ([UInt8]) -> String) -> String {
        "\(encode(Algorithm.hash(Array(digests.joined()))))-\(digests.count)"
    }
}
