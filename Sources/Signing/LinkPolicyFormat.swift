package import Primitives

/// The bytes of a policy, format 1 (little-endian, as `ByteWriter` writes):
/// version 1 | id u64 | key u32 | methods u8 | 0 exact or 1 prefix | path | not before i64 |
/// expiry i64 | bucket epoch u64 | maker epoch u64 | network? (4 or 6, prefix bits, address) |
/// body limit u64? | object version?
///
/// One policy has one encoding, and what decodes encodes to the same bytes again. There is no
/// checksum: the signature covers every byte.
extension LinkPolicy {
    private static let formatVersion: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 96 + self.path.bytes.count)
        writer.write(Self.formatVersion)
        writer.write(self.id.rawValue)
        writer.write(self.keyID.rawValue)
        writer.write(self.methods.rawValue)
        switch self.path {
        case .exact: writer.write(UInt8(0))
        case .prefix: writer.write(UInt8(1))
        }
        writer.writeBytes(self.path.bytes)
        writer.write(self.notBeforeSeconds)
        writer.write(self.expirySeconds)
        writer.write(self.epochs.bucket.rawValue)
        writer.write(self.epochs.maker.rawValue)
        writer.writeOptional(self.network) { $1.write(to: &$0) }
        writer.writeOptional(self.bodyLimitBytes) { $0.write($1) }
        writer.writeOptional(self.version) { $0.writeBytes($1) }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(FormatFault) {
        var reader = ByteReader(bytes)
        let format = try reader.read(UInt8.self)
        guard format == Self.formatVersion else { throw .unknownVersion(Int(format)) }
        let id = LinkID(try reader.read(UInt64.self))
        let keyID = LinkKeyID(try reader.read(UInt32.self))
        let methodsAt = reader.offset
        let methods = LinkMethods(rawValue: try reader.read(UInt8.self))
        guard !methods.isEmpty, methods.isSubset(of: .known) else {
            throw .invalid(field: "methods", offset: methodsAt)
        }
        let path = try Self.readPath(&reader)
        self.init(
            id: id, keyID: keyID, methods: methods, path: path,
            notBeforeSeconds: try reader.read(), expirySeconds: try reader.read(),
            epochs: LinkEpochs(
                bucket: Epoch(try reader.read(UInt64.self)),
                maker: Epoch(try reader.read(UInt64.self))),
            network: try reader.readOptional(IPNetwork.read),
            bodyLimitBytes: try reader.readOptional { reader throws(FormatFault) in
                try reader.read(UInt64.self)
            },
            version: try reader.readOptional { reader throws(FormatFault) in
                Array(try reader.readBytes(field: "version", limit: Self.versionLimitBytes))
            })
        try reader.finish()
    }

    private static func readPath(_ reader: inout ByteReader) throws(FormatFault) -> LinkPath {
        let at = reader.offset
        let isPrefix = try reader.readBool(field: "path kind")
        let bytes = Array(try reader.readBytes(field: "path", limit: Self.pathLimitBytes))
        let path = isPrefix ? LinkPath.prefix(bytes) : .exact(bytes)
        guard path.isSound else { throw .invalid(field: "path", offset: at) }
        return path
    }
}

extension LinkPath {
    /// Whether a link may be made for this: a bucket and a slash at least, nothing that a proxy or
    /// a file system could read as another name, and a prefix that ends at a slash.
    package var isSound: Bool {
        guard let slash = self.bytes.firstIndex(of: UInt8(ascii: "/")), slash > 0,
            !LinkTarget.isAmbiguous(self.bytes)
        else { return false }
        switch self {
        case .exact: return slash + 1 < self.bytes.count
        case .prefix: return self.bytes.last == UInt8(ascii: "/")
        }
    }
}
