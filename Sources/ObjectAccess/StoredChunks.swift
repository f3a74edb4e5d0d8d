import Catalog
import Placement
import Primitives

/// A chunk that enough stores hold, and no metadata names yet.
struct StoredChunk: Sendable {
    let reference: ChunkReference
    let placedBy: LayoutVersion
    /// When it was sealed: what bounds how long it may stay unnamed.
    let sealed: Instant
}

/// The chunks of a body between the stores that took them, in whatever order, and the rows that name
/// them, in the order of the body.
struct StoredChunks: Sendable {
    /// Chunks of one row.
    static let rowLimit = CatalogLimits.chunksPerRow

    /// Stored while one before them was still on its way.
    private var early: [Int: StoredChunk] = [:]
    /// What no row names yet, without a gap from `next - ordered.count` on.
    private var ordered: [StoredChunk] = []
    private var next = 0

    /// A chunk is stored; `position` counts the chunks of the body.
    mutating func stored(_ chunk: StoredChunk, at position: Int) {
        self.early[position] = chunk
        while let chunk = self.early.removeValue(forKey: self.next) {
            self.ordered.append(chunk)
            self.next += 1
        }
    }

    /// How many chunks were stored, all before them too.
    var count: Int { self.next }

    var oldest: Instant? { self.ordered.map(\.sealed).min() }

    /// The next row of a body that goes on behind it: a full one, or what there is when that waits
    /// since before `bound`.
    mutating func takeRow(waitingSince bound: Instant) -> [StoredChunk]? {
        guard let oldest = self.oldest else { return nil }
        guard self.ordered.count >= Self.rowLimit || oldest < bound else { return nil }
        return self.takeRow()
    }

    /// The next row of a body that has ended; nil when there is no more.
    mutating func takeRow() -> [StoredChunk]? {
        guard !self.ordered.isEmpty else { return nil }
        let row = Array(self.ordered.prefix(Self.rowLimit))
        self.ordered.removeFirst(row.count)
        return row
    }

    /// Whether all that is left goes into one row.
    var fitsOneRow: Bool { self.ordered.count <= Self.rowLimit }
}

extension ObjectContent {
    init(_ chunks: [StoredChunk], sealedFor version: VersionID) {
        self.init(
            .chunks(chunks.map(\.reference)),
            // A chunk placed by an older layout makes the commit name that one.
            placedBy: chunks.map(\.placedBy).min() ?? .none, sealedFor: version)
    }
}
