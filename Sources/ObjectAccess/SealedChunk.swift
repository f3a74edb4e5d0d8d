import ChunkProtocol
import Cryptography
import Primitives

/// A chunk as stores hold it. Sealed once; every copy and every retry sends these same bytes.
package struct SealedChunk: Sendable {
    package let name: ChunkName
    package let plainBytes: Int
    /// The sealed frames, one behind the other.
    package let sealed: [UInt8]
    /// CRC-32C of each sealed frame.
    package let frameChecksums: [UInt32]

    /// Seals 1...16 MiB of plain bytes.
    package init(_ plain: [UInt8], name: ChunkName, bucketKey: SymmetricKey) {
        guard let layout = SealedLayout(plainBytes: plain.count) else {
            brokenInvariant("a chunk has 1 byte to 16 MiB, not \(plain.count)")
        }
        let sealing = FrameSealing(bucketKey: bucketKey, chunk: name)
        var checksums: [UInt32] = []
        checksums.reserveCapacity(layout.frameCount)
        self.sealed = [UInt8](unsafeUninitializedCapacity: layout.sealedBytes) { output, count in
            plain.withUnsafeBytes { input in
                for frame in 0..<layout.frameCount {
                    let from = UnsafeRawBufferPointer(
                        rebasing: input[layout.plainRange(ofFrame: frame)])
                    let to = UnsafeMutableRawBufferPointer(
                        rebasing: UnsafeMutableRawBufferPointer(output)[
                            layout.sealedRange(ofFrame: frame)])
                    _ = sealing.seal(
                        from, number: UInt64(frame), isLast: frame == layout.frameCount - 1,
                        into: to)
                    checksums.append(CRC32C.of(UnsafeRawBufferPointer(to)))
                }
            }
            count = layout.sealedBytes
        }
        self.name = name
        self.plainBytes = plain.count
        self.frameChecksums = checksums
    }

    /// Opens a run of frames into plain bytes. Nothing leaves unless every tag holds.
    ///
    /// - Parameter sealed: just those frames, sealed.
    package static func open(
        _ sealed: [UInt8], frames: Range<Int>, of layout: SealedLayout, name: ChunkName,
        bucketKey: SymmetricKey
    ) throws(ChunkFault) -> [UInt8] {
        let sealedRange = layout.sealedRange(ofFrames: frames)
        guard sealed.count == sealedRange.count else {
            throw .notAuthentic(name, frame: frames.lowerBound)
        }
        let sealing = FrameSealing(bucketKey: bucketKey, chunk: name)
        let plainBytes = frames.reduce(0) { $0 + layout.plainRange(ofFrame: $1).count }
        var failed: Int?
        let plain = [UInt8](unsafeUninitializedCapacity: plainBytes) { output, count in
            sealed.withUnsafeBytes { input in
                var written = 0
                for frame in frames {
                    let range = layout.sealedRange(ofFrame: frame)
                    let start = range.lowerBound - sealedRange.lowerBound
                    let from = UnsafeRawBufferPointer(
                        rebasing: input[start..<start + range.count])
                    let to = UnsafeMutableRawBufferPointer(
                        rebasing: UnsafeMutableRawBufferPointer(output)[written...])
                    guard
                        let opened = sealing.open(
                            from, number: UInt64(frame), isLast: frame == layout.frameCount - 1,
                            into: to)
                    else {
                        failed = frame
                        return
                    }
                    written += opened
                }
                count = written
            }
        }
        if let failed { throw .notAuthentic(name, frame: failed) }
        return plain
    }
}
