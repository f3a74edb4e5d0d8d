import Primitives

/// The bytes of a segment: an append-only file of records.
///
/// A record begins on a 4 KiB boundary with a header of fixed fields and one checksum a frame; the
/// sealed frames follow at once; zeros pad to the next boundary. All numbers are little-endian.
///
///     offset  size  field
///          0     4  magic "HFch" (a chunk) or "HFtb" (a tombstone)
///          4     2  version, 1
///          6     2  frames, 0 in a tombstone
///          8     8  chunk name: incarnation
///         16     8  chunk name: counter
///         24     4  sealed bytes, 0 in a tombstone
///         28     4  zero
///         32   4*n  CRC-32C of each sealed frame
///     32 + 4n     4  CRC-32C over segment number (8 bytes), record offset (8 bytes) and the header
///
/// The checksum covers where the record stands, so that a misdirected write is not taken for data.
/// A store can scrub by the frames' checksums without any key.
package enum SegmentFormat {
    /// The largest a segment grows.
    package static let segmentBytes: UInt64 = 256 << 20
    /// Records begin on multiples of this.
    package static let alignment = 4096
    package static let version: UInt16 = 1
    package static let chunkMagic: UInt32 = 0x6863_4648
    package static let tombstoneMagic: UInt32 = 0x6274_4648
    static let fixedBytes = 32
    static let mostFrames = 256

    /// What a record is about.
    package struct Record: Equatable, Sendable {
        package let kind: Kind
        package let name: ChunkName
        /// CRC-32C of each sealed frame; empty in a tombstone.
        package let frameChecksums: [UInt32]
        package let sealedBytes: Int

        package init(chunk name: ChunkName, sealedBytes: Int, frameChecksums: [UInt32]) {
            self.kind = .chunk
            self.name = name
            self.sealedBytes = sealedBytes
            self.frameChecksums = frameChecksums
        }

        package init(tombstoneOf name: ChunkName) {
            self.kind = .tombstone
            self.name = name
            self.sealedBytes = 0
            self.frameChecksums = []
        }

        package var headerBytes: Int {
            SegmentFormat.fixedBytes + 4 * self.frameChecksums.count + 4
        }
        /// With the padding up to the next boundary.
        package var recordBytes: Int {
            Int(SegmentFormat.alignedUp(UInt64(self.headerBytes + self.sealedBytes)))
        }
    }

    /// The first boundary at or behind `offset`.
    package static func alignedUp(_ offset: UInt64) -> UInt64 {
        let alignment = UInt64(Self.alignment)
        return (offset + alignment - 1) / alignment * alignment
    }

    package enum Kind: Equatable, Sendable {
        case chunk
        /// The chunk was deleted by authority of a logged decision.
        case tombstone
    }

    /// The most bytes a header has.
    package static let mostHeaderBytes = Self.headerBytes(frameCount: Self.mostFrames)

    package static func headerBytes(frameCount: Int) -> Int { Self.fixedBytes + 4 * frameCount + 4 }

    /// The header of a record that stands at `offset` of segment `segment`.
    package static func header(
        of record: Record, segment: UInt64, offset: UInt64
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: record.headerBytes)
        writer.write(record.kind == .chunk ? Self.chunkMagic : Self.tombstoneMagic)
        writer.write(Self.version)
        writer.write(UInt16(record.frameChecksums.count))
        writer.write(record.name.incarnation)
        writer.write(record.name.counter)
        writer.write(UInt32(record.sealedBytes))
        writer.write(UInt32(0))
        for checksum in record.frameChecksums { writer.write(checksum) }
        writer.write(Self.checksum(of: writer.bytes[...], segment: segment, offset: offset))
        return writer.bytes
    }

    /// Reads the header at the start of `bytes`, which were read at `offset` of segment `segment`.
    /// `bytes` may end before the header does: then `.truncated`.
    package static func readHeader(
        _ bytes: ArraySlice<UInt8>, segment: UInt64, offset: UInt64
    ) throws(FormatFault) -> Record {
        var reader = ByteReader(bytes)
        let kind: Kind
        switch try reader.read(UInt32.self) {
        case Self.chunkMagic: kind = .chunk
        case Self.tombstoneMagic: kind = .tombstone
        default: throw .invalid(field: "magic", offset: 0)
        }
        let version = try reader.read(UInt16.self)
        guard version == Self.version else { throw .unknownVersion(Int(version)) }
        let frameCount = Int(try reader.read(UInt16.self))
        let name = ChunkName(incarnation: try reader.read(), counter: try reader.read())
        let sealedBytes = Int(try reader.read(UInt32.self))
        guard try reader.read(UInt32.self) == 0 else { throw .invalid(field: "zero", offset: 28) }
        guard frameCount <= Self.mostFrames else {
            throw .tooLarge(field: "frames", size: frameCount, limit: Self.mostFrames)
        }
        var checksums: [UInt32] = []
        for _ in 0..<frameCount { checksums.append(try reader.read()) }
        let covered = bytes[bytes.startIndex..<bytes.startIndex + reader.offset]
        let computed = Self.checksum(of: covered, segment: segment, offset: offset)
        let recorded: UInt32 = try reader.read()
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        switch kind {
        case .tombstone:
            guard frameCount == 0, sealedBytes == 0 else {
                throw .invalid(field: "frames", offset: 6)
            }
            return Record(tombstoneOf: name)
        case .chunk:
            guard SealedLayout(sealedBytes: sealedBytes)?.frameCount == frameCount else {
                throw .invalid(field: "sealed bytes", offset: 24)
            }
            return Record(chunk: name, sealedBytes: sealedBytes, frameChecksums: checksums)
        }
    }

    private static func checksum(
        of header: ArraySlice<UInt8>, segment: UInt64, offset: UInt64
    ) -> UInt32 {
        var place = ByteWriter(capacity: 16)
        place.write(segment)
        place.write(offset)
        return CRC32C.of(header, after: CRC32C.of(place.bytes))
    }
}
