internal import OrderedStorage
internal import Primitives

/// The keys of a group's rows. First bytes within the family `rows` are for ever.
package enum CatalogKeys {
    enum Kind: UInt8 {
        case applied = 0x01
        case sessionCount = 0x02
        case incarnation = 0x03
        case cluster = 0x04
        case layout = 0x05
        case groupTable = 0x06
        case greatestNode = 0x07
        case masterKeys = 0x08
        case configuration = 0x09
        case nodesVersion = 0x0a
        case node = 0x10
        case linkKey = 0x11
        case session = 0x20
        case sessionAge = 0x21
        case result = 0x22
        case slot = 0x30
        case slotImport = 0x31
        case slotDrop = 0x32
        case ownedSlots = 0x33
        case bucket = 0x40
        case bucketOfOwner = 0x41
        case accessKey = 0x42
        case chunk = 0x43
        case manifestReferences = 0x44
        case revokedLink = 0x45
        case chunkQueue = 0x60
        case deletion = 0x61
        case upload = 0x50
        case uploadProgress = 0x51
        case uploadOfKey = 0x52
        case uploadAge = 0x53
        case completedUpload = 0x54
        case completedUploadAge = 0x55
        case doomedManifest = 0x56
        case fingerprint = 0x57
        case doomedManifestAge = 0x58
    }

    /// Where `AppliedPosition` stands, in the family `rows`: what a restart reads durably.
    package static let applied: [UInt8] = [Kind.applied.rawValue]

    /// Where the group's configuration stands, as its entry had it.
    static let configuration: [UInt8] = [Kind.configuration.rawValue]
    static let sessionCount: [UInt8] = [Kind.sessionCount.rawValue]
    static let incarnation: [UInt8] = [Kind.incarnation.rawValue]
    static let cluster: [UInt8] = [Kind.cluster.rawValue]
    static let layout: [UInt8] = [Kind.layout.rawValue]
    static let groupTable: [UInt8] = [Kind.groupTable.rawValue]
    static let greatestNode: [UInt8] = [Kind.greatestNode.rawValue]
    /// How often the nodes' records have changed.
    static let nodesVersion: [UInt8] = [Kind.nodesVersion.rawValue]
    static let masterKeys: [UInt8] = [Kind.masterKeys.rawValue]
    static let nodes: [UInt8] = [Kind.node.rawValue]
    static let linkKeys: [UInt8] = [Kind.linkKey.rawValue]
    static let sessionAges: [UInt8] = [Kind.sessionAge.rawValue]
    static let buckets: [UInt8] = [Kind.bucket.rawValue]
    static let accessKeys: [UInt8] = [Kind.accessKey.rawValue]
    /// What the keys of all rows with wrapped secrets begin with, ascending.
    static let secrets = [Self.cluster, Self.linkKeys, Self.buckets, Self.accessKeys]

    static func node(_ id: NodeID) -> [UInt8] { Self.key(.node) { $0.write(id.rawValue) } }

    static func linkKey(_ id: String) -> [UInt8] { Self.key(.linkKey) { $0.writeRaw(id.utf8) } }

    static func session(_ id: SessionID) -> [UInt8] {
        Self.key(.session) { $0.write(id.rawValue) }
    }

    /// Orders the sessions by how long they have been silent.
    static func sessionAge(_ id: SessionID, lastUsed: Timestamp) -> [UInt8] {
        Self.key(.sessionAge) {
            $0.write(lastUsed.milliseconds)
            $0.write(id.rawValue)
        }
    }

    /// The session at the end of a key that `sessionAge` made.
    static func session(ofAge key: [UInt8]) throws(FormatFault) -> (SessionID, Timestamp) {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        let lastUsed = Timestamp(milliseconds: try reader.read())
        let id = SessionID(try reader.read())
        try reader.finish()
        return (id, lastUsed)
    }

    static func results(of session: SessionID) -> [UInt8] {
        Self.key(.result) { $0.write(session.rawValue) }
    }

    /// A place in the ring of the session's results: a new result takes the place of the one that
    /// left the window.
    static func result(of session: SessionID, sequence: UInt64) -> [UInt8] {
        Self.key(.result) {
            $0.write(session.rawValue)
            $0.write(UInt16(sequence % CatalogLimits.sessionWindow))
        }
    }

    static let ownedSlots: [UInt8] = [Kind.ownedSlots.rawValue]
    static let slotImports: [UInt8] = [Kind.slotImport.rawValue]
    static let slotDrops: [UInt8] = [Kind.slotDrop.rawValue]

    static func slotImport(_ slots: SlotRange) -> [UInt8] {
        Self.key(.slotImport) { $0.write(slots.first.rawValue) }
    }

    static func slotDrop(_ slots: SlotRange) -> [UInt8] {
        Self.key(.slotDrop) { $0.write(slots.first.rawValue) }
    }

    static func slot(_ slot: Slot) -> [UInt8] { Self.key(.slot) { $0.write(slot.rawValue) } }

    static func slot(ofKey key: [UInt8]) throws(FormatFault) -> Slot {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        let slot = Slot(rawValue: try reader.read())
        try reader.finish()
        return slot
    }

    static func slots(_ range: SlotRange) -> KeyRange {
        KeyRange(
            start: Self.slot(range.first),
            end: KeyRange.successor(ofPrefix: Self.slot(range.last)))
    }

    static func bucket(_ name: BucketName) -> [UInt8] {
        Self.key(.bucket) {
            $0.write(name.slot.rawValue)
            $0.writeRaw(name.text.utf8)
        }
    }

    static func buckets(of owner: OwnerID) -> [UInt8] {
        Self.key(.bucketOfOwner) { $0.writeEscaped(owner.text.utf8) }
    }

    static func bucket(_ name: BucketName, of owner: OwnerID) -> [UInt8] {
        Self.key(.bucketOfOwner) {
            $0.writeEscaped(owner.text.utf8)
            $0.writeRaw(name.text.utf8)
        }
    }

    static func accessKey(_ id: AccessKeyID) -> [UInt8] {
        Self.key(.accessKey) {
            $0.write(id.slot.rawValue)
            $0.writeRaw(id.text.utf8)
        }
    }

    /// Slot ‖ place on the ring ‖ chunk. The place has the most bits a layout can use, so that the
    /// chunks of a partition are a range, however many partitions the cluster has.
    static func chunk(_ name: ChunkName, in slot: Slot) -> [UInt8] {
        Self.key(.chunk) {
            $0.write(slot.rawValue)
            $0.write(name.partition(partitionBits: Self.ringBits).rawValue)
            $0.write(name.incarnation)
            $0.write(name.counter)
        }
    }

    private static let ringBits = 20

    static func manifestReferences(_ id: ManifestID, in bucket: BucketName) -> [UInt8] {
        Self.key(.manifestReferences) {
            $0.write(bucket.slot.rawValue)
            $0.writeEscaped(bucket.text.utf8)
            $0.write(id.rawValue)
        }
    }

    // Links.

    static func revokedLinks(of bucket: BucketName) -> [UInt8] {
        Self.key(.revokedLink) { $0.write(membersOf: bucket) }
    }

    /// By the links' ends, so that those that are over stand in front.
    static func revokedLink(_ link: RevokedLink, of bucket: BucketName) -> [UInt8] {
        Self.key(.revokedLink) {
            $0.write(membersOf: bucket)
            $0.write(link.expirySeconds)
            $0.write(link.number)
        }
    }

    static func revokedLink(ofKey key: [UInt8]) throws(FormatFault) -> RevokedLink {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        _ = try reader.readMembers()
        let link = RevokedLink(expirySeconds: try reader.read(), number: try reader.read())
        try reader.finish()
        return link
    }

    // Uploads.

    /// Uploads of a bucket, in the order they were opened.
    static func uploads(of bucket: BucketName) -> [UInt8] {
        Self.key(.upload) { $0.write(membersOf: bucket) }
    }

    static func upload(_ name: UploadName) -> [UInt8] { Self.key(.upload, of: name) }

    static func uploadProgress(_ name: UploadName) -> [UInt8] {
        Self.key(.uploadProgress, of: name)
    }

    static func completedUpload(_ name: UploadName) -> [UInt8] {
        Self.key(.completedUpload, of: name)
    }

    /// What the listing rows of all uploads begin with whose keys begin with `prefix`.
    static func uploadListing(of bucket: BucketName, prefix: [UInt8] = []) -> [UInt8] {
        Self.key(.uploadOfKey) {
            $0.write(membersOf: bucket)
            $0.writeEscapedPrefix(prefix)
        }
    }

    /// What the listing rows of all uploads of one key begin with.
    static func uploadListing(of bucket: BucketName, key: [UInt8]) -> [UInt8] {
        Self.key(.uploadOfKey) {
            $0.write(membersOf: bucket)
            $0.writeEscaped(key)
        }
    }

    /// Orders the uploads of a bucket by key, and then by when they were opened.
    static func uploadListing(of bucket: BucketName, key: [UInt8], _ id: UploadID) -> [UInt8] {
        Self.key(.uploadOfKey) {
            $0.write(membersOf: bucket)
            $0.writeEscaped(key)
            $0.write(id.rawValue)
        }
    }

    static let uploadAges: [UInt8] = [Kind.uploadAge.rawValue]
    static let completedUploadAges: [UInt8] = [Kind.completedUploadAge.rawValue]
    static let doomedManifestAges: [UInt8] = [Kind.doomedManifestAge.rawValue]

    /// Orders the uploads by how long no part of them came.
    static func uploadAge(_ name: UploadName, touched: Timestamp) -> [UInt8] {
        Self.key(.uploadAge, at: touched, name.bucket, name.id.rawValue)
    }

    static func completedUploadAge(_ name: UploadName, completed: Timestamp) -> [UInt8] {
        Self.key(.completedUploadAge, at: completed, name.bucket, name.id.rawValue)
    }

    static func doomedManifest(_ name: DoomedManifest) -> [UInt8] {
        Self.key(.doomedManifest) {
            $0.write(membersOf: name.bucket)
            $0.write(name.manifest.rawValue)
            $0.write(name.doomed.milliseconds)
        }
    }

    /// The manifest in a key that `doomedManifest` made.
    static func doomedManifest(ofKey key: [UInt8]) throws(FormatFault) -> DoomedManifest {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        let bucket = try reader.readMembers()
        let manifest = ManifestID(rawValue: try reader.read())
        let doomed = Timestamp(milliseconds: try reader.read())
        try reader.finish()
        return DoomedManifest(doomed: doomed, bucket: bucket, manifest: manifest)
    }

    static func doomedManifestAge(_ name: DoomedManifest) -> [UInt8] {
        Self.key(.doomedManifestAge, at: name.doomed, name.bucket, name.manifest.rawValue)
    }

    /// The bucket and the number in the key of an upload, or of what belongs to one.
    static func member(_ key: [UInt8]) throws(FormatFault) -> (BucketName, UInt64) {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        let bucket = try reader.readMembers()
        let number = try reader.read(UInt64.self)
        try reader.finish()
        return (bucket, number)
    }

    /// What the keys of a queue say that is ordered by time.
    static func queued(_ key: [UInt8]) throws(FormatFault) -> (Timestamp, BucketName, UInt64) {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        let time = Timestamp(milliseconds: try reader.read())
        let bucket = try reader.readMembers()
        let number = try reader.read(UInt64.self)
        try reader.finish()
        return (time, bucket, number)
    }

    private static func key(
        _ kind: Kind, at time: Timestamp, _ bucket: BucketName, _ number: UInt64
    ) -> [UInt8] {
        Self.key(kind) {
            $0.write(time.milliseconds)
            $0.write(membersOf: bucket)
            $0.write(number)
        }
    }

    private static func key(_ kind: Kind, of name: UploadName) -> [UInt8] {
        Self.key(kind) {
            $0.write(membersOf: name.bucket)
            $0.write(name.id.rawValue)
        }
    }

    /// By the slot alone: fingerprints of two buckets never meet.
    static func fingerprint(_ fingerprint: ChunkFingerprint, in slot: Slot) -> [UInt8] {
        Self.key(.fingerprint) {
            $0.write(slot.rawValue)
            $0.writeRaw(fingerprint.bytes)
        }
    }

    // In the families of their own.

    /// Slot ‖ bucket: what the keys of all its heads, or of all its manifests, begin with.
    static func members(of bucket: BucketName) -> [UInt8] {
        var writer = KeyWriter(capacity: 2 + bucket.text.utf8.count + 2 + 64)
        writer.write(membersOf: bucket)
        return writer.key
    }

    static func head(_ key: ObjectKey, in bucket: BucketName) -> [UInt8] {
        var row = Self.members(of: bucket)
        row.append(contentsOf: key.utf8)
        return row
    }

    static func manifest(_ id: ManifestID, in bucket: BucketName) -> [UInt8] {
        var writer = KeyWriter(capacity: 2 + bucket.text.utf8.count + 2 + 8)
        writer.write(membersOf: bucket)
        writer.write(id.rawValue)
        return writer.key
    }

    /// Behind the root of its manifest, before that of the next.
    static func part(_ number: PartNumber, of id: ManifestID, in bucket: BucketName) -> [UInt8] {
        var writer = KeyWriter(capacity: 2 + bucket.text.utf8.count + 2 + 8 + 2)
        writer.write(membersOf: bucket)
        writer.write(id.rawValue)
        writer.write(number.rawValue)
        return writer.key
    }

    /// The rows of a manifest's parts from `first` on.
    static func parts(
        of id: ManifestID, in bucket: BucketName, from first: PartNumber
    ) -> KeyRange {
        KeyRange(
            start: Self.part(first, of: id, in: bucket),
            end: KeyRange.successor(ofPrefix: Self.manifest(id, in: bucket)))
    }

    static func key(_ kind: Kind, _ body: (inout KeyWriter) -> Void) -> [UInt8] {
        var writer = KeyWriter()
        writer.write(kind.rawValue)
        body(&writer)
        return writer.key
    }
}

extension KeyReader {
    /// Slot ‖ bucket.
    fileprivate mutating func readMembers() throws(FormatFault) -> BucketName {
        let slot = Slot(rawValue: try self.read())
        let text = try self.readEscaped(field: "bucket name")
        guard let bucket = BucketName(String(decoding: text, as: UTF8.self)), bucket.slot == slot
        else { throw .invalid(field: "bucket name", offset: 0) }
        return bucket
    }
}

extension KeyWriter {
    /// Slot ‖ bucket.
    fileprivate mutating func write(membersOf bucket: BucketName) {
        self.write(bucket.slot.rawValue)
        self.writeEscaped(bucket.text.utf8)
    }
}
