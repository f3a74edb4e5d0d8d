internal import OrderedStorage
package import Primitives
internal import Wire

/// How far a group's state has come: written in the same batch as the effects it covers.
package struct AppliedPosition: Equatable, Sendable {
    package let index: LogIndex
    package let term: Term
    /// The time of the last entry: never below that of an earlier one.
    package let time: Timestamp
    /// A hash over all that the entries up to here wrote. Replicas of a group that have applied the
    /// same entries have the same, or one of them is not what it should be.
    package let digest: UInt64

    package init(index: LogIndex, term: Term, time: Timestamp, digest: UInt64) {
        self.index = index
        self.term = term
        self.time = time
        self.digest = digest
    }

    package static let start = AppliedPosition(
        index: .zero, term: .zero, time: Timestamp(milliseconds: 0), digest: 0)

    /// This position once its entry has written `changes` over what the digest covers now.
    func covering(_ changes: WriteBatch) -> AppliedPosition {
        var hash = RunningHash(from: self.digest)
        hash.absorb(self.index.rawValue)
        hash.absorb(self.term.rawValue)
        hash.absorb(UInt64(bitPattern: self.time.milliseconds))
        for change in changes.changes {
            switch change {
            case .put(let family, let key, let value):
                hash.absorb(UInt64(family.index) << 8 | 1)
                hash.absorb(key)
                hash.absorb(value)
            case .delete(let family, let key):
                hash.absorb(UInt64(family.index) << 8 | 2)
                hash.absorb(key)
            case .deleteRange(let family, let range):
                hash.absorb(UInt64(family.index) << 8 | (range.end == nil ? 3 : 4))
                hash.absorb(range.start)
                hash.absorb(range.end ?? [])
            }
        }
        return AppliedPosition(
            index: self.index, term: self.term, time: self.time, digest: hash.value)
    }
}

/// The current version of an object.
package struct ObjectHead: Equatable, Sendable {
    package let version: VersionID
    package let manifest: ManifestID
    /// Whether the manifest holds the bytes themselves: then it names no chunks, and goes without
    /// being read.
    package let isInline: Bool
    /// The version of the bucket whose key opens the bytes. It stands here so that a reader learns
    /// it in the same look as the manifest, and never opens them with the key of a bucket that had
    /// the name before.
    package let sealedFor: VersionID
    package let size: UInt64
    package let modified: Timestamp
    package let entityTag: EntityTag
    package let sha256: [UInt8]?
    package let checksums: [ObjectChecksum]
    package let attributes: ObjectAttributes

    package init(
        version: VersionID, manifest: ManifestID, isInline: Bool, sealedFor: VersionID,
        size: UInt64, modified: Timestamp, entityTag: EntityTag, sha256: [UInt8]?,
        checksums: [ObjectChecksum], attributes: ObjectAttributes
    ) {
        self.version = version
        self.manifest = manifest
        self.isInline = isInline
        self.sealedFor = sealedFor
        self.size = size
        self.modified = modified
        self.entityTag = entityTag
        self.sha256 = sha256
        self.checksums = checksums
        self.attributes = attributes
    }
}

package struct Bucket: Equatable, Sendable {
    package let name: BucketName
    /// Which bucket of this name it is: a name may be deleted and made again, with another key.
    package let version: VersionID
    package let owner: OwnerID
    package let created: Timestamp
    /// The bucket's own key, sealed under the master key; empty where it was left out.
    package let wrappedKey: [UInt8]
    package let links: BucketLinks

    /// - Parameter links: nil: as they are when the bucket was just made.
    package init(
        name: BucketName, version: VersionID, owner: OwnerID, created: Timestamp,
        wrappedKey: [UInt8], links: BucketLinks? = nil
    ) {
        self.name = name
        self.version = version
        self.owner = owner
        self.created = created
        self.wrappedKey = wrappedKey
        self.links = links ?? BucketLinks(epoch: version)
    }

    package var withoutKey: Bucket { self.with(wrappedKey: []) }

    func with(wrappedKey: [UInt8]) -> Bucket {
        Bucket(
            name: self.name, version: self.version, owner: self.owner, created: self.created,
            wrappedKey: wrappedKey, links: self.links)
    }

    func with(links: BucketLinks) -> Bucket {
        Bucket(
            name: self.name, version: self.version, owner: self.owner, created: self.created,
            wrappedKey: self.wrappedKey, links: links)
    }
}

/// Whether the group owns a slot.
package enum SlotOwnership: Equatable, Sendable {
    /// - `versionBase`: what is added to log indices in versions of this slot.
    case owned(Epoch, versionBase: UInt64)
    /// Another group adopts, or has adopted, the slot in this epoch.
    /// - `versionFloor`: no version of the slot has a greater index.
    case released(Epoch, versionFloor: UInt64)

    package var epoch: Epoch {
        switch self {
        case .owned(let epoch, _), .released(let epoch, _): epoch
        }
    }
}

/// A client's session in the group.
package struct Session: Equatable, Sendable {
    /// Where sequence numbers began when it was opened. Above all that an earlier session of the
    /// same client can have used, so that nothing of that one is ever taken for new.
    package let firstSequence: UInt64
    package var firstUnacknowledged: UInt64
    /// Above all numbers that were answered: a command with this number or a greater one is new,
    /// without a look at the results.
    package var firstUnused: UInt64
    /// Of log time, to within `CatalogLimits.sessionTouchInterval`.
    package var lastUsed: Timestamp

    package init(
        firstSequence: UInt64, firstUnacknowledged: UInt64, firstUnused: UInt64,
        lastUsed: Timestamp
    ) {
        self.firstSequence = firstSequence
        self.firstUnacknowledged = firstUnacknowledged
        self.firstUnused = firstUnused
        self.lastUsed = lastUsed
    }
}

/// The cluster, as group 0 knows it.
package struct Cluster: Equatable, Sendable {
    package let id: ClusterID
    package let created: Timestamp
    /// Until it stands in its data group.
    package let firstAccessKey: AccessKey?

    package init(id: ClusterID, created: Timestamp, firstAccessKey: AccessKey?) {
        self.id = id
        self.created = created
        self.firstAccessKey = firstAccessKey
    }
}
