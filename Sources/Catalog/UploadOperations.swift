package import Primitives
internal import Wire

/// Opens an upload. Its parts may then come in any order, from any edge, at the same time.
package struct OpenUpload: Equatable, Sendable {
    package let bucket: BucketName
    package let key: ObjectKey
    /// The version of the bucket whose key will seal the parts; refused with `.bucketReplaced` when
    /// it is another by now.
    package let sealedFor: VersionID
    package let attributes: ObjectAttributes
    package let checksum: UploadChecksum?
    /// See `Upload.isImplicit`.
    package let isImplicit: Bool

    package init(
        bucket: BucketName, key: ObjectKey, sealedFor: VersionID,
        attributes: ObjectAttributes = ObjectAttributes(), checksum: UploadChecksum? = nil,
        isImplicit: Bool = false
    ) {
        self.bucket = bucket
        self.key = key
        self.sealedFor = sealedFor
        self.attributes = attributes
        self.checksum = checksum
        self.isImplicit = isImplicit
    }
}

/// Makes a part of an upload what it says, in place of the one that had its number.
package struct PutPart: Equatable, Sendable {
    package let upload: UploadName
    package let number: PartNumber
    package let size: UInt64
    package let entityTag: EntityTag
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]
    package let source: PartSource

    package init(
        upload: UploadName, number: PartNumber, size: UInt64, entityTag: EntityTag,
        sha256: [UInt8]? = nil, checksums: [ObjectChecksum] = [], source: PartSource
    ) {
        self.upload = upload
        self.number = number
        self.size = size
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
        self.source = source
    }
}

/// Where a part's bytes come from.
package enum PartSource: Equatable, Sendable {
    /// At most `CatalogLimits.chunksPerRow` chunks, sealed with the key of the upload's bucket.
    case content(ObjectContent)
    /// All parts of an implicit upload of the same bucket, which ends with this: a part with more
    /// chunks than one row may name.
    case upload(UploadID, revision: UInt64, PartTable)
}

/// Makes an upload's parts the current version of its object: whatever their number, this changes a
/// constant number of rows.
///
/// The edge reads the parts, page by page, all at one revision; checks what the client says of them;
/// and names that revision. If a part came meanwhile the command is refused with `.uploadChanged`,
/// and the edge reads again.
package struct CompleteUpload: Equatable, Sendable {
    package let upload: UploadName
    package let key: ObjectKey
    package let revision: UInt64
    /// The parts of the object.
    package let parts: PartTable
    /// All other parts that the upload had: they are released piece by piece. A command that would
    /// release a part of the object is unreadable.
    package let leftOut: PartSet
    package let entityTag: EntityTag
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]
    package let precondition: ObjectPrecondition

    package init(
        upload: UploadName, key: ObjectKey, revision: UInt64, parts: PartTable,
        leftOut: PartSet = PartSet(), entityTag: EntityTag, sha256: [UInt8]? = nil,
        checksums: [ObjectChecksum] = [], precondition: ObjectPrecondition = .none
    ) {
        self.upload = upload
        self.key = key
        self.revision = revision
        self.parts = parts
        self.leftOut = leftOut
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
        self.precondition = precondition
    }
}

/// Ends an upload; its parts are released piece by piece.
package struct AbortUpload: Equatable, Sendable {
    package let upload: UploadName
    /// Refused with `.uploadActive` when a part came later: how a sweeper, which looked a while ago,
    /// leaves alone what has come to life again.
    package let untouchedSince: Timestamp?

    package init(upload: UploadName, untouchedSince: Timestamp? = nil) {
        self.upload = upload
        self.untouchedSince = untouchedSince
    }
}

/// Makes an object's bytes those of another of the same bucket, without moving them.
package struct CopyObject: Equatable, Sendable {
    package let bucket: BucketName
    package let source: ObjectKey
    /// The source's version that the edge read, and held the client's conditions against; refused
    /// with `.sourceChanged` when it is no longer the current one.
    package let version: VersionID
    package let key: ObjectKey
    /// Nil: those of the source.
    package let attributes: ObjectAttributes?
    package let precondition: ObjectPrecondition

    package init(
        bucket: BucketName, source: ObjectKey, version: VersionID, key: ObjectKey,
        attributes: ObjectAttributes? = nil, precondition: ObjectPrecondition = .none
    ) {
        self.bucket = bucket
        self.source = source
        self.version = version
        self.key = key
        self.attributes = attributes
        self.precondition = precondition
    }
}

extension OpenUpload: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.write(self.key)
        writer.write(self.sealedFor.rawValue)
        writer.write(self.attributes)
        writer.writeOptionalMessage(self.checksum)
        writer.write(self.isImplicit)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            bucket: try BucketName(from: &reader), key: try ObjectKey(from: &reader),
            sealedFor: VersionID(rawValue: try reader.read()),
            attributes: try ObjectAttributes(from: &reader),
            checksum: try reader.readOptionalMessage(), isImplicit: try reader.readBool())
    }
}

extension PutPart: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.upload)
        writer.write(self.number)
        writer.write(self.size)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
        writer.write(self.source)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let upload = try UploadName(from: &reader)
        let number = try PartNumber(from: &reader)
        let sizeOffset = reader.offset
        let size = try reader.read(UInt64.self)
        let entityTag = try EntityTag(from: &reader)
        let sha256 = try reader.readSHA256()
        let checksums = try reader.readMessages(
            ObjectChecksum.self, field: "checksums", limit: CatalogLimits.checksumsPerObject)
        let source = try PartSource(from: &reader)
        guard source.allows(size: size) else { throw .invalid(field: "size", offset: sizeOffset) }
        self.init(
            upload: upload, number: number, size: size, entityTag: entityTag, sha256: sha256,
            checksums: checksums, source: source)
    }
}

extension PartSource: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .content(let content): writer.write(tag: 1) { $0.write(content) }
        case .upload(let id, let revision, let parts):
            writer.write(tag: 2) {
                $0.write(id.rawValue)
                $0.write(revision)
                $0.write(parts)
            }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1:
            let content = try ObjectContent(from: &reader)
            guard content.manifest.chunks != nil else {
                throw .invalid(field: "part content", offset: at)
            }
            self = .content(content)
        case 2:
            self = .upload(
                UploadID(rawValue: try reader.read()), revision: try reader.read(),
                try PartTable(from: &reader))
        default: throw .invalid(field: "part source", offset: at)
        }
    }

    /// Whether the bytes can be those of a part of `size` bytes.
    fileprivate func allows(size: UInt64) -> Bool {
        switch self {
        case .content(let content): content.allows(size: size)
        case .upload(_, _, let parts): parts.sizeBytes == size
        }
    }
}

extension CompleteUpload: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.upload)
        writer.write(self.key)
        writer.write(self.revision)
        writer.write(self.parts)
        writer.write(self.leftOut)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
        writer.write(self.precondition)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let upload = try UploadName(from: &reader)
        let key = try ObjectKey(from: &reader)
        let revision = try reader.read(UInt64.self)
        let parts = try PartTable(from: &reader)
        let at = reader.offset
        let leftOut = try PartSet(from: &reader)
        guard leftOut.isDisjoint(with: parts) else {
            throw .invalid(field: "parts left out", offset: at)
        }
        self.init(
            upload: upload, key: key, revision: revision, parts: parts, leftOut: leftOut,
            entityTag: try EntityTag(from: &reader),
            sha256: try reader.readSHA256(),
            checksums: try reader.readMessages(
                field: "checksums", limit: CatalogLimits.checksumsPerObject),
            precondition: try ObjectPrecondition(from: &reader))
    }
}

extension AbortUpload: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.upload)
        writer.writeOptional(self.untouchedSince) { $0.write($1) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            upload: try UploadName(from: &reader),
            untouchedSince: try reader.readOptional { (reader) throws(FormatFault) in
                try reader.readTimestamp()
            })
    }
}

extension CopyObject: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.write(self.source)
        writer.write(self.version.rawValue)
        writer.write(self.key)
        writer.writeOptionalMessage(self.attributes)
        writer.write(self.precondition)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            bucket: try BucketName(from: &reader), source: try ObjectKey(from: &reader),
            version: VersionID(rawValue: try reader.read()), key: try ObjectKey(from: &reader),
            attributes: try reader.readOptionalMessage(),
            precondition: try ObjectPrecondition(from: &reader))
    }
}
