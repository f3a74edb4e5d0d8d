import Catalog
import Placement
import Primitives

/// A chunk that enough stores hold, and that no manifest of the body names yet.
struct StoredChunk: Sendable {
    /// How it came there.
    enum Origin: Sendable, Equatable {
        /// It was stored for this body; `sealed` is a reading of the wall clock from before any store
        /// was sent it.
        case stored(placedBy: LayoutVersion, sealed: Timestamp)
        /// The bucket had it already, for other objects.
        case shared
    }

    let reference: ChunkReference
    let origin: Origin
    /// What its bytes are found by, where the client stated their hash.
    let fingerprint: ChunkFingerprint?
    /// When it was sealed, or found: what bounds how long it may stay unnamed.
    let since: Instant
}

/// The chunks of a body between the stores that took them, in whatever order, and the rows that name
/// them, in the order of the body.
struct StoredChunks: Sendable {
    /// Chunks of one row.
    static let rowLimit = CatalogLimits.chunksPerRow

    /// Stored while one before them was still on its way.
    private var early: [Int: StoredChunk] = [:]
    /// What no row names yet, without a gap up to `count`.
    private var ordered: [StoredChunk] = []

    /// How many chunks were stored, all before them too.
    private(set) var count = 0

    /// A chunk is stored; `position` counts the chunks of the body.
    mutating func stored(_ chunk: StoredChunk, at position: Int) {
        self.early[position] = chunk
        while let chunk = self.early.removeValue(forKey: self.count) {
            self.ordered.append(chunk)
            self.count += 1
        }
    }

    /// The next row of a body that goes on behind it: a full one, or what there is when that waits
    /// since before `bound`.
    mutating func takeRow(waitingSince bound: Instant) -> [StoredChunk]? {
        guard
            self.ordered.count >= Self.rowLimit
                || self.ordered.contains(where: { $0.since < bound })
        else { return nil }
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
        var deduplication = Deduplication.none
        var placedBy: LayoutVersion?
        var oldestSealed: Timestamp?
        for (place, chunk) in chunks.enumerated() {
            switch chunk.origin {
            case .shared: deduplication.shared.append(UInt16(place))
            case .stored(let layout, let sealed):
                // A chunk placed by an older layout makes the commit name that one.
                placedBy = min(placedBy ?? layout, layout)
                oldestSealed = min(oldestSealed ?? sealed, sealed)
                if let fingerprint = chunk.fingerprint {
                    deduplication.entries.append(
                        .init(position: UInt16(place), fingerprint: fingerprint))
                }
            }
        }
        self.init(
            .chunks(chunks.map(\.reference)), placedBy: placedBy ?? .none, sealedFor: version,
            oldestSealed: oldestSealed, deduplication: deduplication)
    }
}
