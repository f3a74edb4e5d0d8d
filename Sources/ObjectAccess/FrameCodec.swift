import Cryptography
import Primitives

/// From plain bytes to a frame at rest and back: compressed where that pays, then sealed. Chunks and
/// objects that rest inside their manifests alike.
///
/// A sealed frame tells by its size alone what it is. As long as its plain bytes and a tag: they were
/// stored as they are. Shorter: zstd (RFC 8878, one frame that states its content's size) between the
/// two, and the plain size is authenticated. Whoever opens a frame knows how many plain bytes belong
/// in its place, and gets just so many or none.
package struct FrameCodec: Sendable {
    /// The most plain bytes a frame holds.
    package static let frameBytes = FrameSealing.frameSizeBytes
    /// What sealing adds.
    package static let tagBytes = FrameSealing.overheadBytes

    private let sealing: FrameSealing

    package init(chunk: ChunkName, bucketKey: SymmetricKey) {
        self.sealing = FrameSealing(bucketKey: bucketKey, chunk: chunk)
    }

    /// Seals a frame into the front of `output`, which has room for the plain bytes and a tag, and
    /// may begin where they do or before them. Returns the sealed size.
    ///
    /// - Parameter scratch: as long as the plain bytes, and apart from them and from `output`.
    package func seal(
        _ plain: UnsafeRawBufferPointer, number: Int, isLast: Bool,
        _ compressor: inout FrameCompressor, scratch: UnsafeMutableRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        let number = UInt64(number)
        switch compressor.compress(plain, into: scratch) {
        case .compressed(let size):
            return self.sealing.seal(
                UnsafeRawBufferPointer(rebasing: scratch[..<size]), number: number, isLast: isLast,
                plainBytes: plain.count, into: output)
        case .stored:
            if Self.overlap(plain, output) {
                // The cipher takes bytes in place or from elsewhere, nothing between.
                scratch.copyMemory(from: plain)
                return self.sealing.seal(
                    UnsafeRawBufferPointer(rebasing: scratch[..<plain.count]), number: number,
                    isLast: isLast, into: output)
            }
            return self.sealing.seal(plain, number: number, isLast: isLast, into: output)
        }
    }

    /// Whether the two overlap without beginning at the same place.
    private static func overlap(
        _ plain: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard let from = plain.baseAddress, let to = output.baseAddress else { return false }
        let sealed = UnsafeRawPointer(to)
        return sealed != from && sealed < from + plain.count
            && from < sealed + plain.count + Self.tagBytes
    }

    /// Opens a frame into `plain`, which it fills. False when these are not just the bytes that were
    /// sealed as this frame, or they do not come to just so many plain bytes; what `plain` holds must
    /// not be read then.
    package func open(
        _ sealed: UnsafeRawBufferPointer, number: Int, isLast: Bool,
        into plain: UnsafeMutableRawBufferPointer
    ) -> Bool {
        let number = UInt64(number)
        let contentBytes = sealed.count - Self.tagBytes
        guard plain.count <= Self.frameBytes, contentBytes <= plain.count else { return false }
        if contentBytes == plain.count {
            return self.sealing.open(sealed, number: number, isLast: isLast, into: plain)
                == plain.count
        }
        guard contentBytes > 0 else { return false }
        return withUnsafeTemporaryAllocation(byteCount: contentBytes, alignment: 16) { compressed in
            self.sealing.open(
                sealed, number: number, isLast: isLast, plainBytes: plain.count, into: compressed)
                == contentBytes
                && FrameCompressor.decompress(UnsafeRawBufferPointer(compressed), into: plain)
        }
    }
}

/// Bytes that rest sealed inside their manifest: one frame under a chunk's name of its own.
extension FrameCodec {
    package func sealWhole(_ plain: [UInt8], isCompressing: Bool) -> [UInt8] {
        var compressor = FrameCompressor(isOn: isCompressing)
        let room = plain.count + Self.tagBytes
        return [UInt8](unsafeUninitializedCapacity: room) { output, count in
            count = plain.withUnsafeBytes { plain in
                withUnsafeTemporaryAllocation(byteCount: plain.count, alignment: 16) { scratch in
                    self.seal(
                        plain, number: 0, isLast: true, &compressor, scratch: scratch,
                        into: UnsafeMutableRawBufferPointer(output))
                }
            }
        }
    }

    /// Nil when these are not what was sealed, or not `plainBytes` of it.
    package func openWhole(_ sealed: [UInt8], plainBytes: Int) -> [UInt8]? {
        guard (0...Self.frameBytes).contains(plainBytes) else { return nil }
        var isOpen = false
        let plain = [UInt8](unsafeUninitializedCapacity: plainBytes) { output, count in
            isOpen = sealed.withUnsafeBytes {
                self.open(
                    $0, number: 0, isLast: true,
                    into: UnsafeMutableRawBufferPointer(output))
            }
            count = isOpen ? plainBytes : 0
        }
        return isOpen ? plain : nil
    }
}
