internal import Placement
package import Primitives
internal import Wire

extension PutObject: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.write(self.key)
        writer.write(self.size)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
        writer.write(self.attributes)
        writer.write(self.content)
        writer.write(self.precondition)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let bucket = try BucketName(from: &reader)
        let key = try ObjectKey(from: &reader)
        let sizeOffset = reader.offset
        let size = try reader.read(UInt64.self)
        let entityTag = try EntityTag(from: &reader)
        let sha256 = try reader.readSHA256()
        let checksums = try reader.readMessages(
            ObjectChecksum.self, field: "checksums", limit: CatalogLimits.checksumsPerObject)
        let attributes = try ObjectAttributes(from: &reader)
        let content = try ObjectContent(from: &reader)
        guard content.allows(size: size) else { throw .invalid(field: "size", offset: sizeOffset) }
        self.init(
            bucket: bucket, key: key, size: size, entityTag: entityTag, sha256: sha256,
            checksums: checksums, attributes: attributes, content: content,
            precondition: try ObjectPrecondition(from: &reader))
    }
}

extension ByteReader {
    /// An optional SHA-256, as `PutObject` and `ObjectHead` carry it.
    mutating func readSHA256() throws(FormatFault) -> [UInt8]? {
        try self.readOptional { (reader) throws(FormatFault) in
            let at = reader.offset
            let digest = Array(try reader.readBytes(field: "sha256", limit: 32))
            guard digest.count == 32 else { throw .invalid(field: "sha256", offset: at) }
            return digest
        }
    }
}

extension ObjectContent: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .new(let manifest, let layout, let bucketVersion):
            writer.write(tag: 1) {
                $0.write(layout.rawValue)
                $0.write(bucketVersion.rawValue)
                $0.write(manifest)
            }
        case .existing(let manifest): writer.write(tag: 2) { $0.write(manifest.rawValue) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1:
            let layout = LayoutVersion(try reader.read())
            let bucketVersion = VersionID(rawValue: try reader.read())
            self = .new(
                try Manifest(from: &reader), placedBy: layout, sealedFor: bucketVersion)
        case 2: self = .existing(ManifestID(rawValue: try reader.read()))
        default: throw .invalid(field: "content", offset: at)
        }
    }

    /// Whether the content can be that of an object of `size` bytes.
    fileprivate func allows(size: UInt64) -> Bool {
        switch self {
        case .new(.inline, _, _): size <= UInt64(CatalogLimits.inlineBytes)
        case .new(.chunks(let chunks), _, _):
            size == chunks.reduce(0) { $0 + UInt64($1.plainLength) }
        case .existing: true
        }
    }
}
