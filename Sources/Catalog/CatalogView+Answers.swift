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
        case .buckets(let list): return .buckets(try self.buckets(list))
        case .objects(let list):
            return try self.hasBucket(list.bucket)
                ? .objects(try self.objects(list)) : .noSuchBucket
        case .accessKey(let id): return try self.accessKey(id).map { .accessKey($0) } ?? .absent
        case .slot(let slot): return try self.ownership(of: slot).map { .slot($0) } ?? .absent
        case .deletions(let list): return .deletions(try self.deletions(list))
        case .chunkStates(let keys):
            var states: [ChunkState] = []
            states.reserveCapacity(keys.count)
            for key in keys { states.append(try self.state(of: key)) }
            return .chunkStates(states)
        case .session(let id): return try self.session(id).map { .session($0) } ?? .absent
        case .applied: return .applied(try self.applied() ?? .start)
        case .cluster: return try self.cluster().map { .cluster($0) } ?? .absent
        case .layout(let known):
            guard let layout = try self.layout() else { return .absent }
            return layout.version == known ? .layoutUnchanged : .layout(layout)
        case .nodes: return .nodes(try self.nodes())
        case .groupTable: return try self.groupTable().map { .groupTable($0) } ?? .absent
        case .linkKeys: return .linkKeys(try self.linkKeys())
        case .incarnation: return .incarnation(try self.greatestIncarnation())
        }
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
