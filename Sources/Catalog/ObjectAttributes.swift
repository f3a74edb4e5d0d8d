package import Primitives
internal import Wire

/// What is stored with an object and given back with it, as the client stated it.
package struct ObjectAttributes: Equatable, Sendable {
    package var contentType: String?
    /// Response headers to repeat: `Cache-Control`, `Content-Disposition` and their like.
    package var headers: [ObjectField]
    /// `x-amz-meta-…`, without that prefix, names in lower case.
    package var metadata: [ObjectField]

    package init(
        contentType: String? = nil, headers: [ObjectField] = [], metadata: [ObjectField] = []
    ) {
        self.contentType = contentType
        self.headers = headers
        self.metadata = metadata
    }
}

package struct ObjectField: Equatable, Sendable {
    package let name: String
    package let value: String
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// A checksum that the client stated or asked for, verified before it was stored.
package struct ObjectChecksum: Equatable, Sendable {
    package let algorithm: ChecksumAlgorithm
    package let value: [UInt8]
    /// The number of parts for a checksum of the parts' checksums; 0 for one over the whole object.
    package let partCount: UInt16

    package init(algorithm: ChecksumAlgorithm, value: [UInt8], partCount: UInt16 = 0) {
        self.algorithm = algorithm
        self.value = value
        self.partCount = partCount
    }
}

/// The algorithms of `x-amz-checksum-…`. Raw values are for ever.
package enum ChecksumAlgorithm: UInt8, Sendable, CaseIterable {
    case crc32 = 1
    case crc32c = 2
    case crc64nvme = 3
    case sha1 = 4
    case sha256 = 5
}

extension ObjectAttributes: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeOptional(self.contentType) { $0.writeString($1) }
        writer.writeMessages(self.headers)
        writer.writeMessages(self.metadata)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let contentType = try reader.readOptional { (reader) throws(FormatFault) in
            try reader.readString(
                field: "content type", limit: CatalogLimits.contentTypeBytes)
        }
        let headers = try Self.readFields(
            "stored headers", limitBytes: CatalogLimits.storedHeadersBytes, from: &reader)
        let metadata = try Self.readFields(
            "user metadata", limitBytes: CatalogLimits.userMetadataBytes, from: &reader)
        self.init(contentType: contentType, headers: headers, metadata: metadata)
    }

    private static func readFields(
        _ name: String, limitBytes: Int, from reader: inout ByteReader
    ) throws(FormatFault) -> [ObjectField] {
        let fields = try reader.readMessages(
            ObjectField.self, field: name, limit: CatalogLimits.fieldsPerObject)
        let size = ObjectField.sizeBytes(of: fields)
        guard size <= limitBytes else {
            throw .tooLarge(field: name, size: size, limit: limitBytes)
        }
        return fields
    }
}

extension ObjectField: WireMessage {
    /// Names and values together, which is what the limits count.
    package static func sizeBytes(of fields: [ObjectField]) -> Int {
        fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    }

    package func encode(into writer: inout ByteWriter) {
        writer.writeString(self.name)
        writer.writeString(self.value)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let limit = CatalogLimits.storedHeadersBytes
        self.init(
            name: try reader.readString(field: "field name", limit: limit),
            value: try reader.readString(field: "field value", limit: limit))
    }
}

extension ObjectChecksum: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.algorithm.rawValue)
        writer.write(self.partCount)
        writer.writeBytes(self.value)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        guard let algorithm = ChecksumAlgorithm(rawValue: try reader.read(UInt8.self)) else {
            throw .invalid(field: "checksum algorithm", offset: at)
        }
        let partCount = try reader.read(UInt16.self)
        let value = try reader.readBytes(field: "checksum", limit: CatalogLimits.checksumBytes)
        self.init(algorithm: algorithm, value: Array(value), partCount: partCount)
    }
}
