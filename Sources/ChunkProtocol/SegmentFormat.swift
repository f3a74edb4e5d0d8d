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
///         24     4  sealed bytes of all frames, 0 in a tombstone
///         28     2  slot of the bucket that the chunk belongs to
///         30     2  zero
///         32     8  stored at: milliseconds since 1970 by the store's own clock
///         40   8*n  for each frame: CRC-32C of its sealed bytes (4), their number (4)
///     40 + 8n     4  CRC-32C over segment number (8 bytes), record offset (8 bytes) and the header
///
/// A frame may be compressed before it is sealed, so each has a length of its own: 17...65,552.
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
    static let fixedBytes = 40
    static let mostFrames = 256

    /// What a record is about.
    package struct Record: Equatable, Sendable {
        package let kind: Kind
        package let name: ChunkName
        /// Of the chunk's bucket: says which group counts the references to the chunk.
        package let slot: Slot
        /// When the chunk came, or was deleted, by the wall clock of the store.
        package let storedAt: Timestamp
        /// Empty in a tombstone.
        package let frames: [SealedFrame]
        package let sealedBytes: Int

        package init(chunk name: ChunkName, slot: Slot, storedAt: Timestamp, frames: [SealedFrame])
        {
            self.kind = .chunk
            self.name = name
            self.slot = slot
            self.storedAt = storedAt
            self.frames = frames
            self.sealedBytes = frames.sealedBytes
        }

        package init(tombstoneOf name: ChunkName, slot: Slot, storedAt: Timestamp) {
            self.kind = .tombstone
            self.name = name
            self.slot = slot
            self.storedAt = storedAt
            self.frames = []
            self.sealedBytes = 0
        }

        package var headerBytes: Int {
            SegmentFormat.headerBytes(frameCount: self.frames.count)
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

    package static func headerBytes(frameCount: Int) -> Int { Self.fixedBytes + 8 * frameCount + 4 }

    /// The header of a record that stands at `offset` of segment `segment`.
    package static func header(
        of record: Record, segment: UInt64, offset: UInt64
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: record.headerBytes)
        writer.write(record.kind == .chunk ? Self.chunkMagic : Self.tombstoneMagic)
        writer.write(Self.version)
        writer.write(UInt16(record.frames.count))
        writer.write(record.name.incarnation)
        writer.write(record.name.counter)
        writer.write(UInt32(record.sealedBytes))
        writer.write(record.slot.rawValue)
        writer.write(UInt16(0))
        writer.write(record.storedAt.milliseconds)
        for frame in record.frames { frame.encode(into: &writer) }
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
        let slot = Slot(rawValue: try reader.read())
        guard try reader.read(UInt16.self) == 0 else { throw .invalid(field: "zero", offset: 30) }
        let storedAt = Timestamp(milliseconds: try reader.read())
        guard frameCount <= Self.mostFrames else {
            throw .tooLarge(field: "frames", size: frameCount, limit: Self.mostFrames)
        }
        var frames: [SealedFrame] = []
        frames.reserveCapacity(frameCount)
        for _ in 0..<frameCount { frames.append(try SealedFrame(from: &reader)) }
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
            return Record(tombstoneOf: name, slot: slot, storedAt: storedAt)
        case .chunk:
            guard frameCount > 0 else { throw .invalid(field: "frames", offset: 6) }
            guard frames.sealedBytes == sealedBytes else {
                throw .invalid(field: "sealed bytes", offset: 24)
            }
            return Record(chunk: name, slot: slot, storedAt: storedAt, frames: frames)
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
