import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import Placement
import Primitives
import Telemetry

/// What a door wants stored, beside the bytes.
package struct PutOptions: Sendable {
    package var attributes = ObjectAttributes()
    package var stated = StatedBody()
    package var precondition = ObjectPrecondition.none

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
        if let stated = options.stated.sizeBytes, stated > self.settings.largestBodyBytes {
            throw .bodyTooLarge(limitBytes: self.settings.largestBodyBytes)
        }
        let open = try await self.open(bucket, deadline: deadline)
        var upload = Upload(self, open, options.stated, on: loop)
        let (content, digests) = try await upload.run(source, waitingUntil: deadline)
        let checksums = digests.checksums + source.verifiedChecksums
        let put = PutObject(
            bucket: bucket, key: key, size: digests.sizeBytes, entityTag: digests.entityTag,
            sha256: digests.sha256, checksums: checksums,
            attributes: options.attributes, content: content,
            precondition: options.precondition)
        // The body took as long as its sender did; the commit gets a time of its own.
        let commitDeadline = max(deadline, self.environment.now + self.cluster.settings.callTimeout)
        switch try await self.submit(.putObject(put), deadline: commitDeadline) {
        case .stored(let version, let modified):
            self.counters.objectsPut.add()
            self.counters.bytesPut.add(digests.sizeBytes)
            return StoredObject(
                version: version, modified: modified, entityTag: digests.entityTag,
                sha256: digests.sha256, checksums: checksums,
                sizeBytes: digests.sizeBytes)
        case .preconditionFailed: throw .preconditionFailed
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case .bucketReplaced:
            self.forget(open)
            throw .unavailable("the bucket was deleted and made again meanwhile")
        case .noSuchKey: throw .noSuchKey
        case .limitReached: throw .unavailable("a bound of the catalog would be passed")
        case let other: throw .broken("storing an object gave \(other)")
        }
    }
}

/// One body on its way: cut into chunks, each sealed once and sent while the next is read.
private struct Upload {
    let access: ObjectAccess
    let bucket: ObjectAccess.OpenBucket
    let stated: StatedBody
    let loop: any EventLoop
    var intake: BodyIntake
    var digests: BodyDigests

    init(
        _ access: ObjectAccess, _ bucket: ObjectAccess.OpenBucket, _ stated: StatedBody,
        on loop: any EventLoop
    ) {
        self.access = access
        self.bucket = bucket
        self.stated = stated
        self.loop = loop
        self.intake = BodyIntake(access, stated, on: loop)
        self.digests = BodyDigests(for: stated)
    }

    /// - Parameter deadline: until when to wait for memory to begin with.
    mutating func run(
        _ source: any BodySource, waitingUntil deadline: Instant
    ) async throws(AccessFault) -> (ObjectContent, BodyDigests.Finished) {
        let first = try await self.intake.nextChunk(from: source, waitingUntil: deadline)
        if first.isLast, first.plainBytes <= self.access.settings.inlineBytes {
            defer { self.access.budget.release(first.ticket) }
            let bytes = first.draft.take().joined
            self.digests.update(bytes)
            let finished = try self.digests.finish(self.stated)
            return (try self.inline(bytes), finished)
        }
        return try await self.runChunks(first, source)
    }

    private func inline(_ bytes: [UInt8]) throws(AccessFault) -> ObjectContent {
        let name: ChunkName
        do throws(ClusterFault) { name = try self.access.cluster.makeChunkName() } catch {
            throw AccessFault(error)
        }
        let sealed = FrameCodec(chunk: name, bucketKey: self.bucket.key)
            .sealWhole(bytes, isCompressing: self.access.settings.isCompressing)
        self.access.counters.bytesSaved.add(
            UInt64(bytes.count + FrameCodec.tagBytes - sealed.count))
        return ObjectContent(
            .inline(name: name, sealed: sealed),
            placedBy: self.access.cluster.layout?.version ?? .none,
            sealedFor: self.bucket.bucket.version)
    }

    private typealias Sent = Result<(position: Int, ChunkReference, LayoutVersion), AccessFault>

    private mutating func runChunks(
        _ first: BodyIntake.Arrived, _ source: any BodySource
    ) async throws(AccessFault) -> (ObjectContent, BodyDigests.Finished) {
        var references: [Int: ChunkReference] = [:]
        var placedBy: LayoutVersion?
        var failure: AccessFault?
        // Read and not yet sealed: its share of the budget is still to be given back.
        var waiting: BodyIntake.Arrived? = first
        var position = 0
        await withTaskGroup(of: Sent.self) { group in
            func take(_ sent: Sent) {
                switch sent {
                case .success(let (position, reference, version)):
                    references[position] = reference
                    // A chunk placed by an older layout makes the commit name that one.
                    placedBy = min(placedBy ?? version, version)
                case .failure(let fault): failure = failure ?? fault
                }
            }
            var inFlight = 0
            while failure == nil, let arrived = waiting {
                if inFlight == self.access.settings.chunksInFlight, let sent = await group.next() {
                    inFlight -= 1
                    take(sent)
                    continue
                }
                waiting = nil
                do throws(AccessFault) {
                    let sealed = try await self.seal(arrived)
                    let (access, loop) = (self.access, self.loop)
                    let slot = self.bucket.bucket.name.slot
                    let current = position
                    group.addTask {
                        defer { access.budget.release(arrived.ticket) }
                        return await access.send(sealed, slot, at: current, on: loop)
                    }
                    inFlight += 1
                    position += 1
                    if arrived.isLast { break }
                    let next = try await self.intake.nextChunk(
                        from: source,
                        waitingUntil: self.loop.now + self.access.settings.intakePatience)
                    // A body without a stated length may end with nothing.
                    if next.plainBytes > 0 { waiting = next }
                } catch { failure = failure ?? error }
            }
            if let waiting { self.access.budget.release(waiting.ticket) }
            if failure != nil { group.cancelAll() }
            while let sent = await group.next() { take(sent) }
        }
        if let failure { throw failure }
        let finished = try self.digests.finish(self.stated)
        let ordered = (0..<position).compactMap { references[$0] }
        invariant(ordered.count == position, "every chunk was sent or the upload failed")
        let content = ObjectContent(
            .chunks(ordered), placedBy: placedBy ?? .none, sealedFor: self.bucket.bucket.version)
        return (content, finished)
    }

    /// Feeds the digests and seals, away from the loop: a chunk takes milliseconds.
    private mutating func seal(
        _ arrived: BodyIntake.Arrived
    ) async throws(AccessFault) -> SealedChunk {
        let name: ChunkName
        do throws(ClusterFault) { name = try self.access.cluster.makeChunkName() } catch {
            self.access.budget.release(arrived.ticket)
            throw AccessFault(error)
        }
        let (draft, key, before) = (arrived.draft, self.bucket.key, self.digests)
        let isCompressing = self.access.settings.isCompressing
        let (sealed, after) = await self.access.environment.blocking(.compute) {
            () -> (SealedChunk, BodyDigests) in
            var plain = draft.take()
            var digests = before
            let chunk = plain.seal(
                name, bucketKey: key, isCompressing: isCompressing, digests: &digests)
            return (chunk, digests)
        }
        self.access.counters.bytesSaved.add(UInt64(sealed.savedBytes))
        self.digests = after
        return sealed
    }
}

extension ByteBudget {
    /// What was never taken needs no release.
    fileprivate func release(_ ticket: Ticket?) { if let ticket { self.release(ticket) } }
}

extension ObjectAccess {
    /// One chunk to its stores, in a time of its own.
    fileprivate func send(
        _ chunk: SealedChunk, _ slot: Slot, at position: Int, on loop: any EventLoop
    ) async -> Result<(position: Int, ChunkReference, LayoutVersion), AccessFault> {
        let deadline = self.environment.now + self.cluster.settings.callTimeout
        do throws(AccessFault) {
            let (reference, version) = try await self.chunkWriter.write(
                chunk, slot: slot, on: loop, deadline: deadline)
            return .success((position, reference, version))
        } catch {
            return .failure(error)
        }
    }
}
