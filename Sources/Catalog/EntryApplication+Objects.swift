internal import OrderedStorage
internal import Placement
internal import Primitives
internal import Wire

/// Objects: the current versions of keys.
extension EntryApplication {
    mutating func put(
        _ put: PutObject, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        guard let bucket = try self.bucket(put.bucket) else { return .noSuchBucket }
        // Before the precondition: that one speaks of objects in the bucket that was meant.
        guard put.content.sealedFor == bucket.version else { return .bucketReplaced }
        let current = try self.view.head(put.key, in: put.bucket)
        if let refusal = put.precondition.refusal(for: current) { return refusal }
        if let refusal = try self.refusal(of: put.content, in: put.bucket.slot) { return refusal }

        let version = self.version(above: versionBase)
        let manifest = ManifestID(rawValue: version.rawValue)
        try self.add(put.content, as: manifest, in: put.bucket)
        if let current { try self.releaseManifest(of: current, in: put.bucket) }

        let head = ObjectHead(
            version: version, manifest: manifest, isInline: put.content.manifest.isInline,
            sealedFor: bucket.version, size: put.size, modified: self.now,
            entityTag: put.entityTag, sha256: put.sha256, checksums: put.checksums,
            attributes: put.attributes)
        return self.store(head, as: put.key, in: put.bucket)
    }

    mutating func copy(
        _ copy: CopyObject, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        guard try self.bucket(copy.bucket) != nil else { return .noSuchBucket }
        guard let source = try self.view.head(copy.source, in: copy.bucket),
            source.version == copy.version
        else { return .sourceChanged }
        let current = try self.view.head(copy.key, in: copy.bucket)
        if let refusal = copy.precondition.refusal(for: current) { return refusal }

        try self.retain(source.manifest, in: copy.bucket)
        // After the manifest is held for the copy: an object may be copied onto itself.
        if let current { try self.releaseManifest(of: current, in: copy.bucket) }

        let head = ObjectHead(
            version: self.version(above: versionBase), manifest: source.manifest,
            isInline: source.isInline, sealedFor: source.sealedFor, size: source.size,
            modified: self.now, entityTag: source.entityTag, sha256: source.sha256,
            checksums: source.checksums, attributes: copy.attributes ?? source.attributes)
        return self.store(head, as: copy.key, in: copy.bucket)
    }

    mutating func delete(_ delete: DeleteObject) throws(StoreFault) -> CommandResult {
        guard try self.bucket(delete.bucket) != nil else { return .noSuchBucket }
        let current = try self.view.head(delete.key, in: delete.bucket)
        if let refusal = delete.precondition.refusal(for: current) { return refusal }
        guard let current else { return .objectDeleted(existed: false) }

        self.delete(CatalogFamilies.heads, CatalogKeys.head(delete.key, in: delete.bucket))
        try self.releaseManifest(of: current, in: delete.bucket)
        self.invalidate(.object(delete.bucket, delete.key))
        return .objectDeleted(existed: true)
    }

    /// Makes a version the current one.
    mutating func store(
        _ head: ObjectHead, as key: ObjectKey, in bucket: BucketName
    ) -> CommandResult {
        self.put(CatalogFamilies.heads, CatalogKeys.head(key, in: bucket), head.row)
        self.invalidate(.object(bucket, key))
        return .stored(head.version, at: head.modified)
    }
}

extension ObjectPrecondition {
    /// The refusal, if the current version is not what the client asked for (RFC 9110 §13.1; for
    /// `If-Match` without a current version S3 answers 404).
    func refusal(for current: ObjectHead?) -> CommandResult? {
        switch self {
        case .none: nil
        case .absent: current == nil ? nil : .preconditionFailed
        case .present: current == nil ? .noSuchKey : nil
        case .matches(let tag):
            current.map { $0.entityTag == tag ? nil : .preconditionFailed } ?? .noSuchKey
        }
    }
}
