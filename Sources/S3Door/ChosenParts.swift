import Catalog
import ObjectAccess
import ObjectExchange
import Primitives

/// What CompleteMultipartUpload makes of the parts that a client names and those that are there.
package struct ChosenParts: Equatable, Sendable {
    /// The least that any part but the last may have (Amazon S3, "Multipart upload limits").
    package static let leastPartBytes: UInt64 = 5 << 20

    /// In the object's order.
    package let parts: [ListedPart]
    package let entityTag: StoredEntityTag
    package let checksums: [ObjectChecksum]
    package var sizeBytes: UInt64 { self.parts.reduce(0) { $0 + $1.size } }

    /// Holds what the client says of each part against what is stored of it.
    ///
    /// - Parameter stored: the parts of the upload, by ascending number.
    package init(
        _ document: CompleteDocument, of stored: [ListedPart], checksum: UploadChecksum?
    ) throws(S3Refusal) {
        var parts: [ListedPart] = []
        var rest = stored[...]
        for named in document.parts {
            rest = rest.drop { $0.number < named.number }
            guard let part = rest.first, part.number == named.number,
                part.entityTag.text == named.entityTag
            else { throw Self.refusal(.invalidPart, named) }
            if let stated = named.checksum {
                guard part.checksums.contains(stated) else {
                    throw Self.refusal(.invalidPart, named)
                }
            }
            parts.append(part)
        }
        for part in parts.dropLast() where part.size < Self.leastPartBytes {
            var refusal = S3Refusal(.entityTooSmall)
            refusal.details = [
                .init("ProposedSize", "\(part.size)"),
                .init("MinSizeAllowed", "\(Self.leastPartBytes)"),
                .init("PartNumber", "\(part.number)"), .init("ETag", part.entityTag.text),
            ]
            throw refusal
        }
        let digests = parts.compactMap { Hex.decode($0.entityTag.text) }
        guard digests.count == parts.count,
            let tag = StoredEntityTag(ComposedChecksum.entityTag(of: digests))
        else { throw S3Refusal(.internalError, cause: "a part's entity tag is no digest") }
        self.parts = parts
        self.entityTag = tag
        let whole = checksum.flatMap { Self.compose($0, of: parts) }
        self.checksums = whole.map { [$0] } ?? []
    }

    package func completion(_ precondition: ObjectPrecondition) -> UploadCompletion {
        UploadCompletion(
            parts: self.parts.map(\.number), entityTag: self.entityTag,
            checksums: self.checksums, precondition: precondition)
    }

    private static func refusal(
        _ code: S3ErrorCode, _ part: CompleteDocument.Part
    ) -> S3Refusal {
        var refusal = S3Refusal(code)
        refusal.details = [
            .init("PartNumber", "\(part.number)"), .init("ETag", part.entityTag),
        ]
        return refusal
    }

    /// The whole's checksum. None where a part came without one, as it does from a client that
    /// knows no more than a presigned URL.
    private static func compose(
        _ wanted: UploadChecksum, of parts: [ListedPart]
    ) -> ObjectChecksum? {
        var known: [(value: [UInt8], sizeBytes: UInt64)] = []
        for part in parts {
            guard
                let checksum = part.checksums.first(where: { $0.algorithm == wanted.algorithm })
            else { return nil }
            known.append((checksum.value, part.size))
        }
        switch wanted.kind {
        case .composite:
            return ComposedChecksum.composite(of: known.map(\.value), wanted.algorithm)
        case .fullObject: return ComposedChecksum.whole(of: known, wanted.algorithm)
        }
    }
}
