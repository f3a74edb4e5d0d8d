package import Primitives
internal import Wire

/// An upload within its bucket: the version that opening it would have made. Its parts' rows belong
/// to the manifest of the same number, which the completed object has.
package struct UploadID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package var manifest: ManifestID { ManifestID(rawValue: self.rawValue) }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(self.rawValue, radix: 16) }
}

/// An upload among all that a group holds.
package struct UploadName: Equatable, Hashable, Sendable {
    package let bucket: BucketName
    package let id: UploadID

    package init(bucket: BucketName, id: UploadID) {
        self.bucket = bucket
        self.id = id
    }
}

/// Which checksum a client wants of the parts and of the whole (Amazon S3, "Checking object
/// integrity").
package struct UploadChecksum: Equatable, Sendable {
    /// Raw values are for ever.
    package enum Kind: UInt8, Sendable, CaseIterable {
        /// The checksum of the parts' checksums.
        case composite = 1
        /// Of the whole object's bytes, combined from those of the parts.
        case fullObject = 2
    }

    package let algorithm: ChecksumAlgorithm
    package let kind: Kind

    package init(algorithm: ChecksumAlgorithm, kind: Kind) {
        self.algorithm = algorithm
        self.kind = kind
    }
}

/// What was said of an upload when it was opened; it does not change.
package struct Upload: Equatable, Sendable {
    package let id: UploadID
    package let key: ObjectKey
    /// The version of the bucket whose key seals its bytes.
    package let sealedFor: VersionID
    package let opened: Timestamp
    /// What the object will have.
    package let attributes: ObjectAttributes
    package let checksum: UploadChecksum?
    /// Opened by an edge for the sake of one large body: no listing shows it, and nothing remembers
    /// that it was completed.
    package let isImplicit: Bool

    package init(
        id: UploadID, key: ObjectKey, sealedFor: VersionID, opened: Timestamp,
        attributes: ObjectAttributes, checksum: UploadChecksum?, isImplicit: Bool
    ) {
        self.id = id
        self.key = key
        self.sealedFor = sealedFor
        self.opened = opened
        self.attributes = attributes
        self.checksum = checksum
        self.isImplicit = isImplicit
    }
}

/// How far an upload has come.
package struct UploadProgress: Equatable, Sendable {
    /// Another after every part that is stored or replaced: what completing must name.
    package var revision: UInt64
    /// When a part came last, in log time, to within `CatalogLimits.uploadTouchInterval`.
    package var touched: Timestamp

    package init(revision: UInt64, touched: Timestamp) {
        self.revision = revision
        self.touched = touched
    }
}

/// What an upload came to, remembered for `CatalogLimits.completedUploadLifetime` so that a client
/// that never heard may ask again.
package struct CompletedUpload: Equatable, Sendable {
    package let key: ObjectKey
    package let version: VersionID
    package let completed: Timestamp
    package let size: UInt64
    package let entityTag: EntityTag
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]

    package init(
        key: ObjectKey, version: VersionID, completed: Timestamp, size: UInt64,
        entityTag: EntityTag, sha256: [UInt8]?, checksums: [ObjectChecksum]
    ) {
        self.key = key
        self.version = version
        self.completed = completed
        self.size = size
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
    }
}

/// A manifest whose part rows are to be released piece by piece: that of an object that has gone, of
/// an upload that was aborted, or the parts that completing left out.
///
/// Whoever sweeps asks `CatalogQuery.doomedManifests` and sends `CatalogOperation.sweepManifest`
/// until it answers that it is done. The longer the wait between the two, the longer may readers
/// that had begun go on.
package struct DoomedManifest: Equatable, Hashable, Sendable {
    /// In log time; orders the queue.
    package let doomed: Timestamp
    package let bucket: BucketName
    package let manifest: ManifestID

    package init(doomed: Timestamp, bucket: BucketName, manifest: ManifestID) {
        self.doomed = doomed
        self.bucket = bucket
        self.manifest = manifest
    }
}

private let formatVersion: UInt8 = 1

extension UploadName: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.write(self.id.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            bucket: try BucketName(from: &reader), id: UploadID(rawValue: try reader.read()))
    }
}

extension UploadChecksum: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.algorithm.rawValue)
        writer.write(self.kind.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        guard let algorithm = ChecksumAlgorithm(rawValue: try reader.read(UInt8.self)),
            let kind = Kind(rawValue: try reader.read(UInt8.self))
        else { throw .invalid(field: "upload checksum", offset: at) }
        self.init(algorithm: algorithm, kind: kind)
    }
}

extension Upload: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.id.rawValue)
        writer.write(self.key)
        writer.write(self.sealedFor.rawValue)
        writer.write(self.opened)
        writer.write(self.attributes)
        writer.writeOptionalMessage(self.checksum)
        writer.write(self.isImplicit)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(
            id: UploadID(rawValue: try reader.read()), key: try ObjectKey(from: &reader),
            sealedFor: VersionID(rawValue: try reader.read()),
            opened: try reader.readTimestamp(), attributes: try ObjectAttributes(from: &reader),
            checksum: try reader.readOptionalMessage(), isImplicit: try reader.readBool())
    }
}

extension UploadProgress: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.revision)
        writer.write(self.touched)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(revision: try reader.read(), touched: try reader.readTimestamp())
    }
}

extension CompletedUpload: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.key)
        writer.write(self.version.rawValue)
        writer.write(self.completed)
        writer.write(self.size)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(
            key: try ObjectKey(from: &reader), version: VersionID(rawValue: try reader.read()),
            completed: try reader.readTimestamp(), size: try reader.read(),
            entityTag: try EntityTag(from: &reader), sha256: try reader.readSHA256(),
            checksums: try reader.readMessages(
                field: "checksums", limit: CatalogLimits.checksumsPerObject))
    }
}

extension DoomedManifest: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.doomed)
        writer.write(self.bucket)
        writer.write(self.manifest.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            doomed: try reader.readTimestamp(), bucket: try BucketName(from: &reader),
            manifest: ManifestID(rawValue: try reader.read()))
    }
}
