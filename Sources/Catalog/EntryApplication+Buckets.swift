internal import OrderedStorage
internal import Primitives
internal import Wire

/// Buckets and access keys.
extension EntryApplication {
    mutating func create(
        _ create: CreateBucket, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        if let present = try self.bucket(create.name) {
            return present.owner == create.owner ? .bucketAlreadyOwned : .bucketTaken
        }
        if let refusal = try self.refusal(of: create.wrappedKey) { return refusal }
        let bucket = Bucket(
            name: create.name, version: self.version(above: versionBase), owner: create.owner,
            created: self.now, wrappedKey: create.wrappedKey)
        self.setBucket(create.name, bucket)
        try self.countSecret(create.wrappedKey, isAdded: true)
        self.put(CatalogFamilies.rows, CatalogKeys.bucket(create.name, of: create.owner), [])
        self.invalidate(.bucket(create.name))
        return .bucketCreated
    }

    mutating func deleteBucket(_ name: BucketName) throws(StoreFault) -> CommandResult {
        guard let bucket = try self.bucket(name) else { return .noSuchBucket }
        guard try !self.view.hasObjects(name) else { return .bucketNotEmpty }
        // Uploads end with their bucket: their parts could be opened with its key alone.
        let most = CatalogLimits.uploadsEndedWithBucket
        let uploads = try self.view.uploads(of: name, limit: most + 1)
        guard uploads.count <= most else { return .bucketNotEmpty }
        for upload in uploads { try self.end(upload) }
        if bucket.links.revokedCount > 0 { try self.dropRevokedLinks(of: name) }
        self.setBucket(name, nil)
        try self.countSecret(bucket.wrappedKey, isAdded: false)
        self.delete(CatalogFamilies.rows, CatalogKeys.bucket(name, of: bucket.owner))
        self.invalidate(.bucket(name))
        return .bucketDeleted
    }

    mutating func create(_ key: AccessKey) throws(StoreFault) -> CommandResult {
        if let present = try self.view.accessKey(key.id) {
            return present == key ? .accessKeyCreated : .accessKeyTaken
        }
        if let refusal = try self.refusal(of: key.wrappedSecret) { return refusal }
        self.put(CatalogFamilies.rows, CatalogKeys.accessKey(key.id), key.row)
        try self.countSecret(key.wrappedSecret, isAdded: true)
        return .accessKeyCreated
    }

    mutating func deleteAccessKey(_ id: AccessKeyID) throws(StoreFault) -> CommandResult {
        if let present = try self.view.accessKey(id) {
            try self.countSecret(present.wrappedSecret, isAdded: false)
        }
        self.delete(CatalogFamilies.rows, CatalogKeys.accessKey(id))
        return .accessKeyDeleted
    }
}
