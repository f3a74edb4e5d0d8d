package import Placement
package import Primitives

/// Everything that can be asked of a group. What each answers stands in `CommandResult`.
package enum CatalogOperation: Equatable, Sendable {
    /// Bytes that this release cannot read as an operation; only decoding an entry makes one.
    case unreadable

    // Any group.

    /// Opens a client's session, or answers what opening it answered.
    case openSession(SessionID)

    // Data groups: slots.

    case adoptSlots(AdoptSlots)
    case releaseSlots(ReleaseSlots)

    // Data groups: buckets, objects, access keys.

    case createBucket(CreateBucket)
    case deleteBucket(BucketName)
    case putObject(PutObject)
    case deleteObject(DeleteObject)
    case createAccessKey(AccessKey)
    case deleteAccessKey(AccessKeyID)

    // Data groups: the death of chunks.

    case condemnChunks(CondemnChunks)
    case authoriseDeletions(AuthoriseDeletions)
    case confirmDeletions(ConfirmDeletions)
    /// Drops what is remembered of chunks that were deleted long ago; at most
    /// `CatalogLimits.chunksPerSweep`.
    case forgetChunks([ChunkKey])
    case fileBadCopy(FileBadCopy)
    case correctReferences(CorrectReferences)

    // The system group.

    case bootstrap(Bootstrap)
    /// The first access key stands in its data group; group 0 forgets it, so that nobody who
    /// deletes it there meets it again.
    case finishBootstrap
    /// Adds a node, or replaces what is known of it.
    case registerNode(NodeRecord)
    /// Gives out a number that was never given out before. A repeat wastes one.
    case allocateIncarnation
    case setLayout(SetLayout)
    case setGroupTable(SetGroupTable)
    case addLinkKey(LinkKey)
    case removeLinkKey(id: String)

    /// The slot whose owner decides; nil for what concerns a whole group.
    package var slot: Slot? {
        switch self {
        case .createBucket(let create): create.name.slot
        case .deleteBucket(let name): name.slot
        case .putObject(let put): put.bucket.slot
        case .deleteObject(let delete): delete.bucket.slot
        case .createAccessKey(let key): key.id.slot
        case .deleteAccessKey(let id): id.slot
        case .fileBadCopy(let filed): filed.chunk.slot
        // Their chunks are of many slots, each asked for itself.
        case .condemnChunks, .authoriseDeletions, .confirmDeletions, .forgetChunks,
            .correctReferences:
            nil
        case .unreadable, .openSession, .adoptSlots, .releaseSlots, .bootstrap, .finishBootstrap,
            .registerNode, .allocateIncarnation, .setLayout, .setGroupTable, .addLinkKey,
            .removeLinkKey:
            nil
        }
    }

    /// Whether a second application does no harm, so that the command may go without a session.
    package var mayRepeat: Bool {
        switch self {
        case .unreadable, .openSession, .adoptSlots, .releaseSlots, .createAccessKey,
            .condemnChunks, .authoriseDeletions, .confirmDeletions, .forgetChunks, .fileBadCopy,
            .correctReferences, .bootstrap, .finishBootstrap, .registerNode, .allocateIncarnation,
            .setLayout, .setGroupTable,
            .addLinkKey, .removeLinkKey:
            true
        case .createBucket, .deleteBucket, .putObject, .deleteObject, .deleteAccessKey: false
        }
    }

    /// Which groups carry it out.
    var scope: Scope {
        switch self {
        case .unreadable, .openSession: .anyGroup
        case .adoptSlots, .releaseSlots, .createBucket, .deleteBucket, .putObject, .deleteObject,
            .createAccessKey, .deleteAccessKey, .condemnChunks, .authoriseDeletions,
            .confirmDeletions, .forgetChunks, .fileBadCopy, .correctReferences:
            .dataGroups
        case .bootstrap, .finishBootstrap, .registerNode, .allocateIncarnation, .setLayout,
            .setGroupTable, .addLinkKey, .removeLinkKey:
            .systemGroup
        }
    }

    enum Scope {
        case anyGroup
        case dataGroups
        case systemGroup

        func contains(_ group: GroupID) -> Bool {
            switch self {
            case .anyGroup: true
            case .dataGroups: group != .system
            case .systemGroup: group == .system
            }
        }
    }
}

/// Makes the group the owner of slots, unless it knows a later epoch of one of them.
package struct AdoptSlots: Equatable, Sendable {
    package let slots: SlotRange
    package let epoch: Epoch
    /// The greatest index that made a version in these slots so far, as `.slotsReleased` answered;
    /// 0 for slots that nobody owned.
    package let versionFloor: UInt64

    package init(slots: SlotRange, epoch: Epoch, versionFloor: UInt64 = 0) {
        self.slots = slots
        self.epoch = epoch
        self.versionFloor = versionFloor
    }
}

/// Ends the group's ownership of slots, for the sake of the owner of `epoch`.
package struct ReleaseSlots: Equatable, Sendable {
    package let slots: SlotRange
    package let epoch: Epoch

    package init(slots: SlotRange, epoch: Epoch) {
        self.slots = slots
        self.epoch = epoch
    }
}

package struct CreateBucket: Equatable, Sendable {
    package let name: BucketName
    package let owner: OwnerID
    /// The bucket's own key, sealed under the master key.
    package let wrappedKey: [UInt8]

    package init(name: BucketName, owner: OwnerID, wrappedKey: [UInt8]) {
        self.name = name
        self.owner = owner
        self.wrappedKey = wrappedKey
    }
}

/// Makes a version of an object the current one. A plain PUT is exactly this command.
package struct PutObject: Equatable, Sendable {
    package let bucket: BucketName
    package let key: ObjectKey
    package let size: UInt64
    package let entityTag: EntityTag
    /// Of the whole object, where it is known: 32 bytes.
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]
    package let attributes: ObjectAttributes
    package let content: ObjectContent
    package let precondition: ObjectPrecondition

    package init(
        bucket: BucketName, key: ObjectKey, size: UInt64, entityTag: EntityTag,
        sha256: [UInt8]? = nil, checksums: [ObjectChecksum] = [],
        attributes: ObjectAttributes = ObjectAttributes(), content: ObjectContent,
        precondition: ObjectPrecondition = .none
    ) {
        self.bucket = bucket
        self.key = key
        self.size = size
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
        self.attributes = attributes
        self.content = content
        self.precondition = precondition
    }
}

/// Where the bytes of a new version are.
package enum ObjectContent: Equatable, Sendable {
    /// Bytes under the key of the bucket of version `sealedFor`, and refused by any other: an edge
    /// may remember a key for a while after the bucket was deleted and made again, and what it seals
    /// with that one nobody could ever open.
    case new(Manifest, placedBy: LayoutVersion, sealedFor: VersionID)
    /// Those of a manifest of the same bucket, which both then share: a copy. It needs no version of
    /// the bucket: no manifest outlives its bucket, and no identity of one is used again.
    case existing(ManifestID)
}

package struct DeleteObject: Equatable, Sendable {
    package let bucket: BucketName
    package let key: ObjectKey
    package let precondition: ObjectPrecondition

    package init(bucket: BucketName, key: ObjectKey, precondition: ObjectPrecondition = .none) {
        self.bucket = bucket
        self.key = key
        self.precondition = precondition
    }
}

/// What must hold of the current version when the command is applied (RFC 9110 §13.1).
package enum ObjectPrecondition: Equatable, Sendable {
    case none
    /// `If-None-Match: *`
    case absent
    /// `If-Match: *`
    case present
    /// `If-Match: "…"`
    case matches(EntityTag)
}

/// The first entry of a cluster, as `holdfast init` wrote it down.
package struct Bootstrap: Equatable, Sendable {
    package let cluster: ClusterID
    package let firstAccessKey: AccessKey
    package let linkKey: LinkKey
    package let nodes: [NodeRecord]
    package let layout: Layout
    package let groupTable: GroupTable

    package init(
        cluster: ClusterID, firstAccessKey: AccessKey, linkKey: LinkKey, nodes: [NodeRecord],
        layout: Layout, groupTable: GroupTable
    ) {
        self.cluster = cluster
        self.firstAccessKey = firstAccessKey
        self.linkKey = linkKey
        self.nodes = nodes
        self.layout = layout
        self.groupTable = groupTable
    }
}

/// Replaces the layout, if `expected` is still the current version.
package struct SetLayout: Equatable, Sendable {
    package let expected: LayoutVersion
    package let layout: Layout

    package init(expected: LayoutVersion, layout: Layout) {
        self.expected = expected
        self.layout = layout
    }
}

/// Replaces the group table, if `expected` is still the current version.
package struct SetGroupTable: Equatable, Sendable {
    package let expected: UInt64
    package let table: GroupTable

    package init(expected: UInt64, table: GroupTable) {
        self.expected = expected
        self.table = table
    }
}
