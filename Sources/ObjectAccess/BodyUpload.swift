import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import Placement
import Primitives
import Telemetry

/// One body on its way: cut into chunks, each sealed once and sent while the next is read. The
/// chunks of a long one are written down row by row, so that an edge remembers no more than a row of
/// any body.
struct BodyUpload {
    /// Where the bytes are, once all of them are.
    enum Outcome: Sendable {
        case inline(ObjectContent)
        /// At most a row of them.
        case chunks([StoredChunk])
        /// More chunks than one row may name.
        case upload(ImplicitUpload)
    }

    /// For whom the bytes are.
    struct Purpose: Sendable {
        let key: ObjectKey
        let bucket: ObjectAccess.OpenBucket
        /// What an upload for a long body is opened with.
        let attributes: ObjectAttributes
        /// Whether a small body may rest in metadata.
        let allowsInline: Bool
        /// The chunks that the client stated; empty where it did not.
        let chunks: [StatedChunk]
    }

    private let access: ObjectAccess
    private let purpose: Purpose
    private let stated: StatedBody
    private let loop: any EventLoop
    private var intake: BodyIntake
    private var digests: BodyDigests
    private var chunks = StoredChunks()
    private var rows: ImplicitUpload?
    /// Nil where the client stated no chunks.
    private var statedChunks: StatedChunks?

    init(
        _ access: ObjectAccess, _ purpose: Purpose, _ stated: StatedBody, on loop: any EventLoop
    ) {
        self.access = access
        self.purpose = purpose
        self.stated = stated
        self.loop = loop
        self.intake = BodyIntake(access, stated, on: loop)
        self.digests = BodyDigests(for: stated)
    }

    private var bucket: ObjectAccess.OpenBucket { self.purpose.bucket }

    /// - Parameter deadline: until when to wait for memory to begin with.
    mutating func run(
        _ source: any BodySource, waitingUntil deadline: Instant
    ) async throws(AccessFault) -> (Outcome, BodyDigests.Finished) {
        if !self.purpose.chunks.isEmpty {
            self.statedChunks = try await self.access.find(
                self.purpose.chunks, in: self.bucket, deadline: deadline)
        }
        let first = try await self.nextChunk(from: source, waitingUntil: deadline)
        let isSmall = first.isLast && first.plainBytes <= self.access.settings.inlineBytes
        let mayBeInline = self.purpose.allowsInline && self.statedChunks == nil
        if isSmall, mayBeInline || first.plainBytes == 0 {
            defer { self.access.budget.release(first.ticket) }
            let bytes = first.draft.take().joined
            self.digests.update(bytes)
            let finished = try self.finish()
            return (mayBeInline ? .inline(try self.inline(bytes)) : .chunks([]), finished)
        }
        do throws(AccessFault) {
            try await self.sendChunks(first, source)
            let finished = try self.finish()
            return (try await self.name(), finished)
        } catch {
            if let rows = self.rows { self.access.abandon(rows, on: self.loop) }
            throw error
        }
    }

    private mutating func nextChunk(
        from source: any BodySource, waitingUntil deadline: Instant
    ) async throws(AccessFault) -> BodyIntake.Arrived {
        if let room = self.statedChunks?.roomBytes { self.intake.chunkBytes = room }
        return try await self.intake.nextChunk(from: source, waitingUntil: deadline)
    }

    /// The digests of the whole, if all that was stated of it holds.
    private mutating func finish() throws(AccessFault) -> BodyDigests.Finished {
        guard self.statedChunks?.isComplete ?? true else { throw .bodyIncomplete }
        return try self.digests.finish(self.stated)
    }

    private func inline(_ bytes: [UInt8]) throws(AccessFault) -> ObjectContent {
        let name = try self.access.makeChunkName()
        let sealed = FrameCodec(chunk: name, bucketKey: self.bucket.key)
            .sealWhole(bytes, isCompressing: self.access.settings.isCompressing)
        self.access.counters.bytesSaved.add(
            UInt64(bytes.count + FrameCodec.tagBytes - sealed.count))
        return ObjectContent(
            .inline(name: name, sealed: sealed),
            placedBy: self.access.cluster.layout?.version ?? .none,
            sealedFor: self.bucket.bucket.version)
    }

    // MARK: Chunks

    private typealias Sent = Result<(position: Int, StoredChunk), AccessFault>

    private mutating func sendChunks(
        _ first: BodyIntake.Arrived, _ source: any BodySource
    ) async throws(AccessFault) {
        var failure: AccessFault?
        // Read and not yet sealed: its share of the budget is still to be given back.
        var waiting: BodyIntake.Arrived? = first
        var position = 0
        await withTaskGroup(of: Sent.self) { group in
            var inFlight = 0
            while failure == nil, let arrived = waiting {
                if inFlight == self.access.settings.chunksInFlight, let sent = await group.next() {
                    inFlight -= 1
                    self.take(sent, &failure)
                    continue
                }
                waiting = nil
                do throws(AccessFault) {
                    try await self.writeFullRow(before: arrived)
                    let (access, loop) = (self.access, self.loop)
                    let slot = self.bucket.bucket.name.slot
                    let current = position
                    switch try await self.digest(arrived) {
                    case .sealed(let sealed, let fingerprint):
                        group.addTask {
                            defer { access.budget.release(arrived.ticket) }
                            return await access.send(
                                sealed, fingerprint, slot, at: current, on: loop)
                        }
                        inFlight += 1
                    case .known(let chunk):
                        self.access.budget.release(arrived.ticket)
                        self.chunks.stored(chunk, at: current)
                    }
                    position += 1
                    if arrived.isLast { break }
                    let next = try await self.nextChunk(
                        from: source,
                        waitingUntil: self.loop.now + self.access.settings.intakePatience)
                    // A body without a stated length may end with nothing.
                    if next.plainBytes > 0 { waiting = next }
                } catch { failure = failure ?? error }
            }
            if let waiting { self.access.budget.release(waiting.ticket) }
            if failure != nil { group.cancelAll() }
            while let sent = await group.next() { self.take(sent, &failure) }
        }
        if let failure { throw failure }
        invariant(self.chunks.count == position, "every chunk was sent or the upload failed")
    }

    private mutating func take(_ sent: Sent, _ failure: inout AccessFault?) {
        switch sent {
        case .success(let (position, chunk)): self.chunks.stored(chunk, at: position)
        case .failure(let fault): failure = failure ?? fault
        }
    }

    /// What a chunk of the body came to, before any store hears of it.
    private enum Digested {
        case sealed(SealedChunk, ChunkFingerprint?)
        case known(StoredChunk)
    }

    /// Feeds the digests and seals, unless the bucket has the chunk already. Gives back what the
    /// chunk holds of the budget if it fails.
    private mutating func digest(
        _ arrived: BodyIntake.Arrived
    ) async throws(AccessFault) -> Digested {
        do throws(AccessFault) {
            let stated = self.statedChunks?.arrived(arrived.plainBytes)
            if let known = stated?.known {
                try await self.feed(arrived, stated)
                self.access.counters.chunksShared.add()
                return .known(
                    StoredChunk(
                        reference: known, origin: .shared, fingerprint: stated?.fingerprint,
                        since: self.loop.now))
            }
            return .sealed(try await self.seal(arrived, stated), stated?.fingerprint)
        } catch {
            self.access.budget.release(arrived.ticket)
            throw error
        }
    }

    /// Holds bytes that need not be stored against what was stated of them.
    private mutating func feed(
        _ arrived: BodyIntake.Arrived, _ stated: StatedChunks.Arrival?
    ) async throws(AccessFault) {
        let (draft, before) = (arrived.draft, self.digests)
        let (digest, after) = await self.access.environment.blocking(.compute) {
            () -> (SHA256Digest?, BodyDigests) in
            let bytes = draft.take().joined
            var digests = before
            digests.update(bytes)
            return (stated?.verify(bytes), digests)
        }
        try self.went(on: digest, after, isStated: stated != nil)
    }

    /// Seals away from the loop: a chunk takes milliseconds.
    private mutating func seal(
        _ arrived: BodyIntake.Arrived, _ stated: StatedChunks.Arrival?
    ) async throws(AccessFault) -> SealedChunk {
        let name = try self.access.makeChunkName()
        let (draft, key, before) = (arrived.draft, self.bucket.key, self.digests)
        let isCompressing = self.access.settings.isCompressing
        let (sealed, digest, after) = await self.access.environment.blocking(.compute) {
            () -> (SealedChunk, SHA256Digest?, BodyDigests) in
            var plain = draft.take()
            // A copy of the bytes, made only for clients that state hashes of chunks.
            let digest = stated.flatMap { $0.verify(plain.joined) }
            var digests = before
            let chunk = plain.seal(
                name, bucketKey: key, isCompressing: isCompressing, digests: &digests)
            return (chunk, digest, digests)
        }
        self.access.counters.bytesSaved.add(UInt64(sealed.savedBytes))
        try self.went(on: digest, after, isStated: stated != nil)
        return sealed
    }

    private mutating func went(
        on chunk: SHA256Digest?, _ body: BodyDigests, isStated: Bool
    ) throws(AccessFault) {
        self.digests = body
        guard isStated else { return }
        guard let chunk else { throw .bodyMismatch(.chunk) }
        self.statedChunks?.digest = chunk
    }

    // MARK: Rows

    /// Writes a row down, if there is a full one, or one that has waited for long, and more of the
    /// body behind it.
    private mutating func writeFullRow(
        before arrived: BodyIntake.Arrived
    ) async throws(AccessFault) {
        let bound = self.loop.now - self.access.settings.rowPatience
        guard let row = self.chunks.takeRow(waitingSince: bound) else { return }
        do throws(AccessFault) { try await self.write(row) } catch {
            self.access.budget.release(arrived.ticket)
            throw error
        }
    }

    private mutating func write(_ row: [StoredChunk]) async throws(AccessFault) {
        try self.expectInTime(row)
        var rows: ImplicitUpload
        if let opened = self.rows {
            rows = opened
        } else {
            rows = try await self.access.openImplicitUpload(
                for: self.purpose.key, in: self.bucket, self.purpose.attributes)
            self.rows = rows
        }
        try await rows.write(row, of: self.bucket, through: self.access, on: self.loop)
        self.rows = rows
    }

    /// All chunks are stored: what names them.
    private mutating func name() async throws(AccessFault) -> Outcome {
        if self.rows == nil, self.chunks.fitsOneRow, let row = self.chunks.takeRow() {
            try self.expectInTime(row)
            return .chunks(row)
        }
        while let row = self.chunks.takeRow() { try await self.write(row) }
        guard let rows = self.rows else { throw .broken("a body in chunks has no chunk") }
        return .upload(rows)
    }

    /// Stores delete what nobody has named for long; a body that slow must not be promised.
    private func expectInTime(_ row: [StoredChunk]) throws(AccessFault) {
        let bound = self.loop.now - self.access.settings.uploadLifetime
        guard row.allSatisfy({ $0.since > bound }) else {
            self.access.counters.uploadsOverdue.add()
            throw .unavailable("the body came too slowly")
        }
    }
}

extension ByteBudget {
    /// What was never taken needs no release.
    fileprivate func release(_ ticket: Ticket?) { if let ticket { self.release(ticket) } }
}

extension ObjectAccess {
    /// One chunk to its stores, in a time of its own.
    fileprivate func send(
        _ chunk: SealedChunk, _ fingerprint: ChunkFingerprint?, _ slot: Slot, at position: Int,
        on loop: any EventLoop
    ) async -> Result<(position: Int, StoredChunk), AccessFault> {
        let (since, sealed) = (loop.now, self.cluster.clock.time)
        let deadline = self.environment.now + self.cluster.settings.callTimeout
        do throws(AccessFault) {
            let (reference, version) = try await self.chunkWriter.write(
                chunk, slot: slot, on: loop, deadline: deadline)
            let stored = StoredChunk(
                reference: reference, origin: .stored(placedBy: version, sealed: sealed),
                fingerprint: fingerprint, since: since)
            return .success((position, stored))
        } catch {
            return .failure(error)
        }
    }
}
