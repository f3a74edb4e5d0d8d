import Catalog
import IORuntime
import Primitives
import Synchronization

/// The chunks of a version in parts: found by the table of the parts' sizes, read from their rows
/// page by page.
///
/// Part rows do not change while the version lives. When it has gone its rows go after a while, and
/// the reader learns here that there is no more to be read.
final class PartedChunks: ChunkSource {
    private let access: ObjectAccess
    private let bucket: BucketName
    private let manifest: ManifestID
    private let parts: PartTable
    /// Where in the object the manifest begins.
    private let start: UInt64
    /// The part of many chunks that was looked into last.
    private let inner = Mutex<(number: PartNumber, chunks: PartedChunks)?>(nil)

    init(
        _ manifest: ManifestID, _ parts: PartTable, in bucket: BucketName, startingAt start: UInt64,
        access: ObjectAccess
    ) {
        self.manifest = manifest
        self.parts = parts
        self.bucket = bucket
        self.start = start
        self.access = access
    }

    func run(at position: UInt64, deadline: Instant) async throws(AccessFault) -> ChunkRun {
        guard let place = self.parts.part(at: position - self.start) else {
            throw .broken("manifest \(self.manifest) is shorter than its version")
        }
        if let inner = self.inner.withLock({ $0 }), inner.number == place.number {
            return try await inner.chunks.run(at: position, deadline: deadline)
        }
        let rows = try await self.rows(from: place.number, deadline: deadline)
        guard let first = rows.first, first.number == place.number else {
            throw .unreadable("part \(place.number) of manifest \(self.manifest) has gone")
        }
        switch first.content {
        case .chunks: return try self.run(of: rows, from: place)
        case .manifest(let id):
            let inner = try await self.open(id, at: place, deadline: deadline)
            self.inner.withLock { $0 = (place.number, inner) }
            return try await inner.run(at: position, deadline: deadline)
        }
    }

    private func rows(
        from number: PartNumber, deadline: Instant
    ) async throws(AccessFault) -> [ManifestPart] {
        let query = CatalogQuery.manifestParts(
            self.bucket, self.manifest, from: number, limit: CatalogLimits.partRowsPerPage)
        switch try await self.access.query(query, deadline: deadline) {
        case .manifestParts(let rows): return rows
        case let other: throw .broken("asking for parts gave \(other)")
        }
    }

    /// As many chunks as the page has without a gap, and a reader needs for a while.
    private func run(
        of rows: [ManifestPart], from first: PartTable.Place
    ) throws(AccessFault) -> ChunkRun {
        var chunks: [ChunkReference] = []
        var place = first
        for row in rows where chunks.count < CatalogLimits.chunksPerRow {
            // Between those of the object there may be parts that were left out of it.
            if row.number < place.number { continue }
            guard row.number == place.number, case .chunks(let ofPart) = row.content else { break }
            let size = ofPart.reduce(0) { $0 + UInt64($1.plainLength) }
            guard size == place.sizeBytes else {
                throw .broken("part \(row.number) of manifest \(self.manifest) has another size")
            }
            chunks += ofPart
            guard let next = self.parts.part(at: place.range.upperBound) else { break }
            place = next
        }
        return ChunkRun(start: self.start + first.start, chunks: chunks)
    }

    private func open(
        _ id: ManifestID, at place: PartTable.Place, deadline: Instant
    ) async throws(AccessFault) -> PartedChunks {
        switch try await self.access.query(.manifest(self.bucket, id), deadline: deadline) {
        case .manifest(.parts(let parts)) where parts.sizeBytes == place.sizeBytes:
            return PartedChunks(
                id, parts, in: self.bucket, startingAt: self.start + place.start,
                access: self.access)
        case .absent:
            throw .unreadable("part \(place.number) of manifest \(self.manifest) has gone")
        case let other: throw .broken("asking for the manifest of a part gave \(other)")
        }
    }
}
