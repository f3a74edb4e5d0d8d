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

    /// Seals a frame into the front of `output`, which has room for the plain bytes and a tag and
    /// does not overlap them. Returns the sealed size.
    package func seal(
        _ plain: UnsafeRawBufferPointer, number: Int, isLast: Bool,
        _ compressor: inout FrameCompressor, into output: UnsafeMutableRawBufferPointer
    ) -> Int {
        let number = UInt64(number)
        switch compressor.compress(plain, into: output) {
        case .compressed(let size):
            return self.sealing.seal(
                UnsafeRawBufferPointer(rebasing: output[..<size]), number: number, isLast: isLast,
                plainBytes: plain.count, into: output)
        case .stored:
            return self.sealing.seal(plain, number: number, isLast: isLast, into: output)
        }
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
            count = plain.withUnsafeBytes {
                self.seal(
                    $0, number: 0, isLast: true, &compressor,
                    into: UnsafeMutableRawBufferPointer(output))
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
