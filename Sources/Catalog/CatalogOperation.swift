package import Placement
package import Primitives

/// Everything that can be asked of a group. What each answers stands in `CommandResult`.
package enum CatalogOperation: Equatable, Sendable {
    /// Bytes that this release cannot read as an operation; only decoding an entry makes one.
    case unreadable

    // Any group.

    /// Opens a client's session, or answers what opening it answered.
    case openSession(SessionID)
    /// Chooses the master key that wraps the group's secrets from here on.
    case setWrappingKey(SetWrappingKey)
    /// Puts secrets that were wrapped anew in the place of their older forms; at most
    /// `CatalogLimits.secretsPerCommand`.
    case rewrapSecrets([RewrappedSecret])

    // Data groups: slots.

    // `SlotMove` says in which order they come.

    case adoptSlots(AdoptSlots)
    case releaseSlots(ReleaseSlots)
    case retainSlots(RetainSlots)
    case clearImport(ClearImport)
    case importRows(ImportRows)
    case dropRows(DropRows)

    // Data groups: buckets, objects, access keys.

    case createBucket(CreateBucket)
    case deleteBucket(BucketName)
    case putObject(PutObject)
    case deleteObject(DeleteObject)
    case copyObject(CopyObject)
    case createAccessKey(AccessKey)
    case deleteAccessKey(AccessKeyID)

    // Data groups: links.

    case revokeLink(RevokeLink)
    /// Withdraws every link into the bucket that was made so far.
    case raiseLinkEpoch(BucketName)

    // Data groups: uploads, and manifests in parts.

    case openUpload(OpenUpload)
    case putPart(PutPart)
    case completeUpload(CompleteUpload)
    case abortUpload(AbortUpload)
    /// Releases the next parts of a manifest that is doomed, at most `CatalogLimits.partsPerSweep`.
    case sweepManifest(DoomedManifest)

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
    /// Adds a node, whose identity must be above all that ever were; or says how a node stands that
    /// is known. Who was removed stays so for ever.
    case registerNode(NodeRecord)
    /// Gives out a number that was never given out before. A repeat wastes one.
    case allocateIncarnation
    case setLayout(SetLayout)
    /// Replaces groups and slots of the table; moves go on as they are.
    case setGroupTable(SetGroupTable)
    case moveSlots(MoveSlots)
    case advanceSlotMove(AdvanceSlotMove)
    case addLinkKey(LinkKey)
    case removeLinkKey(id: String)
    case retireMasterKey(RetireMasterKey)

    /// The slot whose owner decides; nil for what concerns a whole group.
    package var slot: Slot? {
        switch self {
        case .createBucket(let create): create.name.slot
        case .deleteBucket(let name): name.slot
        case .putObject(let put): put.bucket.slot
        case .deleteObject(let delete): delete.bucket.slot
        case .revokeLink(let revoke): revoke.bucket.slot
        case .raiseLinkEpoch(let bucket): bucket.slot
        case .copyObject(let copy): copy.bucket.slot
        case .openUpload(let open): open.bucket.slot
        case .putPart(let put): put.upload.bucket.slot
        case .completeUpload(let complete): complete.upload.bucket.slot
        case .abortUpload(let abort): abort.upload.bucket.slot
        case .sweepManifest(let doomed): doomed.bucket.slot
        case .createAccessKey(let key): key.id.slot
        case .deleteAccessKey(let id): id.slot
        case .fileBadCopy(let filed): filed.chunk.slot
        // Their chunks are of many slots, each asked for itself.
        case .condemnChunks, .authoriseDeletions, .confirmDeletions, .forgetChunks,
            .correctReferences:
            nil
        case .unreadable, .openSession, .setWrappingKey, .rewrapSecrets, .retireMasterKey,
            .adoptSlots, .releaseSlots, .retainSlots, .clearImport, .importRows, .dropRows,
            .bootstrap, .finishBootstrap, .registerNode, .allocateIncarnation, .setLayout,
            .setGroupTable, .moveSlots, .advanceSlotMove, .addLinkKey, .removeLinkKey:
            nil
        }
    }

    /// Whether a second application does no harm, so that the command may go without a session.
    package var mayRepeat: Bool {
        switch self {
        case .unreadable, .openSession, .setWrappingKey, .rewrapSecrets, .retireMasterKey,
            .adoptSlots, .releaseSlots, .retainSlots, .clearImport, .importRows, .dropRows,
            .createAccessKey, .revokeLink, .abortUpload, .sweepManifest, .condemnChunks,
            .authoriseDeletions, .confirmDeletions,
            .forgetChunks, .fileBadCopy, .correctReferences, .bootstrap, .finishBootstrap,
            .registerNode, .allocateIncarnation, .setLayout, .setGroupTable, .moveSlots,
            .advanceSlotMove, .addLinkKey, .removeLinkKey:
            true
        case .createBucket, .deleteBucket, .putObject, .deleteObject, .copyObject,
            .deleteAccessKey, .raiseLinkEpoch, .openUpload, .putPart, .completeUpload:
            false
        }
    }

    /// Which groups carry it out.
    var scope: Scope {
        switch self {
        case .unreadable, .openSession, .setWrappingKey, .rewrapSecrets: .anyGroup
        case .adoptSlots, .releaseSlots, .retainSlots, .clearImport, .importRows, .dropRows,
            .createBucket, .deleteBucket, .putObject, .deleteObject, .copyObject, .createAccessKey,
            .deleteAccessKey, .revokeLink, .raiseLinkEpoch, .openUpload, .putPart,
            .completeUpload, .abortUpload, .sweepManifest, .condemnChunks, .authoriseDeletions,
            .confirmDeletions, .forgetChunks, .fileBadCopy, .correctReferences:
            .dataGroups
        case .bootstrap, .finishBootstrap, .registerNode, .allocateIncarnation, .setLayout,
            .setGroupTable, .moveSlots, .advanceSlotMove, .addLinkKey, .removeLinkKey,
            .retireMasterKey:
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

/// Makes the group the owner of slots that nobody owned, in the first epoch, or of those whose rows
/// it has imported in this epoch.
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

/// Ends the group's ownership of slots, which it holds in the epoch below, for the sake of the owner
/// of `epoch`.
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

/// Bytes that were stored for a command.
package struct ObjectContent: Equatable, Sendable {
    /// Inline or in chunks: parts come by an upload.
    package let manifest: Manifest
    package let placedBy: LayoutVersion
    /// The version of the bucket whose key sealed the bytes. Any other refuses them: an edge may
    /// remember a key for a while after the bucket was deleted and made again, and what it seals
    /// with that one nobody could ever open.
    package let sealedFor: VersionID
    /// When the first of the chunks that were stored for the command was sealed, or before, by the
    /// edge's wall clock; nil where none was. A command that names a chunk without a row is refused
    /// with `.chunkCondemned` unless this is less than `CatalogLimits.newChunkLifetime` ago: an edge
    /// may have been stopped between storing and naming for so long that nothing remembers the
    /// chunk's end.
    package let oldestSealed: Timestamp?
    package let deduplication: Deduplication

    package init(
        _ manifest: Manifest, placedBy: LayoutVersion, sealedFor: VersionID,
        oldestSealed: Timestamp? = nil, deduplication: Deduplication = .none
    ) {
        self.manifest = manifest
        self.placedBy = placedBy
        self.sealedFor = sealedFor
        self.oldestSealed = oldestSealed
        self.deduplication = deduplication
    }
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
