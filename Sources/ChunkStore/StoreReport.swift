import Primitives

/// What a store's directory holds, and what of it is not as it should be.
package struct StoreReport: Equatable, Sendable {
    /// A chunk whose record is not what was written.
    package struct BadChunk: Equatable, Sendable {
        package let name: ChunkName
        package let segment: UInt64
        package let offset: UInt64
        /// Frames whose checksum does not hold; empty where no record of the chunk stands there.
        package let frames: [Int]

        package init(name: ChunkName, segment: UInt64, offset: UInt64, frames: [Int]) {
            self.name = name
            self.segment = segment
            self.offset = offset
            self.frames = frames
        }
    }

    /// Bad chunks that are named; all are counted.
    package static let mostNamed = 1000

    package var segments = 0
    /// Chunk records whose header holds.
    package var records = 0
    /// Of those: that are read.
    package var live = 0
    /// Of those: deleted or replaced, and not yet given back.
    package var void = 0
    /// Of those: the last of its segment, behind the index, and a frame does not hold. So a process
    /// that dies leaves what it was writing, which nobody was promised: no damage.
    package var torn = 0
    /// Chunks that stand in tombstones.
    package var tombstones = 0
    /// Live chunks with a bad frame or without a record.
    package var badChunks = 0
    package var badFrames = 0
    /// Records that should have a row of the index and have none.
    package var rowsMissing = 0
    /// Rows of the index for chunks that no record, or a tombstone, stands for.
    package var rowsSurplus = 0
    /// Records and tombstones that the next start will enter into the index.
    package var notYetIndexed = 0
    /// False where there is none: the next start makes it anew.
    package var hasIndex = true
    /// In the order they were found.
    package var bad: [BadChunk] = []

    package init() {}

    package var isSound: Bool {
        self.badChunks == 0 && self.rowsMissing == 0 && self.rowsSurplus == 0
    }

    mutating func isBad(
        _ name: ChunkName, _ position: ChunkIndex.Position, frames: [Int]
    ) {
        self.badChunks += 1
        self.badFrames += frames.count
        guard self.bad.count < Self.mostNamed else { return }
        self.bad.append(
            BadChunk(
                name: name, segment: position.segment, offset: position.offset, frames: frames))
    }
}
