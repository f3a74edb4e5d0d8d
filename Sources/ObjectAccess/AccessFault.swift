import Catalog
import ClusterClient
import Primitives

/// Why something could not be done with a bucket or an object. A door turns each into its protocol's
/// words; a new fault does not compile until every door has them.
package enum AccessFault: Error, Equatable, Sendable {
    case noSuchBucket(BucketName)
    case noSuchKey
    /// It never was, was aborted, or was completed longer ago than is remembered.
    case noSuchUpload
    case bucketNotEmpty
    /// Another owner has the name.
    case bucketTaken
    case preconditionFailed
    /// The body that was sent is not the one that was stated; which statement it broke.
    case bodyMismatch(StatedDigest)
    /// The body ended before its stated length, or went on behind it.
    case bodyIncomplete
    case bodyTooLarge(limitBytes: UInt64)
    /// The body could not be read; what the source said. Whoever sent it is gone or too slow.
    case source(BodyFault)
    /// Too few stores hold or take chunks, or no group leads; nothing was promised. Try later.
    case unavailable(String)
    /// No disk space, on too many stores or in the bucket's group; nothing was promised. Deletes and
    /// reads go on.
    case diskFull(String)
    /// Every copy of a chunk failed; the bytes are not lost by this, but cannot be had now.
    case unreadable(String)
    /// This node holds as many bytes of bodies as it may, and nothing was given back in time.
    case overloaded
    /// Whether it was done is not known.
    case outcomeUnknown(String)
    /// What was found contradicts what must hold.
    case broken(String)

    init(_ fault: ClusterFault) {
        switch fault {
        case .unavailable(let reason): self = .unavailable(reason)
        case .diskFull(let reason): self = .diskFull(reason)
        case .outcomeUnknown(let reason): self = .outcomeUnknown(reason)
        case .malformed(let reason): self = .broken(reason)
        }
    }
}

/// What a client may state of a body in advance.
package enum StatedDigest: Equatable, Sendable {
    case sha256
    case md5
    case crc32
    case crc32c
    /// That of one of the chunks.
    case chunk
}

/// Why a body could not be read.
package enum BodyFault: Error, Equatable, Sendable {
    /// The sender ended in the middle.
    case truncated
    case malformed(String)
    case tooSlow
    case connection(String)
}

/// Where the bytes of a new object come from: a request's body, a file, bytes at hand.
package protocol BodySource: AnyObject {
    /// The next bytes, at most `limit`; none at the end.
    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8]

    /// Puts the next bytes, at least one, into a part of `bytes` and says how many; 0 at the end.
    func read(into bytes: inout [UInt8], at part: Range<Int>) async throws(BodyFault) -> Int

    /// Checksums to store beside those of `StatedBody`; asked for at the end of the body, which the
    /// source has then held against them.
    var verifiedChecksums: [ObjectChecksum] { get }
}

extension BodySource {
    package func read(
        into bytes: inout [UInt8], at part: Range<Int>
    ) async throws(BodyFault) -> Int {
        let next = try await self.next(upTo: part.count)
        bytes.replaceSubrange(part.prefix(next.count), with: next)
        return next.count
    }

    package var verifiedChecksums: [ObjectChecksum] { [] }
}

/// Bytes at hand as a body.
package final class BytesSource: BodySource {
    private var rest: ArraySlice<UInt8>
    package init(_ bytes: [UInt8]) { self.rest = bytes[...] }

    package func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        let part = self.rest.prefix(limit)
        self.rest = self.rest.dropFirst(limit)
        return Array(part)
    }
}
