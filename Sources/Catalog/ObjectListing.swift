package import Primitives
internal import Wire

/// Asks for one page of a bucket's objects, in the byte order of their keys.
package struct ListObjects: Equatable, Sendable {
    package let bucket: BucketName
    /// Only keys that begin with these bytes.
    package let prefix: [UInt8]
    /// Rolls up all keys that have these bytes behind the prefix into one common prefix; empty: none.
    package let delimiter: [UInt8]
    package let start: ListStart
    /// Objects and common prefixes together, at most `CatalogLimits.listPage`.
    package let limit: Int

    package init(
        bucket: BucketName, prefix: [UInt8] = [], delimiter: [UInt8] = [],
        start: ListStart = .beginning, limit: Int = CatalogLimits.listPage
    ) {
        self.bucket = bucket
        self.prefix = prefix
        self.delimiter = delimiter
        self.start = start
        self.limit = limit
    }
}

/// Where a page begins.
package enum ListStart: Equatable, Sendable {
    case beginning
    /// Behind this key: `start-after`, `marker`, or the end of a page that ended with an object.
    case after([UInt8])
    /// Behind everything that begins with this: the end of a page that ended with a common prefix.
    case afterPrefix([UInt8])
}

package struct ObjectPage: Equatable, Sendable {
    package var objects: [ListedObject] = []
    package var commonPrefixes: [[UInt8]] = []
    /// Where the next page begins; nil when this one is the last.
    package var next: ListStart?

    package init(
        objects: [ListedObject] = [], commonPrefixes: [[UInt8]] = [], next: ListStart? = nil
    ) {
        self.objects = objects
        self.commonPrefixes = commonPrefixes
        self.next = next
    }

    package var isTruncated: Bool { self.next != nil }
}

/// What a listing says of an object.
package struct ListedObject: Equatable, Sendable {
    package let key: ObjectKey
    package let version: VersionID
    package let size: UInt64
    package let modified: Timestamp
    package let entityTag: EntityTag
    package let checksums: [ObjectChecksum]

    package init(
        key: ObjectKey, version: VersionID, size: UInt64, modified: Timestamp,
        entityTag: EntityTag, checksums: [ObjectChecksum]
    ) {
        self.key = key
        self.version = version
        self.size = size
        self.modified = modified
        self.entityTag = entityTag
        self.checksums = checksums
    }
}

/// Asks for one page of the buckets that the group holds.
package struct ListBuckets: Equatable, Sendable {
    /// Only this owner's, in the order of their names; nil: all, in the order of slot and name.
    package let owner: OwnerID?
    /// Behind this bucket in that order.
    package let after: BucketName?
    /// At most `CatalogLimits.bucketPage`.
    package let limit: Int

    package init(
        owner: OwnerID?, after: BucketName? = nil, limit: Int = CatalogLimits.bucketPage
    ) {
        self.owner = owner
        self.after = after
        self.limit = limit
    }
}

extension ListObjects: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.writeBytes(self.prefix)
        writer.writeBytes(self.delimiter)
        writer.write(self.start)
        writer.write(UInt32(self.limit))
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let bucket = try BucketName(from: &reader)
        let prefix = try reader.readBytes(
            field: "prefix", limit: CatalogLimits.objectKeyBytes.upperBound)
        let delimiter = try reader.readBytes(
            field: "delimiter", limit: CatalogLimits.delimiterBytes)
        self.init(
            bucket: bucket, prefix: Array(prefix), delimiter: Array(delimiter),
            start: try ListStart(from: &reader),
            limit: try reader.readPageLimit(CatalogLimits.listPage))
    }
}

extension ByteReader {
    mutating func readPageLimit(_ most: Int) throws(FormatFault) -> Int {
        let limit = Int(try self.read(UInt32.self))
        guard limit <= most else { throw .tooLarge(field: "page", size: limit, limit: most) }
        return limit
    }
}

extension ListStart: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .beginning: writer.write(UInt8(0))
        case .after(let key): writer.write(tag: 1) { $0.writeBytes(key) }
        case .afterPrefix(let prefix): writer.write(tag: 2) { $0.writeBytes(prefix) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let limit = CatalogLimits.objectKeyBytes.upperBound
        switch try reader.read(UInt8.self) {
        case 0: self = .beginning
        case 1: self = .after(Array(try reader.readBytes(field: "start", limit: limit)))
        case 2: self = .afterPrefix(Array(try reader.readBytes(field: "start", limit: limit)))
        default: throw .invalid(field: "start", offset: at)
        }
    }
}

extension ObjectPage: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeMessages(self.objects)
        writer.writeArray(self.commonPrefixes) { $0.writeBytes($1) }
        writer.writeOptionalMessage(self.next)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let objects = try reader.readMessages(
            ListedObject.self, field: "objects", limit: CatalogLimits.listPage)
        let prefixes = try reader.readArray(
            field: "common prefixes", limit: CatalogLimits.listPage
        ) { (reader) throws(FormatFault) in
            Array(
                try reader.readBytes(
                    field: "common prefix", limit: CatalogLimits.objectKeyBytes.upperBound))
        }
        self.init(
            objects: objects, commonPrefixes: prefixes, next: try reader.readOptionalMessage())
    }
}

extension ListedObject: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.key)
        writer.write(self.version.rawValue)
        writer.write(self.size)
        writer.write(self.modified)
        writer.write(self.entityTag)
        writer.writeMessages(self.checksums)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            key: try ObjectKey(from: &reader), version: VersionID(rawValue: try reader.read()),
            size: try reader.read(), modified: try reader.readTimestamp(),
            entityTag: try EntityTag(from: &reader),
            checksums: try reader.readMessages(
                field: "checksums", limit: CatalogLimits.checksumsPerObject))
    }
}

extension ListBuckets: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeOptionalMessage(self.owner)
        writer.writeOptionalMessage(self.after)
        writer.write(UInt32(self.limit))
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            owner: try reader.readOptionalMessage(), after: try reader.readOptionalMessage(),
            limit: try reader.readPageLimit(CatalogLimits.bucketPage))
    }
}
