import Catalog
import ClusterClient
import IORuntime
import Primitives
import Telemetry

/// What a door wants stored, beside the bytes.
package struct PutOptions: Sendable {
    package var attributes = ObjectAttributes()
    package var stated = StatedBody()
    package var precondition = ObjectPrecondition.none
    /// The chunks of the body as the client cut it, all of them, with their hashes: those that the
    /// bucket has already are not stored again. Empty: nothing is said of chunks.
    package var statedChunks: [StatedChunk] = []

    package init() {}
}

/// What became of a put.
package struct StoredObject: Equatable, Sendable {
    package let version: VersionID
    package let modified: Timestamp
    package let entityTag: EntityTag
    package let sha256: [UInt8]
    package let checksums: [ObjectChecksum]
    package let sizeBytes: UInt64
}

extension ObjectAccess {
    /// Stores a body as the current version of an object. Returns when enough stores hold every
    /// chunk durably and the metadata that names them is committed; before that nothing is visible.
    ///
    /// - Parameter loop: the caller's.
    package func put(
        _ key: ObjectKey, in bucket: BucketName, _ source: any BodySource,
        _ options: PutOptions, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> StoredObject {
        try self.checkSize(options.stated)
        let open = try await self.open(bucket, deadline: deadline)
        let purpose = BodyUpload.Purpose(
            key: key, bucket: open, attributes: options.attributes, allowsInline: true,
            chunks: options.statedChunks)
        var body = BodyUpload(self, purpose, options.stated, on: loop)
        let (outcome, digests) = try await body.run(source, waitingUntil: deadline)
        let stored = try await self.commit(
            outcome, digests, digests.checksums + source.verifiedChecksums, options, to: key,
            in: open, on: loop, deadline: self.commitDeadline(after: deadline))
        self.counters.objectsPut.add()
        self.counters.bytesPut.add(digests.sizeBytes)
        return stored
    }

    func checkSize(_ stated: StatedBody) throws(AccessFault) {
        if let stated = stated.sizeBytes, stated > self.settings.largestBodyBytes {
            throw .bodyTooLarge(limitBytes: self.settings.largestBodyBytes)
        }
    }

    /// A body takes as long as its sender does; the commit gets a time of its own.
    func commitDeadline(after deadline: Instant) -> Instant {
        max(deadline, self.environment.now + self.cluster.settings.callTimeout)
    }

    private func commit(
        _ outcome: BodyUpload.Outcome, _ digests: BodyDigests.Finished,
        _ checksums: [ObjectChecksum], _ options: PutOptions, to key: ObjectKey,
        in bucket: OpenBucket, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> StoredObject {
        func put(_ content: ObjectContent) -> CatalogOperation {
            .putObject(
                PutObject(
                    bucket: bucket.bucket.name, key: key, size: digests.sizeBytes,
                    entityTag: digests.entityTag, sha256: digests.sha256, checksums: checksums,
                    attributes: options.attributes, content: content,
                    precondition: options.precondition))
        }
        let result: CommandResult
        switch outcome {
        case .inline(let content):
            result = try await self.submit(put(content), deadline: deadline)
        case .chunks(let row):
            result = try await self.submit(naming: row, in: bucket, on: loop, deadline: deadline) {
                put(ObjectContent($0, sealedFor: bucket.bucket.version))
            }
        case .upload(let rows):
            let complete = CompleteUpload(
                upload: rows.name, key: key, revision: rows.revision, parts: rows.parts,
                entityTag: digests.entityTag, sha256: digests.sha256, checksums: checksums,
                precondition: options.precondition)
            result = try await self.submit(
                .completeUpload(complete), with: rows, on: loop, deadline: deadline)
        }
        if case .stored(let version, let modified) = result {
            return StoredObject(
                version: version, modified: modified, entityTag: digests.entityTag,
                sha256: digests.sha256, checksums: checksums, sizeBytes: digests.sizeBytes)
        }
        if case .upload(let rows) = outcome { self.abandon(rows, on: loop) }
        throw self.fault(of: result, storingIn: bucket)
    }

    /// Why no version was made of what was stored.
    func fault(of result: CommandResult, storingIn bucket: OpenBucket) -> AccessFault {
        switch result {
        case .preconditionFailed: return .preconditionFailed
        case .noSuchKey: return .noSuchKey
        case .noSuchBucket: return .noSuchBucket(bucket.bucket.name)
        case .bucketReplaced:
            self.forget(bucket)
            return .unavailable("the bucket was deleted and made again meanwhile")
        case .noSuchUpload: return .noSuchUpload
        case .chunkCondemned: return self.commitCondemned()
        case .limitReached: return .unavailable("a bound of the catalog would be passed")
        case let other: return .broken("storing an object gave \(other)")
        }
    }

    /// A commit named a chunk that its store had given up as abandoned, because clocks were wrong or
    /// the edge stood still on its way to the commit. Nothing was stored, and nothing is lost.
    func commitCondemned() -> AccessFault {
        self.counters.commitsCondemned.add()
        return .unavailable("the body came too slowly")
    }
}
