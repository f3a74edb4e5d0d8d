import Catalog
import ClusterClient
import IORuntime
import Primitives
import Telemetry

/// The upload that an edge opens for itself when a body has more chunks than one row may name: each
/// full row becomes a part, so that no command grows with the body.
struct ImplicitUpload: Sendable {
    let name: UploadName
    let key: ObjectKey
    private(set) var revision: UInt64 = 0
    private(set) var parts = PartTable()
    private var next: PartNumber? = .least

    /// What the parts are tagged with: nobody is ever told.
    private static var tag: EntityTag {
        get throws(AccessFault) {
            guard let tag = EntityTag("implicit") else { throw .broken("a word is no entity tag") }
            return tag
        }
    }

    init(name: UploadName, key: ObjectKey) {
        self.name = name
        self.key = key
    }

    /// Writes a row of chunks down as the next part.
    mutating func write(
        _ row: [StoredChunk], of bucket: ObjectAccess.OpenBucket, through access: ObjectAccess,
        on loop: any EventLoop
    ) async throws(AccessFault) {
        let size = row.reduce(0) { $0 + UInt64($1.reference.plainLength) }
        guard let number = self.next, self.parts.append(number, sizeBytes: size) else {
            throw .bodyTooLarge(limitBytes: self.parts.sizeBytes)
        }
        self.next = number.next
        let (name, tag) = (self.name, try Self.tag)
        let deadline = access.environment.now + access.cluster.settings.callTimeout
        let result = try await access.submit(
            naming: row, in: bucket, on: loop, deadline: deadline
        ) { row in
            .putPart(
                PutPart(
                    upload: name, number: number, size: size, entityTag: tag,
                    source: .content(ObjectContent(row, sealedFor: bucket.bucket.version))))
        }
        switch result {
        case .partStored(let revision, _): self.revision = revision
        case .noSuchBucket: throw .noSuchBucket(self.name.bucket)
        case .chunkCondemned: throw access.commitCondemned()
        case .noSuchUpload, .bucketReplaced:
            throw .unavailable("the upload of a long body was ended meanwhile")
        case let other: throw .broken("writing down a row of chunks gave \(other)")
        }
        access.counters.rowsWritten.add()
    }
}

extension ObjectAccess {
    /// Opens an upload for the rest of a body.
    func openImplicitUpload(
        for key: ObjectKey, in bucket: OpenBucket, _ attributes: ObjectAttributes
    ) async throws(AccessFault) -> ImplicitUpload {
        let name = bucket.bucket.name
        let open = OpenUpload(
            bucket: name, key: key, sealedFor: bucket.bucket.version, attributes: attributes,
            isImplicit: true)
        let id = try await self.open(
            open, of: bucket, deadline: self.environment.now + self.cluster.settings.callTimeout)
        return ImplicitUpload(name: UploadName(bucket: name, id: id), key: key)
    }

    /// Opens an upload of any kind.
    func open(
        _ open: OpenUpload, of bucket: OpenBucket, deadline: Instant
    ) async throws(AccessFault) -> UploadID {
        switch try await self.submit(.openUpload(open), deadline: deadline) {
        case .uploadOpened(let id): return id
        case .noSuchBucket: throw .noSuchBucket(open.bucket)
        case .bucketReplaced:
            self.forget(bucket)
            throw .unavailable("the bucket was deleted and made again meanwhile")
        case let other: throw .broken("opening an upload gave \(other)")
        }
    }

    /// Submits what makes something of an upload's parts. Where it is certain that nothing came of
    /// it, nobody will name them any more: they are given up at once, because a disk that was full
    /// needs their room to recover. After an unknown outcome they may be an object's.
    func submit(
        _ operation: CatalogOperation, with upload: ImplicitUpload, on loop: any EventLoop,
        deadline: Instant
    ) async throws(AccessFault) -> CommandResult {
        do throws(AccessFault) {
            return try await self.submit(operation, deadline: deadline)
        } catch {
            switch error {
            case .diskFull, .unavailable, .overloaded: self.abandon(upload, on: loop)
            case .outcomeUnknown, .broken, .noSuchBucket, .noSuchKey, .noSuchUpload,
                .bucketNotEmpty, .bucketTaken, .preconditionFailed, .bodyMismatch,
                .bodyIncomplete, .bodyTooLarge, .source, .unreadable:
                break
            }
            throw error
        }
    }

    /// Ends an implicit upload that came to nothing, without keeping anybody waiting. Where this
    /// fails the upload is abandoned, and goes as such.
    func abandon(_ upload: ImplicitUpload, on loop: any EventLoop) {
        self.counters.longBodiesAbandoned.add()
        _ = loop.spawn {
            let deadline = self.environment.now + self.cluster.settings.callTimeout
            do throws(AccessFault) {
                _ = try await self.submit(
                    .abortUpload(AbortUpload(upload: upload.name)), deadline: deadline)
            } catch {}
        }
    }
}
