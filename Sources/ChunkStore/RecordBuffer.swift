import ChunkProtocol
import IORuntime
import Primitives
import Synchronization

/// Where one record is laid out as it will stand in its segment, so that the device takes it from
/// here in one piece, past the system's cache. The sealed frames are copied once, out of the pieces
/// that they arrived in, and summed up while they are at hand.
///
/// A store has one, because it has one writer; the lock is never waited for.
final class RecordBuffer: Sendable {
    /// Smaller records are written through the system's cache, which gathers them up to the sync.
    static let leastRecordBytes = 128 << 10

    private struct Layout {
        /// As large as the largest record so far.
        var blocks: BlockBuffer?
        var record: SegmentFormat.Record?
    }

    private let layout = Mutex(Layout())

    /// Lays out everything of a record but its header.
    ///
    /// - Returns: the first frame that is not what its checksum says, or the number of frames where
    ///   the body holds something else beside them; nil when all is well.
    func lay(_ record: SegmentFormat.Record, _ body: [[UInt8]]) -> Int? {
        self.layout.withLock { layout in
            layout.record = nil
            let space = Self.space(&layout, of: record)
            let sealed = UnsafeMutableRawBufferPointer(
                rebasing: space[record.headerBytes...].prefix(record.sealedBytes))
            if let bad = Self.firstMismatch(gathering: body, into: sealed, record.frames) {
                return bad
            }
            let padding = space[(record.headerBytes + record.sealedBytes)..<record.recordBytes]
            UnsafeMutableRawBufferPointer(rebasing: padding)
                .initializeMemory(as: UInt8.self, repeating: 0)
            layout.record = record
            return nil
        }
    }

    private static func space(
        _ layout: inout Layout, of record: SegmentFormat.Record
    ) -> UnsafeMutableRawBufferPointer {
        if let blocks = layout.blocks, blocks.bytes.count >= record.recordBytes {
            return blocks.bytes
        }
        let blocks = BlockBuffer(capacityBytes: record.recordBytes)
        layout.blocks = blocks
        return blocks.bytes
    }

    /// Copies frame by frame, so that each is summed up while the processor's cache still has it.
    private static func firstMismatch(
        gathering body: [[UInt8]], into sealed: UnsafeMutableRawBufferPointer,
        _ frames: [SealedFrame]
    ) -> Int? {
        var source = GatheredBytes(body)
        var start = 0
        for (number, frame) in frames.enumerated() {
            let room = UnsafeMutableRawBufferPointer(
                rebasing: sealed[start..<start + Int(frame.sealedBytes)])
            guard source.copyNext(into: room),
                CRC32C.of(UnsafeRawBufferPointer(room)) == frame.checksum
            else {
                return number
            }
            start += room.count
        }
        return source.remainingBytes == 0 ? nil : frames.count
    }

    /// Writes the record with its header in front; false when it was not the one laid out last.
    func write(
        _ record: SegmentFormat.Record, _ header: [UInt8], to file: any File, at offset: UInt64
    ) throws(FileFault) -> Bool {
        let result = self.layout.withLock { layout -> Result<Bool, FileFault> in
            guard layout.record == record, let blocks = layout.blocks else {
                return .success(false)
            }
            invariant(header.count == record.headerBytes, "the header fits in front of the body")
            blocks.bytes.copyBytes(from: header)
            let whole = UnsafeRawBufferPointer(rebasing: blocks.bytes[..<record.recordBytes])
            do throws(FileFault) {
                try file.writeBlocks(whole, at: offset)
                return .success(true)
            } catch { return .failure(error) }
        }
        return try result.get()
    }
}

/// Reads pieces one behind the other as if they were one.
private struct GatheredBytes {
    private let pieces: [[UInt8]]
    private var piece = 0
    private var offset = 0
    private(set) var remainingBytes: Int

    init(_ pieces: [[UInt8]]) {
        self.pieces = pieces
        self.remainingBytes = pieces.reduce(0) { $0 + $1.count }
    }

    /// Fills `room` with the next bytes; false when there are fewer.
    mutating func copyNext(into room: UnsafeMutableRawBufferPointer) -> Bool {
        guard self.remainingBytes >= room.count else { return false }
        self.remainingBytes -= room.count
        var filled = 0
        while filled < room.count {
            let count = min(self.pieces[self.piece].count - self.offset, room.count - filled)
            self.pieces[self.piece].withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: room[filled..<filled + count])
                    .copyMemory(
                        from: UnsafeRawBufferPointer(
                            rebasing: bytes[self.offset..<self.offset + count]))
            }
            filled += count
            self.offset += count
            if self.offset == self.pieces[self.piece].count {
                self.piece += 1
                self.offset = 0
            }
        }
        return true
    }
}
