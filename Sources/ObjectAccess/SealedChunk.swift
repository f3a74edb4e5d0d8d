import ChunkProtocol
import Cryptography
import Primitives

/// A chunk as stores hold it. Sealed once; every copy and every retry sends these same bytes.
package struct SealedChunk: Sendable {
    package let name: ChunkName
    package let plainBytes: Int
    /// The sealed frames, one behind the other, in pieces of whole frames.
    package let sealed: [[UInt8]]
    package let frames: [SealedFrame]
    package let sealedBytes: Int

    /// What compressing its frames has taken off it.
    package var savedBytes: Int {
        self.plainBytes + self.frames.count * SealedLayout.tagBytes - self.sealedBytes
    }

    init(name: ChunkName, plainBytes: Int, sealed: [[UInt8]], frames: [SealedFrame]) {
        self.name = name
        self.plainBytes = plainBytes
        self.sealed = sealed
        self.frames = frames
        self.sealedBytes = frames.sealedBytes
    }

    /// Seals 1...16 MiB of plain bytes.
    ///
    /// - Parameter isCompressing: whether frames are compressed where that pays.
    package init(
        _ plain: [UInt8], name: ChunkName, bucketKey: SymmetricKey, isCompressing: Bool = true
    ) {
        var draft = ChunkDraft(plain)
        self = draft.seal(name, bucketKey: bucketKey, isCompressing: isCompressing)
    }
}
