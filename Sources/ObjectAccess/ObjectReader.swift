import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import Primitives
import Telemetry

/// The bytes of a range of one version, in order, pulled part by part; each is proven before it is
/// handed out.
///
/// A part is at most a block. A block that the range covers comes through the cache, and while it is
/// on its way to whoever asked, the next ones are brought. Of a block that the range only touches,
/// just the frames that it touches are fetched, unless the cache has or wants the whole. What a part
/// takes of memory is held against `ReadBudget` until the next is asked for; a reader that finds no
/// room for a block goes on frame by frame.
package final class ObjectReader {
    package let head: ObjectHead
    /// Where the parts lie that the version was written in; nil when it was written whole.
    package private(set) var parts: PartTable?
    private let access: ObjectAccess
    private let bucket: OpenBucketKey
    private let loop: any EventLoop
    private let source: any ChunkSource
    private var inline: [UInt8]?
    /// What was asked for, and what of it is left to hand out, in positions of the object.
    private var range: Range<UInt64>
    private var rest: Range<UInt64>
    /// Where the next byte lies, once a run of chunks is known.
    private var walk: BlockWalk?
    /// What the part handed out last takes.
    private var share: ReadShare?
    private var ahead: ReadAhead

    /// What a version's chunks are opened with.
    package struct OpenBucketKey: Sendable {
        let name: BucketName
        let key: SymmetricKey

        package init(name: BucketName, key: SymmetricKey) {
            self.name = name
            self.key = key
        }
    }

    /// A version whose chunks a source lists.
    package init(
        head: ObjectHead, source: any ChunkSource, access: ObjectAccess, bucket: OpenBucketKey,
        loop: any EventLoop
    ) {
        self.head = head
        self.access = access
        self.bucket = bucket
        self.loop = loop
        self.source = source
        self.range = 0..<head.size
        self.rest = self.range
        self.ahead = ReadAhead(blocks: access.cache.blocksAhead, most: access.cache.mostBlocksAhead)
    }

    convenience init(
        head: ObjectHead, content: CurrentObject.Content, access: ObjectAccess,
        bucket: OpenBucketKey, loop: any EventLoop
    ) throws(AccessFault) {
        let source: any ChunkSource
        var inline: [UInt8]?
        var table: PartTable?
        switch content {
        case .plain(let bytes):
            source = ListedChunks(chunks: [])
            inline = bytes
        case .manifest(.chunks(let chunks)): source = ListedChunks(chunks: chunks)
        case .manifest(.parts(let parts)):
            guard parts.sizeBytes == head.size else {
                throw .broken("version \(head.version) has another size than its parts")
            }
            source = PartedChunks(
                head.manifest, parts, in: bucket.name, startingAt: 0, access: access)
            table = parts
        case .unknown, .manifest(.inline):
            throw .broken("version \(head.version) came without its manifest")
        }
        self.init(head: head, source: source, access: access, bucket: bucket, loop: loop)
        self.inline = inline
        self.parts = table
    }

    /// Restricts the reader to a part of the object, before the first `next` or between two: what
    /// was read before does not matter.
    package func restrict(to range: Range<UInt64>) {
        self.range = range.clamped(to: 0..<self.head.size)
        self.rest = self.range
    }

    package var remainingBytes: UInt64 { UInt64(self.rest.count) }

    /// The next bytes, or nil at the end. The part handed out before counts as sent.
    package func next() async throws(AccessFault) -> ArraySlice<UInt8>? {
        self.share = nil
        self.ahead.asked(at: self.loop.now)
        guard !self.rest.isEmpty else { return nil }
        let part: ArraySlice<UInt8>
        if let inline = self.inline {
            guard self.rest.upperBound <= UInt64(inline.count) else {
                throw .broken("version \(self.head.version) is shorter than its head says")
            }
            part = inline[Int(self.rest.lowerBound)..<Int(self.rest.upperBound)]
        } else {
            part = try await self.part(of: try await self.place())
        }
        self.rest = self.rest.lowerBound + UInt64(part.count)..<self.rest.upperBound
        self.access.counters.bytesRead.add(UInt64(part.count))
        self.ahead.handedOut(at: self.loop.now)
        return part
    }

    private var deadline: Instant {
        self.access.environment.now + self.access.cluster.settings.callTimeout
    }

    /// The block that the next byte lies in.
    private func place() async throws(AccessFault) -> BlockWalk.Place {
        let position = self.rest.lowerBound
        if let place = self.walk?.place(at: position) { return place }
        // A run is half a gigabyte or more, so the pause that its end makes is not worth hiding.
        var walk = BlockWalk(try await self.source.run(at: position, deadline: self.deadline))
        let place = walk.place(at: position)
        self.walk = walk
        guard let place else {
            throw .broken("version \(self.head.version) has fewer chunks than its head says")
        }
        return place
    }

    // MARK: Parts

    private func part(of place: BlockWalk.Place) async throws(AccessFault) -> ArraySlice<UInt8> {
        let wanted = self.rest.clamped(to: place.range)
        let cache = self.access.cache
        // From its beginning, because what is already sent of a block is not worth fetching again.
        let isCovered = wanted == place.range
        if isCovered || cache.isWorthWhole(place.key) {
            if let share = self.access.readBudget.takeNow(place.range.count) {
                self.share = share
                if isCovered { self.bringAhead(from: place) }
                let block = try await self.block(place)
                return try self.cut(wanted, from: block, place)
            }
        } else if let share = self.access.readBudget.takeNow(self.frameBytes(of: wanted, place)) {
            self.share = share
            self.access.counters.partsFetched.add()
            return try await self.frames(of: wanted, place)
        }
        return try await self.pressedPart(wanted, place)
    }

    /// The next frame alone: others hold much.
    private func pressedPart(
        _ wanted: Range<UInt64>, _ place: BlockWalk.Place
    ) async throws(AccessFault) -> ArraySlice<UInt8> {
        self.access.counters.partsPressed.add()
        guard
            let share = await self.access.readBudget.takeFrame(by: self.deadline, on: self.loop)
        else { throw .unavailable("too much is being read at once") }
        self.share = share
        let frameBytes = UInt64(SealedLayout.frameBytes)
        let offset = wanted.lowerBound - place.range.lowerBound
        let frameEnd = place.range.lowerBound + (offset / frameBytes + 1) * frameBytes
        let part = wanted.lowerBound..<min(wanted.upperBound, frameEnd)
        guard let block = self.access.cache.blockNow(place.key) else {
            return try await self.frames(of: part, place)
        }
        // A copy, because a slice would keep the whole block.
        return Array(try self.cut(part, from: block, place))[...]
    }

    private func cut(
        _ wanted: Range<UInt64>, from block: [UInt8], _ place: BlockWalk.Place
    ) throws(AccessFault) -> ArraySlice<UInt8> {
        guard block.count == place.range.count else {
            throw .broken("chunk \(place.chunk.name) is not as long as its manifest says")
        }
        let start = Int(wanted.lowerBound - place.range.lowerBound)
        return block[start..<start + wanted.count]
    }

    private func frameBytes(of wanted: Range<UInt64>, _ place: BlockWalk.Place) -> Int {
        let (frames, _) = place.frames(covering: wanted)
        return frames.count * SealedLayout.frameBytes
    }

    /// Just the frames that hold some bytes, past the cache.
    private func frames(
        of wanted: Range<UInt64>, _ place: BlockWalk.Place
    ) async throws(AccessFault) -> ArraySlice<UInt8> {
        let (frames, offset) = place.frames(covering: wanted)
        let plain = try await self.access.chunkReader.read(
            .init(
                frames: frames, chunk: place.chunk, slot: self.bucket.name.slot,
                bucketKey: self.bucket.key),
            on: self.loop, deadline: self.deadline)
        return plain[offset..<offset + wanted.count]
    }

    /// A block; when the caller's task is cancelled, so is what is being brought ahead, which the
    /// caller may be waiting for.
    private func block(_ place: BlockWalk.Place) async throws(AccessFault) -> [UInt8] {
        let (access, bucket, loop) = (self.access, self.bucket, self.loop)
        if let block = access.cache.blockNow(place.key) { return block }
        let ahead = self.ahead.tasks
        let began = loop.now
        let result: Result<[UInt8], AccessFault> = await withTaskCancellationHandler {
            do throws(AccessFault) {
                return .success(
                    try await access.cache.block(place.key) {
                        () async throws(AccessFault) -> [UInt8] in
                        try await access.fetch(place, bucket, on: loop)
                    })
            } catch { return .failure(error) }
        } onCancel: {
            for task in ahead { task.cancel() }
        }
        self.ahead.waited(loop.now - began, for: place.range)
        return try result.get()
    }

    // MARK: Reading ahead

    /// Begins to bring the next blocks that the range covers, as far as the window reaches and there
    /// is room for them.
    private func bringAhead(from place: BlockWalk.Place) {
        guard var walk = self.walk else { return }
        var end = place.range.upperBound
        for _ in 0..<self.ahead.window {
            guard end < self.range.upperBound, let next = walk.place(at: end),
                next.range.upperBound <= self.range.upperBound
            else { return }
            end = next.range.upperBound
            guard self.ahead.isNew(next.range) else { continue }
            guard let share = self.access.readBudget.takeNow(next.range.count) else { return }
            let (access, bucket, loop) = (self.access, self.bucket, self.loop)
            self.ahead.bring(next.range) {
                loop.spawn {
                    await access.cache.fetchAhead(next.key) {
                        () async throws(AccessFault) -> [UInt8] in
                        // Until the block is the cache's own to count.
                        defer { withExtendedLifetime(share) {} }
                        return try await access.fetch(next, bucket, on: loop)
                    }
                }
            }
        }
    }
}

extension BlockWalk.Place {
    /// The frames of the chunk that hold positions of the object, and where in the first of them
    /// the positions begin.
    fileprivate func frames(covering wanted: Range<UInt64>) -> (frames: Range<Int>, offset: Int) {
        let blockStart = self.block * BlockCache.blockBytes
        let start = blockStart + Int(wanted.lowerBound - self.range.lowerBound)
        let first = start / SealedLayout.frameBytes
        let end = (start + wanted.count + SealedLayout.frameBytes - 1) / SealedLayout.frameBytes
        return (first..<end, start - first * SealedLayout.frameBytes)
    }
}

extension ObjectAccess {
    /// Reads one block of a chunk from the stores.
    fileprivate func fetch(
        _ place: BlockWalk.Place, _ bucket: ObjectReader.OpenBucketKey, on loop: any EventLoop
    ) async throws(AccessFault) -> [UInt8] {
        try await self.chunkReader.read(
            .init(
                frames: place.frames(covering: place.range).frames, chunk: place.chunk,
                slot: bucket.name.slot, bucketKey: bucket.key),
            on: loop, deadline: self.environment.now + self.cluster.settings.callTimeout)
    }
}
