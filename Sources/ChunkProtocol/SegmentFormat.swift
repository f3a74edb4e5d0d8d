import Primitives

/// The bytes of a segment: an append-only file of records.
///
/// A record begins on a 4 KiB boundary. All numbers are little-endian; every header ends with a
/// checksum that covers where the record stands, so that a misdirected write is not taken for data.
/// What stands between the end of a record and the next boundary means nothing.
///
/// A **chunk**: a header of fixed fields and eight bytes a frame; the sealed frames follow at once.
/// A frame may be compressed before it is sealed, so each has a length of its own: 17...65,552.
/// A store can scrub by the frames' checksums without any key.
///
///     offset  size  field
///          0     4  magic "HFch"
///          4     2  version, 1
///          6     2  frames n, 1...256
///          8     8  chunk name: incarnation
///         16     8  chunk name: counter
///         24     4  sealed bytes of all frames
///         28     2  slot of the bucket that the chunk belongs to
///         30     2  zero
///         32     8  stored at: milliseconds since 1970 by the store's own clock
///         40   8*n  for each frame: CRC-32C of its sealed bytes (4), their number (4)
///     40 + 8n     4  CRC-32C over segment number (8 bytes), record offset (8 bytes) and the header
///     44 + 8n        the sealed frames, one behind the other
///
/// **Tombstones**: chunks that were deleted by authority of a logged decision. Every record of these
/// chunks that stands before this one, in this segment or in one of a lower number, is void.
///
///     offset  size  field
///          0     4  magic "HFtb"
///          4     2  version, 1
///          6     2  chunks n, 1...200
///          8     8  deleted at: milliseconds since 1970 by the store's own clock
///         16  18*n  for each chunk: incarnation (8), counter (8), slot (2)
///     16 + 18n    4  CRC-32C over segment number (8 bytes), record offset (8 bytes) and the header
///
/// A segment's number is its file's name in hexadecimal, sixteen digits, `.segment` behind.
package enum SegmentFormat {
    /// The largest a segment grows.
    package static let segmentBytes: UInt64 = 256 << 20
    /// Records begin on multiples of this.
    package static let alignment = 4096
    package static let version: UInt16 = 1
    package static let chunkMagic: UInt32 = 0x6863_4648
    package static let tombstoneMagic: UInt32 = 0x6274_4648
    package static let mostFrames = 256
    /// So that a record of tombstones fills one block.
    package static let mostTombstones = 200

    private static let fixedChunkBytes = 40
    private static let fixedTombstoneBytes = 16
    private static let tombstoneBytes = 18

    /// What stands at a boundary.
    package enum Header: Equatable, Sendable {
        case chunk(Record)
        case tombstones(Tombstones)

        /// With the padding up to the next boundary.
        package var recordBytes: Int {
            switch self {
            case .chunk(let record): record.recordBytes
            case .tombstones: SegmentFormat.alignment
            }
        }
    }

    /// The record of a chunk.
    package struct Record: Equatable, Sendable {
        package let name: ChunkName
        /// Of the chunk's bucket: says which group counts the references to the chunk.
        package let slot: Slot
        /// When the chunk came, by the wall clock of the store.
        package let storedAt: Timestamp
        package let frames: [SealedFrame]
        package let sealedBytes: Int

        package init(chunk name: ChunkName, slot: Slot, storedAt: Timestamp, frames: [SealedFrame])
        {
            self.name = name
            self.slot = slot
            self.storedAt = storedAt
            self.frames = frames
            self.sealedBytes = frames.sealedBytes
        }

        package var headerBytes: Int {
            SegmentFormat.headerBytes(frameCount: self.frames.count)
        }
        /// With the padding up to the next boundary.
        package var recordBytes: Int {
            SegmentFormat.recordBytes(
                frameCount: self.frames.count, sealedBytes: self.sealedBytes)
        }
    }

    /// A record of deletions.
    package struct Tombstones: Equatable, Sendable {
        package struct Chunk: Equatable, Sendable {
            package let name: ChunkName
            package let slot: Slot
            package init(name: ChunkName, slot: Slot) {
                self.name = name
                self.slot = slot
            }
        }

        package let deletedAt: Timestamp
        package let chunks: [Chunk]

        /// - Parameter chunks: 1...`mostTombstones`.
        package init(deletedAt: Timestamp, chunks: [Chunk]) {
            self.deletedAt = deletedAt
            self.chunks = chunks
        }
    }

    /// The first boundary at or behind `offset`.
    package static func alignedUp(_ offset: UInt64) -> UInt64 {
        let alignment = UInt64(Self.alignment)
        return (offset + alignment - 1) / alignment * alignment
    }

    /// What a chunk's header has.
    package static func headerBytes(frameCount: Int) -> Int {
        Self.fixedChunkBytes + 8 * frameCount + 4
    }

    /// What a chunk's record takes, up to the next boundary.
    package static func recordBytes(frameCount: Int, sealedBytes: Int) -> Int {
        Int(Self.alignedUp(UInt64(Self.headerBytes(frameCount: frameCount) + sealedBytes)))
    }

    /// The most bytes a header has, of either kind.
    package static let mostHeaderBytes = max(
        Self.headerBytes(frameCount: Self.mostFrames),
        Self.fixedTombstoneBytes + Self.tombstoneBytes * Self.mostTombstones + 4)
}

// MARK: - Writing

extension SegmentFormat {
    /// The header of a chunk's record that stands at `offset` of segment `segment`.
    package static func header(of record: Record, segment: UInt64, offset: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: record.headerBytes)
        writer.write(Self.chunkMagic)
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

    /// A whole record of tombstones that stands at `offset` of segment `segment`.
    package static func record(
        of tombstones: Tombstones, segment: UInt64, offset: UInt64
    ) -> [UInt8] {
        invariant(
            (1...Self.mostTombstones).contains(tombstones.chunks.count),
            "a record has 1...\(Self.mostTombstones) tombstones, not \(tombstones.chunks.count)")
        var writer = ByteWriter(capacity: Self.alignment)
        writer.write(Self.tombstoneMagic)
        writer.write(Self.version)
        writer.write(UInt16(tombstones.chunks.count))
        writer.write(tombstones.deletedAt.milliseconds)
        for chunk in tombstones.chunks {
            writer.write(chunk.name.incarnation)
            writer.write(chunk.name.counter)
            writer.write(chunk.slot.rawValue)
        }
        writer.write(Self.checksum(of: writer.bytes[...], segment: segment, offset: offset))
        writer.writeRaw([UInt8](repeating: 0, count: Self.alignment - writer.bytes.count))
        return writer.bytes
    }
}

// MARK: - Reading

extension SegmentFormat {
    /// Reads the header at the start of `bytes`, which were read at `offset` of segment `segment`.
    /// `bytes` may end before the header does: then `.truncated`.
    package static func readHeader(
        _ bytes: ArraySlice<UInt8>, segment: UInt64, offset: UInt64
    ) throws(FormatFault) -> Header {
        var reader = ByteReader(bytes)
        let magic = try reader.read(UInt32.self)
        guard magic == Self.chunkMagic || magic == Self.tombstoneMagic else {
            throw .invalid(field: "magic", offset: 0)
        }
        let version = try reader.read(UInt16.self)
        guard version == Self.version else { throw .unknownVersion(Int(version)) }
        let header: Header =
            magic == Self.chunkMagic
            ? .chunk(try Self.readRecord(&reader)) : .tombstones(try Self.readTombstones(&reader))
        let covered = bytes[bytes.startIndex..<bytes.startIndex + reader.offset]
        let computed = Self.checksum(of: covered, segment: segment, offset: offset)
        let recorded: UInt32 = try reader.read()
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        return header
    }

    private static func readRecord(_ reader: inout ByteReader) throws(FormatFault) -> Record {
        let count = try Self.readCount(&reader, most: Self.mostFrames)
        let name = ChunkName(incarnation: try reader.read(), counter: try reader.read())
        let sealedBytes = Int(try reader.read(UInt32.self))
        let slot = Slot(rawValue: try reader.read())
        guard try reader.read(UInt16.self) == 0 else { throw .invalid(field: "zero", offset: 30) }
        let storedAt = Timestamp(milliseconds: try reader.read())
        var frames: [SealedFrame] = []
        frames.reserveCapacity(count)
        for _ in 0..<count { frames.append(try SealedFrame(from: &reader)) }
        guard frames.sealedBytes == sealedBytes else {
            throw .invalid(field: "sealed bytes", offset: 24)
        }
        return Record(chunk: name, slot: slot, storedAt: storedAt, frames: frames)
    }

    private static func readTombstones(
        _ reader: inout ByteReader
    ) throws(FormatFault) -> Tombstones {
        let count = try Self.readCount(&reader, most: Self.mostTombstones)
        let deletedAt = Timestamp(milliseconds: try reader.read())
        var chunks: [Tombstones.Chunk] = []
        chunks.reserveCapacity(count)
        for _ in 0..<count {
            chunks.append(
                Tombstones.Chunk(
                    name: ChunkName(incarnation: try reader.read(), counter: try reader.read()),
                    slot: Slot(rawValue: try reader.read())))
        }
        return Tombstones(deletedAt: deletedAt, chunks: chunks)
    }

    private static func readCount(
        _ reader: inout ByteReader, most: Int
    ) throws(FormatFault) -> Int {
        let count = Int(try reader.read(UInt16.self))
        guard count > 0 else { throw .invalid(field: "count", offset: 6) }
        guard count <= most else { throw .tooLarge(field: "count", size: count, limit: most) }
        return count
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
