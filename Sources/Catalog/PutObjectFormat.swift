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
        writer.write(self.placedBy.rawValue)
        writer.write(self.sealedFor.rawValue)
        writer.writeOptional(self.oldestSealed) { $0.write($1) }
        writer.write(self.manifest)
        writer.write(self.deduplication)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let layout = LayoutVersion(try reader.read())
        let bucketVersion = VersionID(rawValue: try reader.read())
        let oldestSealed = try reader.readOptional { (reader) throws(FormatFault) in
            try reader.readTimestamp()
        }
        let at = reader.offset
        let manifest = try Manifest(from: &reader)
        let deduplication = try Deduplication(from: &reader)
        switch manifest {
        case .chunks(let chunks) where deduplication.fits(chunkCount: chunks.count): break
        case .inline where deduplication == .none: break
        case .chunks, .inline, .parts: throw .invalid(field: "content", offset: at)
        }
        self.init(
            manifest, placedBy: layout, sealedFor: bucketVersion, oldestSealed: oldestSealed,
            deduplication: deduplication)
    }

    /// Whether the content can be that of an object, or a part, of `size` bytes.
    func allows(size: UInt64) -> Bool {
        switch self.manifest {
        case .inline: size <= UInt64(CatalogLimits.inlineBytes)
        case .chunks(let chunks): size == chunks.reduce(0) { $0 + UInt64($1.plainLength) }
        case .parts: false
        }
    }
}
