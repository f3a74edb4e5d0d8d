import Catalog
import ClusterClient
import IORuntime
import Primitives
import Telemetry

/// What is known of an upload that somebody names.
package enum UploadState: Equatable, Sendable {
    case open(Upload, UploadProgress)
    /// It became an object, lately.
    case completed(CompletedUpload)
}

/// What became of a part.
package struct StoredPart: Equatable, Sendable {
    package let number: PartNumber
    package let modified: Timestamp
    package let entityTag: EntityTag
    package let sha256: [UInt8]
    package let checksums: [ObjectChecksum]
    package let sizeBytes: UInt64
}

/// An upload and all of its parts, as they stood at one revision.
package struct UploadContents: Equatable, Sendable {
    package let upload: Upload
    package let revision: UInt64
    /// By ascending number.
    package let parts: [ListedPart]
}

/// What a door makes of an upload's parts: which of them the object has, and what it is called by.
package struct UploadCompletion: Equatable, Sendable {
    /// Ascending; parts that are not named are dropped.
    package var parts: [PartNumber]
    package var entityTag: EntityTag
    package var checksums: [ObjectChecksum]
    package var precondition: ObjectPrecondition

    package init(
        parts: [PartNumber], entityTag: EntityTag, checksums: [ObjectChecksum] = [],
        precondition: ObjectPrecondition = .none
    ) {
        self.parts = parts
        self.entityTag = entityTag
        self.checksums = checksums
        self.precondition = precondition
    }
}

/// What became of an upload.
package struct CompletedObject: Equatable, Sendable {
    package let version: VersionID
    package let modified: Timestamp
    package let entityTag: EntityTag
    package let checksums: [ObjectChecksum]
    package let sizeBytes: UInt64
}

/// Uploads in parts. Every call checks that the upload is of the key it is named with.
extension ObjectAccess {
    /// How often completing is tried again because a part came meanwhile.
    private static let mostCompletions = 8

    /// Opens an upload; its parts may come in any order, through any edge, at the same time.
    package func openUpload(
        of key: ObjectKey, in bucket: BucketName, attributes: ObjectAttributes,
        checksum: UploadChecksum? = nil, deadline: Instant
    ) async throws(AccessFault) -> UploadID {
        let known = try await self.open(bucket, deadline: deadline)
        let open = OpenUpload(
            bucket: bucket, key: key, sealedFor: known.bucket.version, attributes: attributes,
            checksum: checksum)
        return try await self.open(open, of: known, deadline: deadline)
    }

    /// What is known of an upload; `.noSuchUpload` when it never was, was aborted, or was completed
    /// longer ago than is remembered.
    package func upload(
        _ id: UploadID, of key: ObjectKey, in bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> UploadState {
        let name = UploadName(bucket: bucket, id: id)
        switch try await self.query(.upload(name), deadline: deadline) {
        case .upload(let upload, let progress) where upload.key == key && !upload.isImplicit:
            return .open(upload, progress)
        case .completedUpload(let completed) where completed.key == key:
            return .completed(completed)
        case .upload, .completedUpload, .absent: throw .noSuchUpload
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case let other: throw .broken("asking for an upload gave \(other)")
        }
    }

    /// Stores a body as a part, in place of the one that had its number. Returns when enough stores
    /// hold it durably and the metadata that names it is committed.
    ///
    /// - Parameters:
    ///   - chunks: as in `PutOptions.statedChunks`.
    ///   - loop: the caller's.
    package func putPart(
        _ number: PartNumber, of id: UploadID, of key: ObjectKey, in bucket: BucketName,
        _ source: any BodySource, stated: StatedBody, chunks: [StatedChunk] = [],
        on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> StoredPart {
        try self.checkSize(stated)
        // Before the body is read: whoever sends it is told at once.
        guard case .open = try await self.upload(id, of: key, in: bucket, deadline: deadline) else {
            throw .noSuchUpload
        }
        let open = try await self.open(bucket, deadline: deadline)
        let purpose = BodyUpload.Purpose(
            key: key, bucket: open, attributes: ObjectAttributes(), allowsInline: false,
            chunks: chunks)
        var body = BodyUpload(self, purpose, stated, on: loop)
        let (outcome, digests) = try await body.run(source, waitingUntil: deadline)
        let checksums = digests.checksums + source.verifiedChecksums
        func part(_ source: PartSource) -> CatalogOperation {
            .putPart(
                PutPart(
                    upload: UploadName(bucket: bucket, id: id), number: number,
                    size: digests.sizeBytes, entityTag: digests.entityTag, sha256: digests.sha256,
                    checksums: checksums, source: source))
        }
        let commitDeadline = self.commitDeadline(after: deadline)
        let result: CommandResult
        switch outcome {
        case .inline: throw .broken("a part rests in chunks")
        case .chunks(let row):
            result = try await self.submit(
                naming: row, in: open, on: loop, deadline: commitDeadline
            ) { part(.content(ObjectContent($0, sealedFor: open.bucket.version))) }
        case .upload(let rows):
            let source = PartSource.upload(rows.name.id, revision: rows.revision, rows.parts)
            result = try await self.submit(
                part(source), with: rows, on: loop, deadline: commitDeadline)
        }
        guard case .partStored(_, let modified) = result else {
            if case .upload(let rows) = outcome { self.abandon(rows, on: loop) }
            throw self.fault(of: result, storingIn: open)
        }
        self.counters.partsPut.add()
        self.counters.bytesPut.add(digests.sizeBytes)
        return StoredPart(
            number: number, modified: modified, entityTag: digests.entityTag,
            sha256: digests.sha256, checksums: checksums, sizeBytes: digests.sizeBytes)
    }

    /// One page of an upload's parts behind a number, at most `CatalogLimits.listPage`.
    package func listParts(
        of id: UploadID, in bucket: BucketName, after last: PartNumber? = nil,
        limit: Int = CatalogLimits.listPage, deadline: Instant
    ) async throws(AccessFault) -> UploadPartPage {
        let query = CatalogQuery.uploadParts(
            UploadName(bucket: bucket, id: id), after: last, limit: limit)
        switch try await self.query(query, deadline: deadline) {
        case .uploadParts(let page): return page
        case .absent: throw .noSuchUpload
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case let other: throw .broken("listing parts gave \(other)")
        }
    }

    /// One page of a bucket's uploads that are not complete.
    package func listUploads(
        _ list: ListUploads, deadline: Instant
    ) async throws(AccessFault) -> UploadPage {
        switch try await self.query(.uploads(list), deadline: deadline) {
        case .uploads(let page): return page
        case .noSuchBucket: throw .noSuchBucket(list.bucket)
        case let other: throw .broken("listing uploads gave \(other)")
        }
    }

    /// Makes an upload the current version of its object; a constant number of rows is written,
    /// whatever the number of its parts. An upload that was completed before answers what it came to
    /// then.
    ///
    /// - Parameter choose: says what to make of the parts, or why not; asked again when a part came
    ///   before its answer was carried out.
    package func completeUpload<Refusal: Error>(
        _ id: UploadID, of key: ObjectKey, in bucket: BucketName, deadline: Instant,
        choose: (UploadContents) -> Result<UploadCompletion, Refusal>
    ) async throws(AccessFault) -> Result<CompletedObject, Refusal> {
        let open = try await self.open(bucket, deadline: deadline)
        for _ in 0..<Self.mostCompletions {
            let upload: Upload
            switch try await self.upload(id, of: key, in: bucket, deadline: deadline) {
            case .open(let opened, _): upload = opened
            case .completed(let completed): return .success(CompletedObject(completed))
            }
            guard let contents = try await self.contents(of: upload, in: bucket, deadline: deadline)
            else { continue }
            let completion: UploadCompletion
            switch choose(contents) {
            case .success(let chosen): completion = chosen
            case .failure(let refusal): return .failure(refusal)
            }
            let complete = try CompleteUpload(contents, completion, in: bucket)
            switch try await self.submit(.completeUpload(complete), deadline: deadline) {
            case .stored(let version, let modified):
                self.counters.uploadsCompleted.add()
                return .success(
                    CompletedObject(
                        version: version, modified: modified, entityTag: completion.entityTag,
                        checksums: completion.checksums, sizeBytes: complete.parts.sizeBytes))
            case .uploadChanged, .uploadCompletedBefore: continue
            case let other: throw self.fault(of: other, storingIn: open)
            }
        }
        throw .unavailable("parts of the upload go on coming")
    }

    /// All parts at one revision; nil when a part came while they were read.
    private func contents(
        of upload: Upload, in bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> UploadContents? {
        var page = try await self.listParts(of: upload.id, in: bucket, deadline: deadline)
        var parts = page.parts
        let revision = page.revision
        while page.isTruncated {
            page = try await self.listParts(
                of: upload.id, in: bucket, after: parts.last?.number, deadline: deadline)
            guard page.revision == revision else { return nil }
            parts += page.parts
        }
        return UploadContents(upload: upload, revision: revision, parts: parts)
    }

    /// Ends an upload; its parts are released.
    package func abortUpload(
        _ id: UploadID, of key: ObjectKey, in bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) {
        guard case .open = try await self.upload(id, of: key, in: bucket, deadline: deadline) else {
            throw .noSuchUpload
        }
        let abort = AbortUpload(upload: UploadName(bucket: bucket, id: id))
        switch try await self.submit(.abortUpload(abort), deadline: deadline) {
        case .uploadAborted: self.counters.uploadsAborted.add()
        case .noSuchUpload: throw .noSuchUpload
        case let other: throw .broken("aborting an upload gave \(other)")
        }
    }
}

extension CompletedObject {
    fileprivate init(_ completed: CompletedUpload) {
        self.init(
            version: completed.version, modified: completed.completed,
            entityTag: completed.entityTag, checksums: completed.checksums,
            sizeBytes: completed.size)
    }
}

extension CompleteUpload {
    /// - Throws: `.broken` when a door names parts that are not there, or not in their order.
    fileprivate init(
        _ contents: UploadContents, _ completion: UploadCompletion, in bucket: BucketName
    ) throws(AccessFault) {
        var table = PartTable()
        var leftOut = PartSet()
        var chosen = completion.parts[...]
        for part in contents.parts {
            if chosen.first == part.number {
                chosen.removeFirst()
                guard table.append(part.number, sizeBytes: part.size) else {
                    throw .bodyTooLarge(limitBytes: CatalogLimits.objectBytes)
                }
            } else {
                invariant(leftOut.append(part.number), "parts are listed by ascending number")
            }
        }
        guard chosen.isEmpty else {
            throw .broken("part \(chosen[chosen.startIndex]) is not there, or out of order")
        }
        self.init(
            upload: UploadName(bucket: bucket, id: contents.upload.id), key: contents.upload.key,
            revision: contents.revision, parts: table, leftOut: leftOut,
            entityTag: completion.entityTag, checksums: completion.checksums,
            precondition: completion.precondition)
    }
}
