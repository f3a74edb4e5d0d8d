package import Primitives
internal import Wire

/// What a group knows of the master keys that its secrets are wrapped by. The keys themselves are
/// on meta nodes, outside every store.
///
/// A rotation goes through it in steps that a crash may part anywhere:
///
/// 1. Every meta node holds a new key; group 0 logs it as the one to wrap by.
/// 2. Each other group logs the same. From there on it refuses commands that bring a secret wrapped
///    by the old one, so that what is counted under that can only become less.
/// 3. Each leader has its group's secrets wrapped anew, a few a command.
/// 4. When no group has one under the old key, group 0 logs that key as retired: it may be dropped.
package struct MasterKeys: Equatable, Sendable {
    /// Counts the changes of `wrapping`; 0 before the first.
    package var generation: UInt64
    /// The key that the group's secrets are wrapped by, or are to be. Nil: none was chosen yet.
    package var wrapping: MasterKeyID?
    /// The keys that wrap secrets of this group, ascending, each with how many.
    package var secrets: [SecretCount]
    /// Keys that were in force, the oldest first: commands bring no secrets under them any more. In
    /// group 0 those that may still be needed.
    package var former: [MasterKeyID]
    /// In group 0: keys that nothing in the cluster needs any more; the last
    /// `CatalogLimits.masterKeys` of them, in the order they were retired.
    package var retired: [MasterKeyID]

    package struct SecretCount: Equatable, Sendable {
        package let key: MasterKeyID
        package var count: UInt64
        package init(key: MasterKeyID, count: UInt64) {
            self.key = key
            self.count = count
        }
    }

    package init(
        generation: UInt64 = 0, wrapping: MasterKeyID? = nil, secrets: [SecretCount] = [],
        former: [MasterKeyID] = [], retired: [MasterKeyID] = []
    ) {
        self.generation = generation
        self.wrapping = wrapping
        self.secrets = secrets
        self.former = former
        self.retired = retired
    }

    /// What group 0, in this state, proposes to make `key` the one in force: to itself, and then to
    /// the other groups when it has come to stand here.
    package func choosing(_ key: MasterKeyID) -> SetWrappingKey {
        let former = self.retired + self.former + (self.wrapping.map { [$0] } ?? [])
        return SetWrappingKey(
            generation: self.generation + 1, key: key,
            former: former.suffix(CatalogLimits.masterKeys))
    }

    /// The choice that led to this state of group 0, for a group that has not made it yet; nil when
    /// nothing was chosen, or the group is as far.
    package func choice(for other: MasterKeys) -> SetWrappingKey? {
        guard let wrapping = self.wrapping, self.generation > other.generation else { return nil }
        return SetWrappingKey(
            generation: self.generation, key: wrapping,
            former: (self.retired + self.former).suffix(CatalogLimits.masterKeys))
    }

    package func secretCount(under key: MasterKeyID) -> UInt64 {
        self.secrets.first { $0.key == key }?.count ?? 0
    }

    /// Secrets that still wait to be wrapped by the key in force.
    package var secretsUnderOlderKeys: UInt64 {
        guard let wrapping = self.wrapping else { return 0 }
        return self.secrets.reduce(0) { $0 + ($1.key == wrapping ? 0 : $1.count) }
    }

    /// One secret more, or one less.
    mutating func count(_ envelope: [UInt8], isAdded: Bool) {
        guard let key = WrappedSecret.masterKey(of: envelope) else { return }
        let place = self.secrets.firstIndex { $0.key >= key } ?? self.secrets.count
        if place == self.secrets.count || self.secrets[place].key != key {
            self.secrets.insert(SecretCount(key: key, count: 0), at: place)
        }
        let count = self.secrets[place].count
        self.secrets[place].count = isAdded ? count + 1 : count - min(count, 1)
        if self.secrets[place].count == 0 { self.secrets.remove(at: place) }
    }
}

/// Makes a key the one that wraps the group's secrets, if the group knows no later choice.
package struct SetWrappingKey: Equatable, Sendable {
    /// One above the group's in group 0, and group 0's everywhere else.
    package let generation: UInt64
    package let key: MasterKeyID
    /// All keys that were in force before, the oldest first.
    package let former: [MasterKeyID]

    package init(generation: UInt64, key: MasterKeyID, former: [MasterKeyID]) {
        self.generation = generation
        self.key = key
        self.former = former
    }
}

/// Where in a group a wrapped secret stands.
package enum SecretPlace: Hashable, Sendable {
    case bucket(BucketName)
    case accessKey(AccessKeyID)
    case linkKey(String)
    /// With the cluster in group 0, until its data group has it.
    case firstAccessKey(AccessKeyID)
}

/// A secret as it rests.
package struct StoredSecret: Equatable, Sendable {
    package let place: SecretPlace
    package let envelope: [UInt8]

    package init(place: SecretPlace, envelope: [UInt8]) {
        self.place = place
        self.envelope = envelope
    }
}

/// The same secret under the group's wrapping key. It changes nothing where the secret is not, byte
/// for byte, the one that was wrapped anew.
package struct RewrappedSecret: Equatable, Sendable {
    package let place: SecretPlace
    package let old: [UInt8]
    package let new: [UInt8]

    package init(place: SecretPlace, old: [UInt8], new: [UInt8]) {
        self.place = place
        self.old = old
        self.new = new
    }
}

extension MasterKeys: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.generation)
        writer.writeOptional(self.wrapping) { $0.writeRaw($1.bytes) }
        writer.writeArray(self.secrets) {
            $0.writeRaw($1.key.bytes)
            $0.write($1.count)
        }
        writer.writeArray(self.former) { $0.writeRaw($1.bytes) }
        writer.writeArray(self.retired) { $0.writeRaw($1.bytes) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        self.init(
            generation: try reader.read(),
            wrapping: try reader.readOptional { (reader) throws(FormatFault) in
                try reader.readMasterKeyID()
            },
            secrets: try reader.readArray(
                field: "secret counts", limit: CatalogLimits.masterKeys
            ) { (reader) throws(FormatFault) in
                SecretCount(key: try reader.readMasterKeyID(), count: try reader.read())
            },
            former: try reader.readArray(
                field: "former keys", limit: CatalogLimits.masterKeys
            ) { (reader) throws(FormatFault) in try reader.readMasterKeyID() },
            retired: try reader.readArray(
                field: "retired keys", limit: CatalogLimits.masterKeys
            ) { (reader) throws(FormatFault) in try reader.readMasterKeyID() })
    }
}

extension SetWrappingKey: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.generation)
        writer.writeRaw(self.key.bytes)
        writer.writeArray(self.former) { $0.writeRaw($1.bytes) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            generation: try reader.read(), key: try reader.readMasterKeyID(),
            former: try reader.readArray(
                field: "former keys", limit: CatalogLimits.masterKeys
            ) { (reader) throws(FormatFault) in try reader.readMasterKeyID() })
    }
}

/// A tag, and what names the row. Tags are for ever.
extension SecretPlace: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .bucket(let name): writer.write(tag: 1) { $0.write(name) }
        case .accessKey(let id): writer.write(tag: 2) { $0.write(id) }
        case .linkKey(let id): writer.write(tag: 3) { $0.writeString(id) }
        case .firstAccessKey(let id): writer.write(tag: 4) { $0.write(id) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .bucket(try BucketName(from: &reader))
        case 2: self = .accessKey(try AccessKeyID(from: &reader))
        case 3:
            self = .linkKey(
                try reader.readString(field: "link key", bounds: CatalogLimits.linkKeyIDBytes))
        case 4: self = .firstAccessKey(try AccessKeyID(from: &reader))
        default: throw .invalid(field: "place of a secret", offset: at)
        }
    }
}

extension RewrappedSecret: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.place)
        writer.writeBytes(self.old)
        writer.writeBytes(self.new)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let limit = CatalogLimits.wrappedBytes
        self.init(
            place: try SecretPlace(from: &reader),
            old: Array(try reader.readBytes(field: "old envelope", limit: limit)),
            new: Array(try reader.readBytes(field: "new envelope", limit: limit)))
    }
}

extension ByteReader {
    mutating func readMasterKeyID() throws(FormatFault) -> MasterKeyID {
        let at = self.offset
        let bytes = Array(try self.readRaw(MasterKeyID.sizeBytes))
        guard let id = MasterKeyID(bytes: bytes) else {
            throw .invalid(field: "master key", offset: at)
        }
        return id
    }
}
