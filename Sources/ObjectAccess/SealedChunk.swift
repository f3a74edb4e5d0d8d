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

    /// Opens a run of frames into plain bytes. Nothing leaves unless every tag holds, and every
    /// frame has the plain length that its place demands.
    ///
    /// - Parameters:
    ///   - sealed: just those frames, sealed.
    ///   - lengths: of each of them, sealed.
    package static func open(
        _ sealed: [UInt8], lengths: [UInt32], frames: Range<Int>, of layout: SealedLayout,
        name: ChunkName, bucketKey: SymmetricKey
    ) throws(ChunkFault) -> [UInt8] {
        guard
            lengths.count == frames.count, sealed.count == lengths.reduce(0, { $0 + Int($1) }),
            frames.upperBound <= layout.frameCount
        else { throw .notAuthentic(name, frame: frames.lowerBound) }
        let codec = FrameCodec(chunk: name, bucketKey: bucketKey)
        let plainBytes = frames.reduce(0) { $0 + layout.plainRange(ofFrame: $1).count }
        var failed: Int?
        let plain = [UInt8](unsafeUninitializedCapacity: plainBytes) { output, count in
            sealed.withUnsafeBytes { input in
                var start = 0
                for (frame, length) in zip(frames, lengths) {
                    let from = UnsafeRawBufferPointer(rebasing: input[start..<start + Int(length)])
                    let wanted = layout.plainRange(ofFrame: frame).count
                    let to = UnsafeMutableRawBufferPointer(
                        rebasing: UnsafeMutableRawBufferPointer(output)[count..<count + wanted])
                    guard
                        codec.open(
                            from, number: frame, isLast: frame == layout.frameCount - 1, into: to)
                    else {
                        failed = frame
                        return
                    }
                    start += from.count
                    count += wanted
                }
            }
        }
        if let failed { throw .notAuthentic(name, frame: failed) }
        return plain
    }
}
