package import OrderedStorage
package import Primitives

/// Uploads, parts, and the queues of those who sweep.
extension CatalogView {
    package func upload(_ name: UploadName) throws(StoreFault) -> Upload? {
        try self.row(CatalogFamilies.rows, CatalogKeys.upload(name))
    }

    package func progress(of name: UploadName) throws(StoreFault) -> UploadProgress? {
        try self.row(CatalogFamilies.rows, CatalogKeys.uploadProgress(name))
    }

    package func completedUpload(_ name: UploadName) throws(StoreFault) -> CompletedUpload? {
        try self.row(CatalogFamilies.rows, CatalogKeys.completedUpload(name))
    }

    /// The uploads of a bucket that are open, implicit ones too, in the order they were opened.
    func uploads(of bucket: BucketName, limit: Int) throws(StoreFault) -> [UploadName] {
        let cursor = self.scan(
            CatalogFamilies.rows, KeyRange(prefix: CatalogKeys.uploads(of: bucket)))
        var names: [UploadName] = []
        while names.count < limit, let pair = try cursor.next() {
            let upload: Upload = try Self.decode(pair.value, of: CatalogFamilies.rows, pair.key)
            names.append(UploadName(bucket: bucket, id: upload.id))
        }
        return names
    }

    /// One page of the uploads that listings show (Amazon S3, ListMultipartUploads); costs as many
    /// steps as it has lines.
    package func uploads(_ list: ListUploads) throws(StoreFault) -> UploadPage {
        var page = UploadPage()
        let limit = min(list.limit, CatalogLimits.listPage)
        guard limit > 0 else { return page }
        let bucket = list.bucket
        let cursor = self.scan(
            CatalogFamilies.rows,
            KeyRange(prefix: CatalogKeys.uploadListing(of: bucket, prefix: list.prefix)))
        let mayHaveMore =
            switch list.start {
            case .beginning: true
            case .afterKey(let key):
                Self.seek(cursor, past: CatalogKeys.uploadListing(of: bucket, key: key))
            case .after(let key, let id):
                Self.seek(cursor, past: CatalogKeys.uploadListing(of: bucket, key: key, id))
            case .afterPrefix(let prefix):
                Self.seek(cursor, past: CatalogKeys.uploadListing(of: bucket, prefix: prefix))
            }
        guard mayHaveMore else { return page }
        var end = list.start
        while page.uploads.count + page.commonPrefixes.count < limit {
            guard let pair = try cursor.next() else { return page }
            let upload: ListedUpload = try Self.decode(
                pair.value, of: CatalogFamilies.rows, pair.key)
            let key = upload.key.utf8
            if let prefix = Self.commonPrefix(
                of: key[...], behind: list.prefix.count, list.delimiter)
            {
                page.commonPrefixes.append(prefix)
                end = .afterPrefix(prefix)
                let past = CatalogKeys.uploadListing(of: bucket, prefix: prefix)
                guard Self.seek(cursor, past: past) else { return page }
            } else {
                page.uploads.append(upload)
                end = .after(key, upload.id)
            }
        }
        if try cursor.next() != nil { page.next = end }
        return page
    }

    /// One page of an upload's parts; nil when it is not open.
    package func parts(
        of name: UploadName, after last: PartNumber?, limit: Int
    ) throws(StoreFault) -> UploadPartPage? {
        guard let progress = try self.progress(of: name) else { return nil }
        var page = UploadPartPage(revision: progress.revision)
        guard let first = last.map(\.next) ?? .least else { return page }
        let cursor = self.scan(
            CatalogFamilies.manifests,
            CatalogKeys.parts(of: name.id.manifest, in: name.bucket, from: first))
        let limit = min(limit, CatalogLimits.listPage)
        while page.parts.count < limit, let pair = try cursor.next() {
            let part: ManifestPart = try Self.decode(
                pair.value, of: CatalogFamilies.manifests, pair.key)
            page.parts.append(ListedPart(part))
        }
        if page.parts.count == limit { page.isTruncated = try cursor.next() != nil }
        return page
    }

    /// Rows of a manifest's parts from a number on.
    package func parts(
        of id: ManifestID, in bucket: BucketName, from first: PartNumber, limit: Int
    ) throws(StoreFault) -> [ManifestPart] {
        let cursor = self.scan(
            CatalogFamilies.manifests, CatalogKeys.parts(of: id, in: bucket, from: first))
        var parts: [ManifestPart] = []
        var sizeBytes = 0
        let limit = min(limit, CatalogLimits.partRowsPerPage)
        while parts.count < limit, sizeBytes < CatalogLimits.partRowsPageBytes,
            let pair = try cursor.next()
        {
            sizeBytes += pair.value.count
            parts.append(try Self.decode(pair.value, of: CatalogFamilies.manifests, pair.key))
        }
        return parts
    }

    func firstPart(
        of id: ManifestID, in bucket: BucketName, from first: PartNumber
    ) throws(StoreFault) -> ManifestPart? {
        try self.parts(of: id, in: bucket, from: first, limit: 1).first
    }

    /// The chunk with these plain bytes, where some object still has it.
    package func chunk(
        _ fingerprint: ChunkFingerprint, in slot: Slot
    ) throws(StoreFault) -> ChunkReference? {
        let key = CatalogKeys.fingerprint(fingerprint, in: slot)
        guard let found = try self.row(CatalogFamilies.rows, key, as: ChunkReference.self),
            let row = try self.chunk(found.name, in: slot), row.references > 0
        else { return nil }
        return found
    }

    // Queues, the oldest first; of slots that the group owns.

    /// Uploads that no part came to since.
    package func abandonedUploads(
        untouchedSince time: Timestamp, limit: Int
    ) throws(StoreFault) -> [UploadName] {
        try self.queue(CatalogKeys.uploadAges, upTo: time, limit: limit).map {
            UploadName(bucket: $0.bucket, id: UploadID(rawValue: $0.number))
        }
    }

    func completedUploads(
        before time: Timestamp, limit: Int
    ) throws(StoreFault) -> [(UploadName, Timestamp)] {
        try self.queue(CatalogKeys.completedUploadAges, upTo: time, limit: limit).map {
            (UploadName(bucket: $0.bucket, id: UploadID(rawValue: $0.number)), $0.time)
        }
    }

    /// Manifests to be released piece by piece that were doomed by then.
    package func doomedManifests(
        before time: Timestamp, limit: Int
    ) throws(StoreFault) -> [DoomedManifest] {
        try self.queue(CatalogKeys.doomedManifestAges, upTo: time, limit: limit).map {
            DoomedManifest(
                doomed: $0.time, bucket: $0.bucket, manifest: ManifestID(rawValue: $0.number))
        }
    }

    private func queue(
        _ prefix: [UInt8], upTo time: Timestamp, limit: Int
    ) throws(StoreFault) -> [(time: Timestamp, bucket: BucketName, number: UInt64)] {
        let cursor = self.scan(CatalogFamilies.rows, KeyRange(prefix: prefix))
        var found: [(time: Timestamp, bucket: BucketName, number: UInt64)] = []
        while found.count < min(limit, CatalogLimits.sweepPage), let pair = try cursor.next() {
            let place: (time: Timestamp, bucket: BucketName, number: UInt64)
            do throws(FormatFault) {
                let (queued, bucket, number) = try CatalogKeys.queued(pair.key)
                guard queued <= time else { break }
                place = (queued, bucket, number)
            } catch {
                throw .corrupt("rows \(Hex.encode(pair.key)) is no place in a queue: \(error)")
            }
            if case .owned = try self.ownership(of: place.bucket.slot) { found.append(place) }
        }
        return found
    }
}
