package import Primitives
internal import Wire

/// A part of a manifest, in a row of its own, written when the part arrived.
package struct ManifestPart: Equatable, Sendable {
    package let number: PartNumber
    package let size: UInt64
    /// The MD5 in hexadecimal, as S3 counts it.
    package let entityTag: EntityTag
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]
    package let modified: Timestamp
    package let content: PartContent

    package init(
        number: PartNumber, size: UInt64, entityTag: EntityTag, sha256: [UInt8]?,
        checksums: [ObjectChecksum], modified: Timestamp, content: PartContent
    ) {
        self.number = number
        self.size = size
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
        self.modified = modified
        self.content = content
    }
}

/// What a part's bytes are.
package enum PartContent: Equatable, Sendable {
    /// In the order of the bytes, at most `CatalogLimits.chunksPerRow`.
    case chunks([ChunkReference])
    /// Those of another manifest of the bucket, which the part holds one reference to: a part with
    /// more chunks than one row may name. Its own parts are none of this kind.
    case manifest(ManifestID)
}

/// Any row of the family `manifests`, known by its value alone: for whoever walks all of them.
package enum ManifestRow: Equatable, Sendable {
    case root(Manifest)
    case part(ManifestPart)

    /// The chunks that this row itself counts a reference to each of.
    package var chunks: [ChunkReference] {
        switch self {
        case .root(.chunks(let chunks)): chunks
        case .part(let part):
            switch part.content {
            case .chunks(let chunks): chunks
            case .manifest: []
            }
        case .root(.inline), .root(.parts): []
        }
    }
}

extension ManifestRow: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .root(let manifest): writer.write(manifest)
        case .part(let part): writer.write(part)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        var ahead = reader
        _ = try ahead.read(UInt8.self)
        if try ahead.read(UInt8.self) == ManifestPart.tag {
            self = .part(try ManifestPart(from: &reader))
        } else {
            self = .root(try Manifest(from: &reader))
        }
    }
}

extension ManifestPart: WireMessage {
    private static let formatVersion: UInt8 = 1
    /// Where a root has the tag of its kind, so that neither is ever taken for the other.
    static let tag: UInt8 = 16

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(Self.tag)
        writer.write(self.number)
        writer.write(self.size)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
        writer.write(self.modified)
        writer.write(self.content)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let at = reader.offset
        guard try reader.read(UInt8.self) == Self.tag else {
            throw .invalid(field: "manifest part", offset: at)
        }
        self.init(
            number: try PartNumber(from: &reader), size: try reader.read(),
            entityTag: try EntityTag(from: &reader), sha256: try reader.readSHA256(),
            checksums: try reader.readMessages(
                field: "checksums", limit: CatalogLimits.checksumsPerObject),
            modified: try reader.readTimestamp(), content: try PartContent(from: &reader))
    }
}

extension PartContent: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .chunks(let chunks): writer.write(tag: 1) { $0.writeMessages(chunks) }
        case .manifest(let manifest): writer.write(tag: 2) { $0.write(manifest.rawValue) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1:
            self = .chunks(
                try reader.readMessages(field: "chunks", limit: CatalogLimits.chunksPerRow))
        case 2: self = .manifest(ManifestID(rawValue: try reader.read()))
        default: throw .invalid(field: "part content", offset: at)
        }
    }
}
