internal import OrderedStorage
internal import Placement
internal import Primitives
internal import Wire

/// Objects, the manifests they share, and the chunks those name.
extension EntryApplication {
    mutating func put(
        _ put: PutObject, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        guard let bucket = try self.bucket(put.bucket) else { return .noSuchBucket }
        // Before the precondition: that one speaks of objects in the bucket that was meant.
        if case .new(_, _, let sealedFor) = put.content, sealedFor != bucket.version {
            return .bucketReplaced
        }
        let headKey = CatalogKeys.head(put.key, in: put.bucket)
        let current = try self.view.row(CatalogFamilies.heads, headKey, as: ObjectHead.self)
        if let refusal = put.precondition.refusal(for: current) { return refusal }
        if case .new(.chunks(let chunks), _, _) = put.content,
            let refusal = try self.refusal(toName: chunks, in: put.bucket.slot)
        {
            return refusal
        }

        let version = self.version(above: versionBase)
        let manifest: ManifestID
        let isInline: Bool
        switch put.content {
        case .new(let content, let layout, _):
            manifest = ManifestID(rawValue: version.rawValue)
            isInline = content.isInline
            try self.add(content, as: manifest, in: put.bucket, placedBy: layout)
        case .existing(let shared):
            guard let content = try self.view.manifest(shared, in: put.bucket) else {
                return .noSuchManifest
            }
            manifest = shared
            isInline = content.isInline
            try self.retain(shared, in: put.bucket)
        }
        // After the new manifest is held: it may be the same one.
        if let current { try self.releaseManifest(of: current, in: put.bucket) }

        let head = ObjectHead(
            version: version, manifest: manifest, isInline: isInline, sealedFor: bucket.version,
            size: put.size,
            modified: self.now, entityTag: put.entityTag, sha256: put.sha256,
            checksums: put.checksums, attributes: put.attributes)
        self.put(CatalogFamilies.heads, headKey, head.row)
        self.invalidate(put.bucket, put.key)
        return .stored(version, at: self.now)
    }

    mutating func delete(_ delete: DeleteObject) throws(StoreFault) -> CommandResult {
        guard try self.bucket(delete.bucket) != nil else { return .noSuchBucket }
        let headKey = CatalogKeys.head(delete.key, in: delete.bucket)
        let current = try self.view.row(CatalogFamilies.heads, headKey, as: ObjectHead.self)
        if let refusal = delete.precondition.refusal(for: current) { return refusal }
        guard let current else { return .objectDeleted(existed: false) }

        self.delete(CatalogFamilies.heads, headKey)
        try self.releaseManifest(of: current, in: delete.bucket)
        self.invalidate(delete.bucket, delete.key)
        return .objectDeleted(existed: true)
    }

    // Manifests: immutable, with one reference unless a row beside them says more.

    private mutating func add(
        _ manifest: Manifest, as id: ManifestID, in bucket: BucketName,
        placedBy layout: LayoutVersion
    ) throws(StoreFault) {
        self.put(
            CatalogFamilies.manifests, CatalogKeys.manifest(id, in: bucket), manifest.row)
        guard case .chunks(let chunks) = manifest else { return }
        for chunk in chunks { try self.retain(chunk, in: bucket.slot, placedBy: layout) }
    }

    private mutating func retain(_ id: ManifestID, in bucket: BucketName) throws(StoreFault) {
        let references = try self.view.references(to: id, in: bucket)
        self.put(
            CatalogFamilies.rows, CatalogKeys.manifestReferences(id, in: bucket),
            Counter(references + 1).row)
    }

    private mutating func releaseManifest(
        of head: ObjectHead, in bucket: BucketName
    ) throws(StoreFault) {
        let id = head.manifest
        let referencesKey = CatalogKeys.manifestReferences(id, in: bucket)
        switch try self.view.references(to: id, in: bucket) {
        case 0, 1: break
        case 2:
            self.delete(CatalogFamilies.rows, referencesKey)
            return
        case let references:
            self.put(CatalogFamilies.rows, referencesKey, Counter(references - 1).row)
            return
        }
        let manifestKey = CatalogKeys.manifest(id, in: bucket)
        guard !head.isInline else {
            return self.delete(CatalogFamilies.manifests, manifestKey)
        }
        guard let manifest = try self.view.manifest(id, in: bucket) else {
            throw .corrupt("manifest \(id) of bucket \(bucket) is referenced and not there")
        }
        self.delete(CatalogFamilies.manifests, manifestKey)
        guard case .chunks(let chunks) = manifest else { return }
        for chunk in chunks { try self.release(chunk, in: bucket.slot) }
    }
}

extension ObjectPrecondition {
    /// The refusal, if the current version is not what the client asked for (RFC 9110 §13.1; for
    /// `If-Match` without a current version S3 answers 404).
    fileprivate func refusal(for current: ObjectHead?) -> CommandResult? {
        switch self {
        case .none: nil
        case .absent: current == nil ? nil : .preconditionFailed
        case .present: current == nil ? .noSuchKey : nil
        case .matches(let tag):
            current.map { $0.entityTag == tag ? nil : .preconditionFailed } ?? .noSuchKey
        }
    }
}
