import Primitives

/// How a chunk's plain bytes are cut into frames: 64 KiB each, compressed where that pays, sealed
/// alone and followed by its tag, one behind the other. A range of plain bytes touches only its
/// frames; where those lie in the sealed form their `SealedFrame`s say.
package struct SealedLayout: Equatable, Sendable {
    /// Plain bytes of a frame; only the last may hold fewer.
    package static let frameBytes = 65_536
    /// The authentication tag behind each frame (AES-256-GCM).
    package static let tagBytes = 16
    /// The most plain bytes a chunk holds.
    package static let largestChunkBytes = 16 << 20
    /// Where the edge cuts a body that states no chunks of its own.
    package static let usualChunkBytes = 8 << 20

    package let plainBytes: Int

    /// - Parameter plainBytes: 1...`largestChunkBytes`; an empty object has no chunk.
    package init?(plainBytes: Int) {
        guard (1...Self.largestChunkBytes).contains(plainBytes) else { return nil }
        self.plainBytes = plainBytes
    }

    package var frameCount: Int { (self.plainBytes + Self.frameBytes - 1) / Self.frameBytes }
    /// What the sealed form takes when no frame is compressed; it never takes more.
    package var mostSealedBytes: Int { self.plainBytes + self.frameCount * Self.tagBytes }

    /// Where the plain bytes of frame `index` lie in the chunk.
    package func plainRange(ofFrame index: Int) -> Range<Int> {
        let start = index * Self.frameBytes
        return start..<min(start + Self.frameBytes, self.plainBytes)
    }

    /// The frames that hold the plain bytes of `range`, which is clamped to the chunk.
    package func frames(covering range: Range<Int>) -> Range<Int> {
        let inside = range.clamped(to: 0..<self.plainBytes)
        guard !inside.isEmpty else { return 0..<0 }
        return inside.lowerBound / Self.frameBytes..<(inside.upperBound - 1) / Self.frameBytes + 1
    }
}
