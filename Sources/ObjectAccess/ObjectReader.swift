import Catalog
import ChunkProtocol
import ClusterClient
import Cryptography
import IORuntime
import Primitives
import Telemetry

/// The bytes of a range of one version, in order, pulled piece by piece through the block cache.
/// While one block is on its way to whoever asked, the next of the range are brought.
package final class ObjectReader {
    package let head: ObjectHead
    private let access: ObjectAccess
    private let bucketKey: SymmetricKey
    private let loop: any EventLoop
    private let chunks: [ChunkReference]
    private var inline: [UInt8]?
    /// What is left to hand out, in positions of the object.
    private var rest: Range<UInt64>
    /// The chunk that the next byte lies in, and where in the object it begins.
    private var chunk = 0
    private var chunkStart: UInt64 = 0
    /// The latest blocks that are brought ahead, and the position up to which blocks were.
    private var ahead: [SpawnedTask] = []
    private var aheadEnd: UInt64 = 0

    init(
        head: ObjectHead, manifest: Manifest, access: ObjectAccess, bucketKey: SymmetricKey,
        loop: any EventLoop
    ) throws(AccessFault) {
        self.head = head
        self.access = access
        self.bucketKey = bucketKey
        self.loop = loop
        self.rest = 0..<head.size
        switch manifest {
        case .inline(let name, let sealed):
            let codec = FrameCodec(chunk: name, bucketKey: bucketKey)
            guard let plainBytes = Int(exactly: head.size),
                let plain = codec.openWhole(sealed, plainBytes: plainBytes)
            else {
                access.counters.framesRefused.add()
                throw .unreadable("the inline bytes of version \(head.version) do not open")
            }
            self.inline = plain
            self.chunks = []
        case .chunks(let chunks):
            self.chunks = chunks
        }
    }

    deinit { for task in self.ahead { task.cancel() } }

    /// Restricts the reader to a part of the object; to be called before the first `next`.
    package func restrict(to range: Range<UInt64>) { self.rest = range.clamped(to: self.rest) }

    package var remainingBytes: UInt64 { UInt64(self.rest.count) }

    /// The next bytes, or nil at the end. Every byte is proven before it is handed out.
    package func next() async throws(AccessFault) -> ArraySlice<UInt8>? {
        guard !self.rest.isEmpty else { return nil }
        if let inline = self.inline {
            guard self.rest.upperBound <= UInt64(inline.count) else {
                throw .broken("version \(self.head.version) is shorter than its head says")
            }
            let part = inline[Int(self.rest.lowerBound)..<Int(self.rest.upperBound)]
            self.take(part.count)
            return part
        }
        while self.chunk < self.chunks.count {
            let length = UInt64(self.chunks[self.chunk].plainLength)
            if self.rest.lowerBound < self.chunkStart + length {
                return try await self.nextOfChunk()
            }
            self.chunkStart += length
            self.chunk += 1
        }
        throw .broken("version \(self.head.version) has fewer chunks than its head says")
    }

    private func nextOfChunk() async throws(AccessFault) -> ArraySlice<UInt8> {
        let reference = self.chunks[self.chunk]
        let offset = Int(self.rest.lowerBound - self.chunkStart)
        let number = offset / BlockCache.blockBytes
        let blockStart = number * BlockCache.blockBytes
        self.readAhead(behind: self.chunkStart + UInt64(blockStart + BlockCache.blockBytes))
        let block = try await self.blockUnlessCancelled(number, of: reference)
        guard offset - blockStart < block.count else {
            throw .broken("chunk \(reference.name) is shorter than its manifest says")
        }
        let wanted = min(UInt64(block.count - (offset - blockStart)), UInt64(self.rest.count))
        let part = block[offset - blockStart..<offset - blockStart + Int(wanted)]
        self.take(part.count)
        return part
    }

    /// Begins to bring the next blocks of the range, from the object's position `end` on.
    private func readAhead(behind end: UInt64) {
        var (chunk, chunkStart, position) = (self.chunk, self.chunkStart, end)
        for _ in 0..<self.access.cache.blocksAhead {
            while chunk < self.chunks.count {
                let chunkEnd = chunkStart + UInt64(self.chunks[chunk].plainLength)
                if position < chunkEnd { break }
                position = chunkEnd
                chunkStart = chunkEnd
                chunk += 1
            }
            guard chunk < self.chunks.count, position < self.rest.upperBound else { return }
            let number = Int(position - chunkStart) / BlockCache.blockBytes
            if position >= self.aheadEnd { self.bring(number, of: self.chunks[chunk]) }
            let blockEnd = chunkStart + UInt64((number + 1) * BlockCache.blockBytes)
            position = min(blockEnd, chunkStart + UInt64(self.chunks[chunk].plainLength))
            self.aheadEnd = max(self.aheadEnd, position)
        }
    }

    private func bring(_ number: Int, of reference: ChunkReference) {
        let (access, key, loop) = (self.access, self.bucketKey, self.loop)
        if self.ahead.count == access.cache.blocksAhead { self.ahead.removeFirst() }
        self.ahead.append(
            loop.spawn {
                await access.cache.fetchAhead(.init(chunk: reference.name, block: number)) {
                    () async throws(AccessFault) -> [UInt8] in
                    try await access.fetch(number, of: reference, bucketKey: key, on: loop)
                }
            })
    }

    private func take(_ count: Int) {
        self.rest = self.rest.lowerBound + UInt64(count)..<self.rest.upperBound
        self.access.counters.bytesRead.add(UInt64(count))
    }

    /// A block; when the caller's task is cancelled, so is what is being brought ahead, which the
    /// caller may be waiting for.
    private func blockUnlessCancelled(
        _ number: Int, of reference: ChunkReference
    ) async throws(AccessFault) -> [UInt8] {
        let ahead = self.ahead
        let result: Result<[UInt8], AccessFault> = await withTaskCancellationHandler {
            do throws(AccessFault) {
                return .success(try await self.block(number, of: reference))
            } catch { return .failure(error) }
        } onCancel: {
            for task in ahead { task.cancel() }
        }
        return try result.get()
    }

    private func block(
        _ number: Int, of reference: ChunkReference
    ) async throws(AccessFault) -> [UInt8] {
        let (access, key, loop) = (self.access, self.bucketKey, self.loop)
        return try await access.cache.block(.init(chunk: reference.name, block: number)) {
            () async throws(AccessFault) -> [UInt8] in
            try await access.fetch(number, of: reference, bucketKey: key, on: loop)
        }
    }
}

extension ObjectAccess {
    /// Reads one block of a chunk from the stores.
    fileprivate func fetch(
        _ number: Int, of reference: ChunkReference, bucketKey: SymmetricKey,
        on loop: any EventLoop
    ) async throws(AccessFault) -> [UInt8] {
        guard let layout = SealedLayout(plainBytes: Int(reference.plainLength)) else {
            throw .broken("chunk \(reference.name) has no bytes")
        }
        let start = number * BlockCache.blockBytes
        let frames = layout.frames(covering: start..<start + BlockCache.blockBytes)
        return try await self.chunkReader.read(
            frames, of: reference, bucketKey: bucketKey, on: loop,
            deadline: self.environment.now + self.cluster.settings.callTimeout)
    }
}

extension ObjectAccess {
    /// Opens the current version for reading; behind every write acknowledged before the call.
    ///
    /// - Parameter loop: the caller's.
    package func read(
        _ key: ObjectKey, in bucket: BucketName, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> ObjectReader {
        switch try await self.query(.object(bucket, key, withManifest: true), deadline: deadline) {
        case .object(let head, let manifest):
            guard let manifest else {
                throw .broken("version \(head.version) came without its manifest")
            }
            let open = try await self.open(bucket, deadline: deadline, sealing: head.sealedFor)
            return try ObjectReader(
                head: head, manifest: manifest, access: self, bucketKey: open.key, loop: loop)
        case .absent: throw .noSuchKey
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case let other: throw .broken("asking for an object gave \(other)")
        }
    }

    /// The bucket whose key a version was sealed with. One remembered by the same name may be an
    /// earlier one, and its key would make every good copy of a chunk look bad.
    private func open(
        _ name: BucketName, deadline: Instant, sealing version: VersionID
    ) async throws(AccessFault) -> OpenBucket {
        let known = try await self.open(name, deadline: deadline)
        if known.bucket.version == version { return known }
        let fresh = try await self.open(name, deadline: deadline, isFreshOnly: true)
        guard fresh.bucket.version == version else {
            throw .unavailable("the bucket was deleted and made again meanwhile")
        }
        return fresh
    }
}
