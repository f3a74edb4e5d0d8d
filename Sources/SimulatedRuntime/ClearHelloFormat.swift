import Cryptography
import Primitives

/// What each side of a clear channel says first.
///
///     length      u16  of what follows
///     version     u8   1
///     identity    u8   0: anonymous, 1: a node, then its number (u32) and cluster (16 bytes)
///     host names  u32 count, then each as a string (u32 length, UTF-8)
///     checksum    u32  CRC-32C over what follows the length
struct ClearHello: Equatable {
    static let prefixBytes = 2
    static let version: UInt8 = 1
    static let bodyLimitBytes = 4096
    private static let hostNameLimit = 16

    var identity: PeerIdentity
    var hostNames: [String]

    init(identity: PeerIdentity, hostNames: [String]) {
        self.identity = identity
        self.hostNames = hostNames
    }

    var encoded: [UInt8] {
        var body = ByteWriter()
        body.write(Self.version)
        switch self.identity {
        case .anonymous: body.write(UInt8(0))
        case .node(let node, let cluster):
            body.write(UInt8(1))
            body.write(node.rawValue)
            body.writeRaw(cluster.bytes)
        }
        body.writeArray(self.hostNames) { $0.writeString($1) }
        body.write(CRC32C.of(body.bytes))
        var framed = ByteWriter()
        framed.write(UInt16(body.count))
        framed.writeRaw(body.bytes)
        return framed.bytes
    }

    /// How long the body behind this prefix is.
    static func bodyBytes(prefix: [UInt8]) throws(FormatFault) -> Int {
        var reader = ByteReader(prefix)
        let count = Int(try reader.read(UInt16.self))
        guard count <= Self.bodyLimitBytes else {
            throw .tooLarge(field: "hello", size: count, limit: Self.bodyLimitBytes)
        }
        return count
    }

    init(body: [UInt8]) throws(FormatFault) {
        guard body.count >= 4 else { throw .truncated(offset: body.count) }
        let computed = CRC32C.of(body[..<(body.count - 4)])
        var trailer = ByteReader(body[(body.count - 4)...])
        let recorded = try trailer.read(UInt32.self)
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        var reader = ByteReader(body[..<(body.count - 4)])
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(Int(version)) }
        switch try reader.read(UInt8.self) {
        case 0: self.identity = .anonymous
        case 1:
            let node = NodeID(try reader.read(UInt32.self))
            guard let cluster = ClusterID(bytes: Array(try reader.readRaw(16))) else {
                throw .invalid(field: "cluster", offset: reader.offset)
            }
            self.identity = .node(node, cluster: cluster)
        case _: throw .invalid(field: "identity", offset: 1)
        }
        self.hostNames = try reader.readArray(
            field: "host names", limit: Self.hostNameLimit
        ) { reader throws(FormatFault) in
            try reader.readString(field: "host name", limit: 255)
        }
        try reader.finish()
    }
}
