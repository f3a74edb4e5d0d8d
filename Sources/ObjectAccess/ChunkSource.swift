import Catalog
import Primitives

/// Chunks of one version that follow each other.
package struct ChunkRun: Sendable {
    /// Where in the object the first of them begins.
    package let start: UInt64
    package let chunks: [ChunkReference]

    package init(start: UInt64, chunks: [ChunkReference]) {
        self.start = start
        self.chunks = chunks
    }
}

/// Where a reader learns which chunks a version has: a run at a time, so that one of fifty thousand
/// chunks need not be in memory as a whole.
package protocol ChunkSource: Sendable {
    /// The run that holds the byte at `position`, which is below the version's size.
    func run(
        at position: UInt64, deadline: Instant
    ) async throws(AccessFault) -> ChunkRun
}

/// All chunks of a version, as its manifest lists them.
struct ListedChunks: ChunkSource {
    let chunks: [ChunkReference]

    func run(at position: UInt64, deadline: Instant) async throws(AccessFault) -> ChunkRun {
        ChunkRun(start: 0, chunks: self.chunks)
    }
}

/// Finds the blocks of an object that positions lie in; moves forward only.
struct BlockWalk: Sendable {
    /// A block, or as much of one as its chunk has.
    struct Place: Sendable {
        let chunk: ChunkReference
        /// Counts blocks from the chunk's start.
        let block: Int
        /// Positions of the object.
        let range: Range<UInt64>

        var key: BlockCache.Key { .init(chunk: self.chunk.name, block: self.block) }
    }

    private let run: ChunkRun
    private var index = 0
    private var start: UInt64

    init(_ run: ChunkRun) {
        self.run = run
        self.start = run.start
    }

    /// The block that holds `position`; nil behind the end of the run, or before what was passed.
    mutating func place(at position: UInt64) -> Place? {
        guard position >= self.start else { return nil }
        while self.index < self.run.chunks.count {
            let chunk = self.run.chunks[self.index]
            let end = self.start + UInt64(chunk.plainLength)
            if position < end {
                let blockBytes = UInt64(BlockCache.blockBytes)
                let block = (position - self.start) / blockBytes
                let blockStart = self.start + block * blockBytes
                return Place(
                    chunk: chunk, block: Int(block),
                    range: blockStart..<min(blockStart + blockBytes, end))
            }
            self.start = end
            self.index += 1
        }
        return nil
    }
}
