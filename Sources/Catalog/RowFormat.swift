package import Primitives
internal import Wire

/// The bytes of rows: each begins with the version of its format.
private let formatVersion: UInt8 = 1

extension AppliedPosition: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.index.rawValue)
        writer.write(self.term.rawValue)
        writer.write(self.time)
        writer.write(self.digest)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(
            index: LogIndex(try reader.read()), term: Term(try reader.read()),
            time: try reader.readTimestamp(), digest: try reader.read())
    }
}

extension ObjectHead: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.version.rawValue)
        writer.write(self.manifest.rawValue)
        writer.write(self.isInline)
        writer.write(self.sealedFor.rawValue)
        writer.write(self.size)
        writer.write(self.modified)
        writer.write(self.entityTag)
        writer.writeOptional(self.sha256) { $0.writeBytes($1) }
        writer.writeMessages(self.checksums)
        writer.write(self.attributes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(
            version: VersionID(rawValue: try reader.read()),
            manifest: ManifestID(rawValue: try reader.read()),
            isInline: try reader.readBool(),
            sealedFor: VersionID(rawValue: try reader.read()),
            size: try reader.read(), modified: try reader.readTimestamp(),
            entityTag: try EntityTag(from: &reader), sha256: try reader.readSHA256(),
            checksums: try reader.readMessages(
                field: "checksums", limit: CatalogLimits.checksumsPerObject),
            attributes: try ObjectAttributes(from: &reader))
    }
}

extension Bucket: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.name)
        writer.write(self.version.rawValue)
        writer.write(self.owner)
        writer.write(self.created)
        writer.writeBytes(self.wrappedKey)
        writer.write(self.links)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        let name = try BucketName(from: &reader)
        let version = VersionID(rawValue: try reader.read())
        let owner = try OwnerID(from: &reader)
        let created = try reader.readTimestamp()
        let key = try reader.readBytes(
            field: "wrapped bucket key", limit: CatalogLimits.wrappedBytes)
        self.init(
            name: name, version: version, owner: owner, created: created, wrappedKey: Array(key),
            links: try BucketLinks(from: &reader))
    }
}

extension SlotOwnership: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        switch self {
        case .owned(let epoch, let versionBase):
            writer.write(UInt8(1))
            writer.write(epoch.rawValue)
            writer.write(versionBase)
        case .released(let epoch, let versionFloor):
            writer.write(UInt8(2))
            writer.write(epoch.rawValue)
            writer.write(versionFloor)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .owned(Epoch(try reader.read()), versionBase: try reader.read())
        case 2: self = .released(Epoch(try reader.read()), versionFloor: try reader.read())
        default: throw .invalid(field: "slot ownership", offset: at)
        }
    }
}

extension Session: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.firstSequence)
        writer.write(self.firstUnacknowledged)
        writer.write(self.firstUnused)
        writer.write(self.lastUsed)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(
            firstSequence: try reader.read(), firstUnacknowledged: try reader.read(),
            firstUnused: try reader.read(),
            lastUsed: try reader.readTimestamp())
    }
}

extension Cluster: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.writeRaw(self.id.bytes)
        writer.write(self.created)
        writer.writeOptionalMessage(self.firstAccessKey)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.init(
            id: try ClusterID(from: &reader), created: try reader.readTimestamp(),
            firstAccessKey: try reader.readOptionalMessage())
    }
}
