import Catalog
import Cryptography
import Primitives

/// A piece of a body as its client cut it, and the hash that the client says it has. Such pieces
/// become chunks as they are, and one that the bucket has already is not stored again.
package struct StatedChunk: Equatable, Sendable {
    package let sizeBytes: Int
    package let sha256: [UInt8]

    /// Nil unless it has 1 byte to 16 MiB, and the hash 32 bytes.
    package init?(sizeBytes: Int, sha256: [UInt8]) {
        guard (1...Int(CatalogLimits.chunkBytes)).contains(sizeBytes), sha256.count == 32 else {
            return nil
        }
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
    }
}

/// How far a body has come through the chunks that its client stated.
struct StatedChunks: Sendable {
    /// What has arrived of a stated chunk.
    struct Arrival: Sendable {
        /// The whole of it, in one piece: what it may be found by.
        let fingerprint: ChunkFingerprint?
        /// A chunk of the bucket with the same bytes.
        let known: ChunkReference?
        fileprivate let digest: SHA256Digest
        /// Nil where more of the chunk is to come.
        fileprivate let expected: [UInt8]?

        /// Feeds the bytes; what to go on with, or nil when they are not what was stated.
        func verify(_ bytes: [UInt8]) -> SHA256Digest? {
            var digest = self.digest
            bytes.withUnsafeBytes { digest.update($0) }
            guard let expected = self.expected else { return digest }
            return digest.finish() == expected ? SHA256Digest() : nil
        }
    }

    private let chunks: [StatedChunk]
    private let fingerprints: [ChunkFingerprint]
    private let known: [ChunkFingerprint: ChunkReference]
    private var index = 0
    /// Of the chunk at `index`, where its beginning was stored already because memory was short.
    private var doneBytes = 0
    /// Of those bytes.
    var digest = SHA256Digest()

    /// - Parameter known: chunks of the bucket by what their bytes are found by.
    init(
        _ chunks: [StatedChunk], _ fingerprints: [ChunkFingerprint],
        known: [ChunkFingerprint: ChunkReference]
    ) {
        self.chunks = chunks
        self.fingerprints = fingerprints
        self.known = known
    }

    /// What is left of the chunk that comes next; 0 when all have come.
    var roomBytes: Int {
        self.index < self.chunks.count ? self.chunks[self.index].sizeBytes - self.doneBytes : 0
    }

    var isComplete: Bool { self.index == self.chunks.count }

    /// The next bytes, at most `roomBytes`.
    mutating func arrived(_ bytes: Int) -> Arrival {
        let stated = self.chunks[self.index]
        let fingerprint = self.fingerprints[self.index]
        let isWhole = bytes == stated.sizeBytes
        let isEnd = bytes == self.roomBytes
        let found = self.known[fingerprint]
        let arrival = Arrival(
            fingerprint: isWhole ? fingerprint : nil,
            known: isWhole && found.map { Int($0.plainLength) == bytes } == true ? found : nil,
            digest: self.digest, expected: isEnd ? stated.sha256 : nil)
        self.index += isEnd ? 1 : 0
        self.doneBytes = isEnd ? 0 : self.doneBytes + bytes
        return arrival
    }
}

extension SymmetricKey {
    /// What a chunk of the bucket is found by: an HMAC of its SHA-256 under a key for just this.
    package func fingerprint(ofChunk sha256: [UInt8]) -> ChunkFingerprint? {
        let key = self.derived(for: Array("holdfast fingerprint 1".utf8))
        return ChunkFingerprint(bytes: HMACSHA256.authenticate(sha256, key: key.bytes))
    }
}

extension ObjectAccess {
    /// Looks the chunks up that a client stated.
    func find(
        _ stated: [StatedChunk], in bucket: OpenBucket, deadline: Instant
    ) async throws(AccessFault) -> StatedChunks {
        var fingerprints: [ChunkFingerprint] = []
        for chunk in stated {
            guard let fingerprint = bucket.key.fingerprint(ofChunk: chunk.sha256) else {
                throw .broken("an HMAC is no fingerprint")
            }
            fingerprints.append(fingerprint)
        }
        var known: [ChunkFingerprint: ChunkReference] = [:]
        var rest = fingerprints[...]
        while !rest.isEmpty {
            let page = Array(rest.prefix(CatalogLimits.fingerprintsPerQuery))
            rest = rest.dropFirst(page.count)
            let query = CatalogQuery.deduplicated(bucket.bucket.name, page)
            guard case .deduplicated(let found) = try await self.query(query, deadline: deadline),
                found.count == page.count
            else { throw .broken("looking for chunks gave no answer for each") }
            for (fingerprint, chunk) in zip(page, found) { known[fingerprint] = chunk }
        }
        return StatedChunks(stated, fingerprints, known: known)
    }
}
