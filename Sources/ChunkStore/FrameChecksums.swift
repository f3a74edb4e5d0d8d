import ChunkProtocol
import Primitives

/// The checksums of sealed frames that lie across pieces of a body.
package enum FrameChecksums {
    /// The first frame that is not what its checksum says; nil when all are, and the body holds
    /// nothing else.
    package static func firstMismatch(in pieces: [[UInt8]], _ frames: [SealedFrame]) -> Int? {
        if let bad = Self.check(pieces, frames).firstIndex(of: false) { return bad }
        let isExact = pieces.reduce(0) { $0 + $1.count } == frames.sealedBytes
        return isExact ? nil : frames.count
    }

    /// For each frame whether it is what its checksum says; one that is not all there is not.
    package static func check(_ pieces: [[UInt8]], _ frames: [SealedFrame]) -> [Bool] {
        let computed = Self.of(pieces, lengths: frames.map { Int($0.sealedBytes) })
        return frames.indices.map { $0 < computed.count && computed[$0] == frames[$0] }
    }

    /// The frames that a body holds: as many as are all there.
    package static func of(_ pieces: [[UInt8]], lengths: [Int]) -> [SealedFrame] {
        var frames: [SealedFrame] = []
        frames.reserveCapacity(lengths.count)
        var current: UInt32 = 0
        var filled = 0
        for piece in pieces {
            piece.withUnsafeBytes { bytes in
                var position = 0
                while position < bytes.count, frames.count < lengths.count {
                    let length = lengths[frames.count]
                    let count = min(length - filled, bytes.count - position)
                    let part = UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
                    current = CRC32C.of(part, after: current)
                    filled += count
                    position += count
                    if filled == length {
                        frames.append(SealedFrame(sealedBytes: UInt32(length), checksum: current))
                        current = 0
                        filled = 0
                    }
                }
            }
        }
        return frames
    }
}
