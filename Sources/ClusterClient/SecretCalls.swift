import Catalog
import Primitives
import Signing
import Wire

/// Asks for the key that checks one day's signatures of an access key (DESIGN: an edge holds no
/// user's secret, only what a day and a region allow).
package struct SigningKeyRequest: WireMessage, Equatable {
    package let group: GroupID
    package let accessKey: AccessKeyID
    package let scope: SigV4Scope

    package init(group: GroupID, accessKey: AccessKeyID, scope: SigV4Scope) {
        self.group = group
        self.accessKey = accessKey
        self.scope = scope
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        self.accessKey.encode(into: &writer)
        writer.writeString(self.scope.day)
        writer.writeString(self.scope.region)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
        self.accessKey = try AccessKeyID(from: &reader)
        self.scope = SigV4Scope(
            day: try reader.readString(field: "day", limit: 8),
            region: try reader.readString(field: "region", limit: 64))
    }
}

package enum SigningKeyAnswer: WireMessage, Equatable {
    case found(owner: OwnerID, SigV4SigningKey)
    /// No such access key, or it is disabled.
    case absent
    /// The group does not own the access key's slot.
    case slotNotOwned
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .found(let owner, let key):
            writer.write(UInt8(1))
            owner.encode(into: &writer)
            writer.writeBytes(key.bytes)
        case .absent: writer.write(UInt8(2))
        case .refused(let refusal):
            writer.write(UInt8(3))
            refusal.encode(into: &writer)
        case .slotNotOwned: writer.write(UInt8(4))
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1:
            let owner = try OwnerID(from: &reader)
            let key = try reader.readKey(field: "signing key")
            self = .found(owner: owner, SigV4SigningKey(derived: key))
        case 2: self = .absent
        case 3: self = .refused(try GroupRefusal(from: &reader))
        case 4: self = .slotNotOwned
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// Asks for a bucket with its key, for a request that was authorised.
package struct BucketKeyRequest: WireMessage, Equatable {
    package let group: GroupID
    package let bucket: BucketName

    package init(group: GroupID, bucket: BucketName) {
        self.group = group
        self.bucket = bucket
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        self.bucket.encode(into: &writer)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
        self.bucket = try BucketName(from: &reader)
    }
}

package enum BucketKeyAnswer: WireMessage, Equatable {
    /// The bucket without its wrapped key, and the key in the clear (32 bytes).
    case found(Bucket, key: [UInt8])
    case noSuchBucket
    /// The group does not own the bucket's slot.
    case slotNotOwned
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .found(let bucket, let key):
            writer.write(UInt8(1))
            bucket.encode(into: &writer)
            writer.writeBytes(key)
        case .noSuchBucket: writer.write(UInt8(2))
        case .slotNotOwned: writer.write(UInt8(3))
        case .refused(let refusal):
            writer.write(UInt8(4))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1:
            let bucket = try Bucket(from: &reader)
            self = .found(bucket, key: try reader.readKey(field: "key"))
        case 2: self = .noSuchBucket
        case 3: self = .slotNotOwned
        case 4: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// Asks for a fresh key for a bucket that is about to be created, wrapped by the master key in force.
package struct MakeBucketKeyRequest: WireMessage, Equatable {
    package let bucket: BucketName
    package init(bucket: BucketName) { self.bucket = bucket }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        self.bucket.encode(into: &writer)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.bucket = try BucketName(from: &reader)
    }
}

package enum MakeBucketKeyAnswer: WireMessage, Equatable {
    case made(WrappedKey)
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .made(let key):
            writer.write(UInt8(1))
            key.encode(into: &writer)
        case .refused(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .made(try WrappedKey(from: &reader))
        case 2: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// A key under a master key's wrap.
package struct WrappedKey: WireMessage, Equatable {
    package let bytes: [UInt8]
    package init(bytes: [UInt8]) { self.bytes = bytes }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.writeBytes(self.bytes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.bytes = Array(
            try reader.readBytes(field: "wrapped key", limit: CatalogLimits.wrappedBytes))
    }
}

/// The master keys that a meta node holds, oldest first.
package struct HeldMasterKeys: WireMessage, Equatable {
    package let ids: [MasterKeyID]
    package init(ids: [MasterKeyID]) { self.ids = ids }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.writeArray(self.ids) { $0.writeRaw($1.bytes) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.ids = try reader.readArray(
            field: "master keys", limit: CatalogLimits.masterKeys
        ) { reader throws(FormatFault) in
            let at = reader.offset
            guard let id = MasterKeyID(bytes: Array(try reader.readRaw(MasterKeyID.sizeBytes)))
            else { throw .invalid(field: "master key", offset: at) }
            return id
        }
    }
}

/// Asks for a link. The meta node fills in the key in force and signs; the asker has checked that
/// who wants the link may do all that it allows.
package struct SignLinkRequest: WireMessage, Equatable {
    /// The policy, with any key id.
    package let policy: LinkPolicy
    package init(policy: LinkPolicy) { self.policy = policy }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.writeBytes(self.policy.encoded())
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        let bytes = try reader.readBytes(field: "policy", limit: LinkPolicy.sizeLimitBytes)
        self.policy = try LinkPolicy(decoding: Array(bytes))
    }
}

package enum SignLinkAnswer: WireMessage, Equatable {
    /// The URL parameters that carry the link.
    case signed(query: String)
    /// No link key is known here yet.
    case noKey
    /// Edges would refuse such a link.
    case unsound

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .signed(let query):
            writer.write(UInt8(1))
            writer.writeString(query)
        case .noKey: writer.write(UInt8(2))
        case .unsound: writer.write(UInt8(3))
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .signed(query: try reader.readString(field: "link", limit: 8192))
        case 2: self = .noKey
        case 3: self = .unsound
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

extension ByteReader {
    /// A key of 32 bytes behind its count.
    fileprivate mutating func readKey(field: String) throws(FormatFault) -> [UInt8] {
        let at = self.offset
        let key = Array(try self.readBytes(field: field, limit: 32))
        guard key.count == 32 else { throw .invalid(field: field, offset: at) }
        return key
    }

    mutating func expectFirstVersion() throws(FormatFault) {
        let version: UInt8 = try self.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
    }
}
