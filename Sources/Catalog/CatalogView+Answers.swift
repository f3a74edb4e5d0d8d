package import OrderedStorage
internal import Placement
internal import Primitives

extension CatalogView {
    /// Answers a query from this one view. What is of a slot is answered by its owner alone, so that
    /// a reader with an old group table is told instead of shown an old state.
    package func answer(_ query: CatalogQuery) throws(StoreFault) -> CatalogAnswer {
        if let slot = query.slot {
            switch try self.ownership(of: slot) {
            case .owned: break
            case .released(let epoch, _): return .slotNotOwned(epoch)
            case nil: return .slotNotOwned(Epoch(0))
            }
        }
        switch query {
        case .object(let bucket, let key, let withManifest):
            return try self.answerObject(key, in: bucket, withManifest: withManifest)
        case .manifest(let bucket, let id):
            return try self.manifest(id, in: bucket).map { .manifest($0) } ?? .absent
        case .bucket(let name): return try self.bucket(name).map { .bucket($0) } ?? .noSuchBucket
        case .buckets(let list):
            return .buckets(try self.buckets(list), of: try self.ownedSlots())
        case .objects(let list):
            return try self.hasBucket(list.bucket)
                ? .objects(try self.objects(list)) : .noSuchBucket
        case .manifestParts(let bucket, let id, let first, let limit):
            return .manifestParts(try self.parts(of: id, in: bucket, from: first, limit: limit))
        case .upload(let name): return try self.answerUpload(name)
        case .uploads(let list):
            return try self.hasBucket(list.bucket)
                ? .uploads(try self.uploads(list)) : .noSuchBucket
        case .uploadParts(let name, let last, let limit):
            return try self.parts(of: name, after: last, limit: limit).map { .uploadParts($0) }
                ?? .absent
        case .deduplicated(let bucket, let fingerprints):
            var chunks: [ChunkReference?] = []
            for fingerprint in fingerprints {
                chunks.append(try self.chunk(fingerprint, in: bucket.slot))
            }
            return .deduplicated(chunks)
        case .abandonedUploads(let time, let limit):
            return .abandonedUploads(
                try self.abandonedUploads(untouchedSince: time, limit: limit))
        case .doomedManifests(let time, let limit):
            return .doomedManifests(try self.doomedManifests(before: time, limit: limit))
        case .accessKey(let id): return try self.accessKey(id).map { .accessKey($0) } ?? .absent
        case .revokedLinks(let bucket): return try self.answerRevokedLinks(of: bucket)
        case .slot(let slot): return try self.ownership(of: slot).map { .slot($0) } ?? .absent
        case .deletions(let list): return .deletions(try self.deletions(list))
        case .chunkStates(let keys):
            var states: [ChunkState] = []
            states.reserveCapacity(keys.count)
            for key in keys { states.append(try self.state(of: key)) }
            return .chunkStates(states)
        case .session(let id): return try self.session(id).map { .session($0) } ?? .absent
        case .applied: return .applied(try self.applied() ?? .start)
        case .masterKeys: return .masterKeys(try self.masterKeys())
        case .cluster: return try self.cluster().map { .cluster($0) } ?? .absent
        case .tables(let known):
            return try self.tables(newerThan: known).map { .tables($0) } ?? .absent
        case .nodes: return .nodes(try self.nodes())
        case .configuration:
            return try self.configuration().map { .configuration($0) } ?? .absent
        case .groupTable: return try self.groupTable().map { .groupTable($0) } ?? .absent
        case .linkKeys: return .linkKeys(try self.linkKeys())
        case .incarnation: return .incarnation(try self.greatestIncarnation())
        }
    }

    /// Nil before the cluster was made. The nodes, which only a scan finds, are looked at only where
    /// their count says that they have changed.
    private func tables(newerThan known: TableVersions) throws(StoreFault) -> ClusterTables? {
        guard let layout = try self.layout(), let table = try self.groupTable() else {
            return nil
        }
        let version = try self.nodesVersion()
        return ClusterTables(
            layout: layout.version > known.layout ? layout : nil,
            groupTable: table.version > known.groupTable ? table : nil,
            nodes: version > known.nodes
                ? ClusterTables.Nodes(version: version, records: try self.nodes()) : nil)
    }

    private func answerUpload(_ name: UploadName) throws(StoreFault) -> CatalogAnswer {
        if let upload = try self.upload(name), let progress = try self.progress(of: name) {
            return .upload(upload, progress)
        }
        if let completed = try self.completedUpload(name) { return .completedUpload(completed) }
        return try self.hasBucket(name.bucket) ? .absent : .noSuchBucket
    }

    private func answerObject(
        _ key: ObjectKey, in bucket: BucketName, withManifest: Bool
    ) throws(StoreFault) -> CatalogAnswer {
        guard let head = try self.head(key, in: bucket) else {
            return try self.hasBucket(bucket) ? .absent : .noSuchBucket
        }
        guard withManifest else { return .object(head, nil) }
        guard let manifest = try self.manifest(head.manifest, in: bucket) else {
            throw .corrupt("manifest \(head.manifest) of bucket \(bucket) is not there")
        }
        return .object(head, manifest)
    }
}
