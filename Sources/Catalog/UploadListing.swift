package import Primitives
internal import Wire

/// Asks for one page of a bucket's uploads that are not complete (Amazon S3, ListMultipartUploads):
/// by the byte order of their keys, and those of one key in the order they were opened.
package struct ListUploads: Equatable, Sendable {
    package let bucket: BucketName
    /// Only keys that begin with these bytes.
    package let prefix: [UInt8]
    /// Rolls up keys as in `ListObjects`; empty: none.
    package let delimiter: [UInt8]
    package let start: UploadListStart
    /// Uploads and common prefixes together, at most `CatalogLimits.listPage`.
    package let limit: Int

    package init(
        bucket: BucketName, prefix: [UInt8] = [], delimiter: [UInt8] = [],
        start: UploadListStart = .beginning, limit: Int = CatalogLimits.listPage
    ) {
        self.bucket = bucket
        self.prefix = prefix
        self.delimiter = delimiter
        self.start = start
        self.limit = limit
    }
}

/// Where a page of uploads begins.
package enum UploadListStart: Equatable, Sendable {
    case beginning
    /// Behind all uploads of this key: `key-marker` alone.
    case afterKey([UInt8])
    /// Behind this upload of the key: `key-marker` and `upload-id-marker`, or the end of a page that
    /// ended with an upload.
    case after([UInt8], UploadID)
    /// Behind everything that begins with this: the end of a page that ended with a common prefix.
    case afterPrefix([UInt8])
}

package struct UploadPage: Equatable, Sendable {
    package var uploads: [ListedUpload] = []
    package var commonPrefixes: [[UInt8]] = []
    /// Where the next page begins; nil when this one is the last.
    package var next: UploadListStart?

    package init(
        uploads: [ListedUpload] = [], commonPrefixes: [[UInt8]] = [], next: UploadListStart? = nil
    ) {
        self.uploads = uploads
        self.commonPrefixes = commonPrefixes
        self.next = next
    }
}

/// What a listing says of an upload.
package struct ListedUpload: Equatable, Sendable {
    package let key: ObjectKey
    package let id: UploadID
    package let opened: Timestamp
    package let checksum: UploadChecksum?

    package init(key: ObjectKey, id: UploadID, opened: Timestamp, checksum: UploadChecksum?) {
        self.key = key
        self.id = id
        self.opened = opened
        self.checksum = checksum
    }
}

/// One page of an upload's parts by their numbers, and the revision of the upload that it is of:
/// pages of one revision together are the parts as they stood at once.
package struct UploadPartPage: Equatable, Sendable {
    package var revision: UInt64
    package var parts: [ListedPart] = []
    /// Whether there are parts behind the last of these.
    package var isTruncated = false

    package init(revision: UInt64, parts: [ListedPart] = [], isTruncated: Bool = false) {
        self.revision = revision
        self.parts = parts
        self.isTruncated = isTruncated
    }
}

/// A part without what its bytes are.
package struct ListedPart: Equatable, Sendable {
    package let number: PartNumber
    package let size: UInt64
    package let entityTag: EntityTag
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]
    package let modified: Timestamp

    package init(
        number: PartNumber, size: UInt64, entityTag: EntityTag, sha256: [UInt8]?,
        checksums: [ObjectChecksum], modified: Timestamp
    ) {
        self.number = number
        self.size = size
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
        self.modified = modified
    }

    package init(_ part: ManifestPart) {
        self.init(
            number: part.number, size: part.size, entityTag: part.entityTag, sha256: part.sha256,
            checksums: part.checksums, modified: part.modified)
    }
}

extension ListUploads: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.writeBytes(self.prefix)
        writer.writeBytes(self.delimiter)
        writer.write(self.start)
        writer.write(UInt32(self.limit))
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let bucket = try BucketName(from: &reader)
        let prefix = try reader.readKeyBytes(field: "prefix")
        let delimiter = try reader.readBytes(
            field: "delimiter", limit: CatalogLimits.delimiterBytes)
        self.init(
            bucket: bucket, prefix: prefix, delimiter: Array(delimiter),
            start: try UploadListStart(from: &reader),
            limit: try reader.readPageLimit(CatalogLimits.listPage))
    }
}

extension UploadListStart: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .beginning: writer.write(UInt8(0))
        case .afterKey(let key): writer.write(tag: 1) { $0.writeBytes(key) }
        case .after(let key, let id):
            writer.write(tag: 2) {
                $0.writeBytes(key)
                $0.write(id.rawValue)
            }
        case .afterPrefix(let prefix): writer.write(tag: 3) { $0.writeBytes(prefix) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 0: self = .beginning
        case 1: self = .afterKey(try reader.readKeyBytes(field: "start of page"))
        case 2:
            self = .after(
                try reader.readKeyBytes(field: "start of page"),
                UploadID(rawValue: try reader.read()))
        case 3: self = .afterPrefix(try reader.readKeyBytes(field: "start of page"))
        default: throw .invalid(field: "start of page", offset: at)
        }
    }
}

extension ByteReader {
    fileprivate mutating func readKeyBytes(field: String) throws(FormatFault) -> [UInt8] {
        Array(try self.readBytes(field: field, limit: CatalogLimits.objectKeyBytes.upperBound))
    }
}

extension UploadPage: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeMessages(self.uploads)
        writer.writeArray(self.commonPrefixes) { $0.writeBytes($1) }
        writer.writeOptionalMessage(self.next)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            uploads: try reader.readMessages(field: "uploads", limit: CatalogLimits.listPage),
            commonPrefixes: try reader.readArray(
                field: "common prefixes", limit: CatalogLimits.listPage
            ) { (reader) throws(FormatFault) in try reader.readKeyBytes(field: "common prefix") },
            next: try reader.readOptionalMessage())
    }
}

extension ListedUpload: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.key)
        writer.write(self.id.rawValue)
        writer.write(self.opened)
        writer.writeOptionalMessage(self.checksum)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            key: try ObjectKey(from: &reader), id: UploadID(rawValue: try reader.read()),
            opened: try reader.readTimestamp(), checksum: try reader.readOptionalMessage())
    }
}

extension UploadPartPage: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.revision)
        writer.writeMessages(self.parts)
        writer.write(self.isTruncated)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            revision: try reader.read(),
            parts: try reader.readMessages(field: "parts", limit: CatalogLimits.listPage),
            isTruncated: try reader.readBool())
    }
}

extension ListedPart: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.number)
        writer.write(self.size)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
        writer.write(self.modified)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            number: try PartNumber(from: &reader), size: try reader.read(),
            entityTag: try EntityTag(from: &reader), sha256: try reader.readSHA256(),
            checksums: try reader.readMessages(
                field: "checksums", limit: CatalogLimits.checksumsPerObject),
            modified: try reader.readTimestamp())
    }
}
