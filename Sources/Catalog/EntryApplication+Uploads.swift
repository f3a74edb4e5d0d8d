internal import OrderedStorage
internal import Primitives
internal import Wire

/// Uploads: parts that come in any order, until completing makes them an object.
extension EntryApplication {
    mutating func open(
        _ open: OpenUpload, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        guard let bucket = try self.bucket(open.bucket) else { return .noSuchBucket }
        guard open.sealedFor == bucket.version else { return .bucketReplaced }
        try self.forgetCompletedUploads()

        let id = UploadID(rawValue: self.version(above: versionBase).rawValue)
        let name = UploadName(bucket: open.bucket, id: id)
        let upload = Upload(
            id: id, key: open.key, sealedFor: open.sealedFor, opened: self.now,
            attributes: open.attributes, checksum: open.checksum, isImplicit: open.isImplicit)
        self.put(CatalogFamilies.rows, CatalogKeys.upload(name), upload.row)
        self.setProgress(of: name, UploadProgress(revision: 0, touched: self.now))
        self.put(CatalogFamilies.rows, CatalogKeys.uploadAge(name, touched: self.now), [])
        if !open.isImplicit {
            let listed = ListedUpload(
                key: open.key, id: id, opened: self.now, checksum: open.checksum)
            self.put(
                CatalogFamilies.rows,
                CatalogKeys.uploadListing(of: open.bucket, key: open.key.utf8, id), listed.row)
        }
        return .uploadOpened(id)
    }

    mutating func put(_ put: PutPart) throws(StoreFault) -> CommandResult {
        let bucket = put.upload.bucket
        guard let open = try self.bucket(bucket) else { return .noSuchBucket }
        guard var progress = try self.view.progress(of: put.upload) else { return .noSuchUpload }
        let content: PartContent
        switch put.source {
        case .content(let new):
            guard new.sealedFor == open.version else { return .bucketReplaced }
            if let refusal = try self.refusal(of: new, in: bucket.slot) { return refusal }
            guard let chunks = new.manifest.chunks else { return .malformed }
            // Before the part in its place is released: a repeat may name the same chunks.
            try self.retainChunks(of: new, in: bucket.slot)
            content = .chunks(chunks)
        case .upload(let id, let revision, let parts):
            let inner = UploadName(bucket: bucket, id: id)
            if let refusal = try self.refusal(of: inner, at: revision, inside: put.upload) {
                return refusal
            }
            try self.remove(inner)
            self.put(
                CatalogFamilies.manifests, CatalogKeys.manifest(id.manifest, in: bucket),
                Manifest.parts(parts).row)
            content = .manifest(id.manifest)
        }

        let manifest = put.upload.id.manifest
        let key = CatalogKeys.part(put.number, of: manifest, in: bucket)
        let replaced = try self.view.row(
            CatalogFamilies.manifests, key, as: ManifestPart.self)
        let part = ManifestPart(
            number: put.number, size: put.size, entityTag: put.entityTag, sha256: put.sha256,
            checksums: put.checksums, modified: self.now, content: content)
        self.put(CatalogFamilies.manifests, key, part.row)
        if let replaced { try self.release(replaced.content, in: bucket) }

        progress.revision += 1
        self.touch(put.upload, &progress)
        self.setProgress(of: put.upload, progress)
        return .partStored(revision: progress.revision, at: self.now)
    }

    /// The refusal, if an implicit upload cannot become a part of another one.
    private func refusal(
        of inner: UploadName, at revision: UInt64, inside outer: UploadName
    ) throws(StoreFault) -> CommandResult? {
        guard let progress = try self.view.progress(of: inner),
            try self.view.upload(inner)?.isImplicit == true
        else { return .noSuchUpload }
        // No deeper than this, so that a reader knows how far it may have to look.
        guard try self.view.upload(outer)?.isImplicit == false else { return .malformed }
        return progress.revision == revision
            ? nil : .uploadChanged(revision: progress.revision)
    }

    mutating func complete(
        _ complete: CompleteUpload, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        let name = complete.upload
        guard let bucket = try self.bucket(name.bucket) else { return .noSuchBucket }
        guard let upload = try self.view.upload(name),
            let progress = try self.view.progress(of: name)
        else {
            guard let done = try self.view.completedUpload(name), done.key == complete.key else {
                return .noSuchUpload
            }
            return .uploadCompletedBefore(done.version, at: done.completed)
        }
        guard upload.key == complete.key else { return .noSuchUpload }
        guard progress.revision == complete.revision else {
            return .uploadChanged(revision: progress.revision)
        }
        let current = try self.view.head(complete.key, in: name.bucket)
        if let refusal = complete.precondition.refusal(for: current) { return refusal }

        try self.remove(name)
        let manifest = name.id.manifest
        self.put(
            CatalogFamilies.manifests, CatalogKeys.manifest(manifest, in: name.bucket),
            Manifest.parts(complete.parts).row)
        self.doom(complete.leftOut, of: manifest, in: name.bucket)
        if let current { try self.releaseManifest(of: current, in: name.bucket) }

        let head = ObjectHead(
            version: self.version(above: versionBase), manifest: manifest, isInline: false,
            sealedFor: bucket.version, size: complete.parts.sizeBytes, modified: self.now,
            entityTag: complete.entityTag, sha256: complete.sha256,
            checksums: complete.checksums, attributes: upload.attributes)
        if !upload.isImplicit { try self.remember(head, of: upload, in: name) }
        return self.store(head, as: complete.key, in: name.bucket)
    }

    mutating func abort(_ abort: AbortUpload) throws(StoreFault) -> CommandResult {
        guard let progress = try self.view.progress(of: abort.upload) else { return .noSuchUpload }
        if let time = abort.untouchedSince, progress.touched > time { return .uploadActive }
        try self.end(abort.upload)
        return .uploadAborted
    }

    /// Ends an upload whose parts nobody wants.
    mutating func end(_ name: UploadName) throws(StoreFault) {
        try self.remove(name)
        self.doom(.all, of: name.id.manifest, in: name.bucket)
    }

    // Rows of uploads.

    /// Removes all rows of an upload but those of its parts. Of one that is half there goes what is
    /// there: a row that is missing must not stop all voters of a group at the same entry.
    private mutating func remove(_ name: UploadName) throws(StoreFault) {
        let upload = try self.view.upload(name)
        let progress = try self.view.progress(of: name)
        self.delete(CatalogFamilies.rows, CatalogKeys.upload(name))
        self.delete(CatalogFamilies.rows, CatalogKeys.uploadProgress(name))
        if let progress {
            self.delete(
                CatalogFamilies.rows, CatalogKeys.uploadAge(name, touched: progress.touched))
        }
        if let upload, !upload.isImplicit {
            self.delete(
                CatalogFamilies.rows,
                CatalogKeys.uploadListing(of: name.bucket, key: upload.key.utf8, name.id))
        }
    }

    private func setProgress(of name: UploadName, _ progress: UploadProgress) {
        self.put(CatalogFamilies.rows, CatalogKeys.uploadProgress(name), progress.row)
    }

    private func touch(_ name: UploadName, _ progress: inout UploadProgress) {
        guard self.now - progress.touched >= CatalogLimits.uploadTouchInterval else { return }
        self.delete(
            CatalogFamilies.rows, CatalogKeys.uploadAge(name, touched: progress.touched))
        progress.touched = self.now
        self.put(CatalogFamilies.rows, CatalogKeys.uploadAge(name, touched: self.now), [])
    }

    private mutating func remember(
        _ head: ObjectHead, of upload: Upload, in name: UploadName
    ) throws(StoreFault) {
        try self.forgetCompletedUploads()
        let completed = CompletedUpload(
            key: upload.key, version: head.version, completed: self.now, size: head.size,
            entityTag: head.entityTag, sha256: head.sha256, checksums: head.checksums)
        self.put(CatalogFamilies.rows, CatalogKeys.completedUpload(name), completed.row)
        self.put(
            CatalogFamilies.rows, CatalogKeys.completedUploadAge(name, completed: self.now), [])
    }

    /// Forgets some of the completed uploads whose time is over.
    private mutating func forgetCompletedUploads() throws(StoreFault) {
        let expired = try self.view.completedUploads(
            before: self.now + (.zero - CatalogLimits.completedUploadLifetime),
            limit: CatalogLimits.completedUploadsSwept)
        for (name, completed) in expired {
            self.delete(CatalogFamilies.rows, CatalogKeys.completedUpload(name))
            self.delete(
                CatalogFamilies.rows, CatalogKeys.completedUploadAge(name, completed: completed))
        }
    }
}
