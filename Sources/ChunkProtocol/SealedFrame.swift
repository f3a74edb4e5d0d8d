import Primitives

/// One sealed frame of a chunk, as stores know it: they hold no key, and check it by its checksum.
///
/// Frames have lengths of their own, because each may be compressed before it is sealed.
package struct SealedFrame: Equatable, Sendable {
    /// With the tag.
    package let sealedBytes: UInt32
    /// CRC-32C of the sealed bytes, computed once where the chunk was sealed.
    package let checksum: UInt32

    /// The lengths that a sealed frame can have: a byte and its tag, up to a whole frame and its tag.
    package static let lengths: ClosedRange<UInt32> =
        UInt32(
            SealedLayout.tagBytes + 1)...UInt32(
            SealedLayout.frameBytes + SealedLayout.tagBytes)

    package init(sealedBytes: UInt32, checksum: UInt32) {
        self.sealedBytes = sealedBytes
        self.checksum = checksum
    }

    package init(_ sealed: UnsafeRawBufferPointer) {
        self.init(sealedBytes: UInt32(sealed.count), checksum: CRC32C.of(sealed))
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(self.checksum)
        writer.write(self.sealedBytes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.checksum = try reader.read()
        self.sealedBytes = try reader.read()
        guard Self.lengths.contains(self.sealedBytes) else {
            throw .invalid(field: "sealed bytes of a frame", offset: reader.offset - 4)
        }
    }
}

extension Array<SealedFrame> {
    /// Of all frames together.
    package var sealedBytes: Int { self.reduce(0) { $0 + Int($1.sealedBytes) } }

    /// Where a run of frames lies in the sealed chunk.
    package func sealedRange(ofFrames run: Range<Int>) -> Range<Int> {
        let start = self[..<run.lowerBound].reduce(0) { $0 + Int($1.sealedBytes) }
        return start..<self[run].reduce(start) { $0 + Int($1.sealedBytes) }
    }
}
