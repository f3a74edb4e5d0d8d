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
        case content(ObjectContent)
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
    }

    private let access: ObjectAccess
    private let purpose: Purpose
    private let stated: StatedBody
    private let loop: any EventLoop
    private var intake: BodyIntake
    private var digests: BodyDigests
    private var chunks = StoredChunks()
    private var rows: ImplicitUpload?

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
        let first = try await self.intake.nextChunk(from: source, waitingUntil: deadline)
        let isSmall = first.isLast && first.plainBytes <= self.access.settings.inlineBytes
        if isSmall, self.purpose.allowsInline || first.plainBytes == 0 {
            defer { self.access.budget.release(first.ticket) }
            let bytes = first.draft.take().joined
            self.digests.update(bytes)
            let finished = try self.digests.finish(self.stated)
            guard self.purpose.allowsInline else {
                let none = ObjectContent([], sealedFor: self.bucket.bucket.version)
                return (.content(none), finished)
            }
            return (.content(try self.inline(bytes)), finished)
        }
        do throws(AccessFault) {
            try await self.sendChunks(first, source)
            let finished = try self.digests.finish(self.stated)
            return (try await self.name(), finished)
        } catch {
            if let rows = self.rows { self.access.abandon(rows, on: self.loop) }
            throw error
        }
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

    /// Feeds the digests and seals, away from the loop: a chunk takes milliseconds.
    private mutating func seal(
        _ arrived: BodyIntake.Arrived
    ) async throws(AccessFault) -> SealedChunk {
        let name: ChunkName
        do throws(AccessFault) { name = try self.access.makeChunkName() } catch {
            self.access.budget.release(arrived.ticket)
            throw error
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
        try await rows.write(
            row, sealedFor: self.bucket.bucket.version, through: self.access)
        self.rows = rows
    }

    /// All chunks are stored: what names them.
    private mutating func name() async throws(AccessFault) -> Outcome {
        if self.rows == nil, self.chunks.fitsOneRow, let row = self.chunks.takeRow() {
            try self.expectInTime(row)
            return .content(ObjectContent(row, sealedFor: self.bucket.bucket.version))
        }
        while let row = self.chunks.takeRow() { try await self.write(row) }
        guard let rows = self.rows else { throw .broken("a body in chunks has no chunk") }
        return .upload(rows)
    }

    /// Stores delete what nobody has named for long; a body that slow must not be promised.
    private func expectInTime(_ row: [StoredChunk]) throws(AccessFault) {
        let bound = self.loop.now - self.access.settings.uploadLifetime
        guard row.allSatisfy({ $0.sealed > bound }) else {
            throw .unavailable("the body came too slowly")
        }
    }
}

extension ByteBudget {
    /// What was never taken needs no release.
    fileprivate func release(_ ticket: Ticket?) { if let ticket { self.release(ticket) } }
}

extension ObjectAccess {
    fileprivate func makeChunkName() throws(AccessFault) -> ChunkName {
        do throws(ClusterFault) { return try self.cluster.makeChunkName() } catch {
            throw AccessFault(error)
        }
    }

    /// One chunk to its stores, in a time of its own.
    fileprivate func send(
        _ chunk: SealedChunk, _ slot: Slot, at position: Int, on loop: any EventLoop
    ) async -> Result<(position: Int, StoredChunk), AccessFault> {
        let sealed = loop.now
        let deadline = self.environment.now + self.cluster.settings.callTimeout
        do throws(AccessFault) {
            let (reference, version) = try await self.chunkWriter.write(
                chunk, slot: slot, on: loop, deadline: deadline)
            return .success(
                (position, StoredChunk(reference: reference, placedBy: version, sealed: sealed)))
        } catch {
            return .failure(error)
        }
    }
}
