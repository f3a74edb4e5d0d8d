import Catalog
import ChunkProtocol
import ClusterClient
import IORuntime
import Primitives
import Telemetry

/// Commands that name stored chunks.
extension ObjectAccess {
    /// Submits a command that names a row of chunks. Where one that was to be shared has been given
    /// up by all who had it meanwhile, its bytes, which are still there for hours, are stored anew.
    func submit(
        naming row: [StoredChunk], in bucket: OpenBucket, on loop: any EventLoop,
        deadline: Instant, _ operation: ([StoredChunk]) -> CatalogOperation
    ) async throws(AccessFault) -> CommandResult {
        var row = row
        while true {
            let result = try await self.submit(operation(row), deadline: deadline)
            guard case .chunkCondemned(let name) = result,
                let place = row.firstIndex(where: {
                    $0.reference.name == name && $0.origin == .shared
                })
            else { return result }
            self.counters.sharedChunksCondemned.add()
            row[place] = try await self.storeAnew(
                row[place], of: bucket, on: loop, deadline: deadline)
        }
    }

    /// Stores the bytes of a chunk as another one.
    private func storeAnew(
        _ chunk: StoredChunk, of bucket: OpenBucket, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> StoredChunk {
        let size = Int(chunk.reference.plainLength)
        guard let layout = SealedLayout(plainBytes: size) else {
            throw .broken("chunk \(chunk.reference.name) has no bytes")
        }
        guard let ticket = await self.budget.take(size, on: loop, by: deadline) else {
            throw .overloaded
        }
        defer { self.budget.release(ticket) }
        let plain = try await self.chunkReader.read(
            .init(
                frames: 0..<layout.frameCount, chunk: chunk.reference,
                slot: bucket.bucket.name.slot, bucketKey: bucket.key),
            on: loop, deadline: deadline)
        let name = try self.makeChunkName()
        let (key, isCompressing) = (bucket.key, self.settings.isCompressing)
        let sealed = await self.environment.blocking(.compute) {
            var draft = ChunkDraft(plain)
            return draft.seal(name, bucketKey: key, isCompressing: isCompressing)
        }
        let (since, sealedAt) = (loop.now, self.cluster.clock.time)
        let (reference, layoutVersion) = try await self.chunkWriter.write(
            sealed, slot: bucket.bucket.name.slot, on: loop, deadline: deadline)
        return StoredChunk(
            reference: reference, origin: .stored(placedBy: layoutVersion, sealed: sealedAt),
            fingerprint: chunk.fingerprint, since: since)
    }

    func makeChunkName() throws(AccessFault) -> ChunkName {
        do throws(ClusterFault) { return try self.cluster.makeChunkName() } catch {
            throw AccessFault(error)
        }
    }
}
