package import Placement
package import Primitives
internal import Wire

/// Everything that can be read of a group. A query says nothing of how fresh its answer must be:
/// whoever serves it decides when to read, and then answers from one view.
package enum CatalogQuery: Equatable, Sendable {
    // Data groups.

    /// The current version, and what its bytes are where `withManifest`.
    case object(BucketName, ObjectKey, withManifest: Bool)
    case manifest(BucketName, ManifestID)
    case bucket(BucketName)
    case buckets(ListBuckets)
    case objects(ListObjects)
    case accessKey(AccessKeyID)
    /// The links of a bucket that were withdrawn one by one.
    case revokedLinks(BucketName)
    case slot(Slot)
    case deletions(ListDeletions)
    /// At most `CatalogLimits.chunksPerSweep`.
    case chunkStates([ChunkKey])
    /// Rows of a manifest's parts from a number on, at most `CatalogLimits.partRowsPerPage`; fewer,
    /// and at least one, where they are long. No row where one was says that the manifest is doomed.
    case manifestParts(BucketName, ManifestID, from: PartNumber, limit: Int)
    /// An upload that is open, or that was completed lately.
    case upload(UploadName)
    case uploads(ListUploads)
    /// One page of an upload's parts behind a number, at most `CatalogLimits.listPage`.
    case uploadParts(UploadName, after: PartNumber?, limit: Int)
    /// The chunks of the bucket that these fingerprints are of, where some object still has them.
    case deduplicated(BucketName, [ChunkFingerprint])

    // Data groups, for whoever sweeps them.

    /// Uploads that no part came to since, the one that was silent longest first.
    case abandonedUploads(untouchedSince: Timestamp, limit: Int)
    /// Manifests to be released piece by piece that were doomed by then, the oldest first.
    case doomedManifests(before: Timestamp, limit: Int)

    // Any group.

    case session(SessionID)
    case applied
    case masterKeys
    /// The group's configuration. Absent while it is the one that the group began with.
    case configuration

    // The system group.

    case cluster
    /// The layout, the group table and the nodes, as far as they are newer than what is known.
    case tables(known: TableVersions)
    case nodes
    case groupTable
    case linkKeys
    /// The greatest incarnation given out.
    case incarnation

    /// The slot whose owner must answer; nil for what concerns a whole group.
    package var slot: Slot? {
        switch self {
        case .object(let bucket, _, _), .manifest(let bucket, _), .bucket(let bucket): bucket.slot
        case .manifestParts(let bucket, _, _, _), .deduplicated(let bucket, _): bucket.slot
        case .objects(let list): list.bucket.slot
        case .uploads(let list): list.bucket.slot
        case .upload(let name), .uploadParts(let name, _, _): name.bucket.slot
        case .accessKey(let id): id.slot
        case .revokedLinks(let bucket): bucket.slot
        // Their chunks are of many slots, each asked for itself.
        case .deletions, .chunkStates: nil
        case .buckets, .slot, .session, .applied, .masterKeys, .configuration, .cluster, .tables,
            .nodes,
            .groupTable, .linkKeys,
            .incarnation, .abandonedUploads, .doomedManifests:
            nil
        }
    }
}

package enum CatalogAnswer: Equatable, Sendable {
    /// The group does not own the slot; ask group 0 for the table and try again.
    case slotNotOwned(Epoch)
    /// What was asked for is not there: a key, a manifest, an access key, a session, a cluster that
    /// was never bootstrapped.
    case absent
    case noSuchBucket

    case object(ObjectHead, Manifest?)
    case manifest(Manifest)
    case bucket(Bucket)
    /// - `of`: the slots that the group owned then: none of their buckets is missing.
    case buckets([Bucket], of: SlotTally)
    case objects(ObjectPage)
    case accessKey(AccessKey)
    case revokedLinks(RevokedLinks)
    case slot(SlotOwnership)
    case deletions(DeletionPage)
    /// In the order of the question.
    case chunkStates([ChunkState])
    case manifestParts([ManifestPart])
    case upload(Upload, UploadProgress)
    case completedUpload(CompletedUpload)
    case uploads(UploadPage)
    case uploadParts(UploadPartPage)
    /// One for each fingerprint; nil where there is no such chunk.
    case deduplicated([ChunkReference?])
    case abandonedUploads([UploadName])
    case doomedManifests([DoomedManifest])
    case session(Session)
    case applied(AppliedPosition)
    case masterKeys(MasterKeys)
    /// Bytes that Raft understands.
    case configuration([UInt8])
    case cluster(Cluster)
    case tables(ClusterTables)
    case nodes([NodeRecord])
    case groupTable(GroupTable)
    case linkKeys([LinkKey])
    case incarnation(UInt64)

    /// The answer without anything sealed under the master key: what may leave for an edge, which
    /// gets a bucket's key only through an authorised request, and a user's or a link's never.
    package var withoutSecrets: CatalogAnswer {
        switch self {
        case .bucket(let bucket): .bucket(bucket.withoutKey)
        case .buckets(let buckets, let slots): .buckets(buckets.map(\.withoutKey), of: slots)
        case .accessKey(let key): .accessKey(key.withoutSecret)
        case .linkKeys(let keys): .linkKeys(keys.map(\.withoutPrivateKey))
        case .cluster(let cluster):
            .cluster(Cluster(id: cluster.id, created: cluster.created, firstAccessKey: nil))
        case .slotNotOwned, .absent, .noSuchBucket, .object, .manifest, .objects, .slot, .deletions,
            .chunkStates, .session, .applied, .masterKeys, .configuration, .tables,
            .nodes, .groupTable, .revokedLinks,
            .incarnation, .manifestParts, .upload, .completedUpload, .uploads, .uploadParts,
            .deduplicated, .abandonedUploads, .doomedManifests:
            self
        }
    }
}

extension AccessKey {
    package var withoutSecret: AccessKey {
        AccessKey(id: self.id, owner: self.owner, state: self.state, wrappedSecret: [])
    }
}
