import ChunkProtocol
import IORuntime
import Primitives

/// Where records go, and the room that the disk gives for them.
extension SegmentWriter {
    /// Room is taken from the disk ahead of the records, in steps: an eighth of what the segment
    /// holds, within these bounds. Few steps, and little that is taken and not used.
    static let leastStepBytes: UInt64 = 1 << 20
    static let mostStepBytes: UInt64 = 16 << 20

    enum Purpose { case chunk, tombstones }

    /// What of the disk may be taken, asked once for each group.
    struct Room {
        private let files: SegmentFiles
        private let reserveBytes: UInt64
        private var freeBytes: UInt64?

        init(files: SegmentFiles, reserveBytes: UInt64) {
            self.files = files
            self.reserveBytes = reserveBytes
        }

        /// Whether this much can be taken; chunks leave the reserve alone.
        mutating func holds(_ bytes: UInt64, for purpose: Purpose) throws(WriteFault) -> Bool {
            let free: UInt64
            if let known = self.freeBytes {
                free = known
            } else {
                free = try WriteFault.onFiles { () throws(FileFault) in
                    try self.files.freeBytes()
                }
            }
            self.freeBytes = free
            let reserve = purpose == .chunk ? self.reserveBytes : 0
            return free >= reserve && free - reserve >= bytes
        }

        mutating func take(_ bytes: UInt64) {
            if let free = self.freeBytes { self.freeBytes = free - min(bytes, free) }
        }
    }

    /// Sees to it that a record of this size can be appended; false when the disk is full.
    mutating func makeRoom(
        _ bytes: UInt64, for purpose: Purpose, _ room: inout Room, _ syncs: inout UInt64
    ) throws(WriteFault) -> Bool {
        if let current = self.current, current.offset > 0,
            current.offset + bytes > self.limits.segmentBytes
        {
            try self.endSegment()
            syncs += 1
        }
        if purpose == .chunk, try !room.holds(0, for: .chunk) { return false }
        if let current = self.current, current.offset + bytes <= current.allocatedBytes {
            return true
        }
        if try self.current == nil
            ? self.begin(bytes, for: purpose, &room) : self.extend(bytes, for: purpose, &room)
        {
            return true
        }
        guard purpose == .tombstones else { return false }
        if self.current != nil {
            try self.endSegment()
            syncs += 1
        }
        return try self.beginSpare()
    }

    /// How far the disk's room may reach once a record ends at `end`: first with what is taken
    /// ahead, then, where that does not fit, without.
    private func steps(to end: UInt64) -> [UInt64] {
        let step = min(max(end / 8, Self.leastStepBytes), Self.mostStepBytes)
        let ahead = min(end + step, self.limits.segmentBytes)
        return ahead > end ? [ahead, end] : [end]
    }

    private mutating func begin(
        _ bytes: UInt64, for purpose: Purpose, _ room: inout Room
    ) throws(WriteFault) -> Bool {
        for allocated in self.steps(to: bytes) where try room.holds(allocated, for: purpose) {
            let number = self.nextSegment
            // Never tried twice: a file that was half made is left to the scan.
            self.nextSegment += 1
            do throws(FileFault) {
                let file = try self.files.create(number, bytes: allocated)
                room.take(allocated)
                self.current = Current(number: number, file: file, allocatedBytes: allocated)
                return true
            } catch {
                guard case .full = error else { throw .final("\(error)") }
            }
        }
        return false
    }

    private mutating func extend(
        _ bytes: UInt64, for purpose: Purpose, _ room: inout Room
    ) throws(WriteFault) -> Bool {
        guard let current = self.current else { return false }
        for end in self.steps(to: current.offset + bytes) {
            let more = end - current.allocatedBytes
            guard try room.holds(more, for: purpose) else { continue }
            do throws(FileFault) {
                try current.file.preallocate(current.allocatedBytes..<end)
                room.take(more)
                self.current?.allocatedBytes = end
                return true
            } catch {
                guard case .full = error else { throw .final("\(error)") }
            }
        }
        return false
    }

    /// The disk has nothing left: tombstones go where room was kept for them, so that deleting
    /// frees the disk when nothing else can.
    private mutating func beginSpare() throws(WriteFault) -> Bool {
        let number = self.nextSegment
        let adopted = try WriteFault.onFiles { () throws(FileFault) in
            try self.files.adoptSpare(number)
        }
        guard let adopted else { return false }
        self.nextSegment += 1
        self.current = Current(
            number: number, file: adopted.file, allocatedBytes: adopted.bytes)
        return true
    }
}

// MARK: - Appending

extension SegmentWriter {
    /// The first frame that is not what its checksum says; lays the record out on the way.
    func firstMismatch(in piece: Piece) -> Int? {
        piece.isLaidOut
            ? self.buffer.lay(piece.record, piece.body)
            : FrameChecksums.firstMismatch(in: piece.body, piece.record.frames)
    }

    /// Writes a record behind the last, without a sync, and says where it stands. After a fault the
    /// next record overwrites what of this one was written.
    mutating func append(_ piece: Piece) throws(FileFault) -> ChunkIndex.Place {
        guard let current = self.current else { brokenInvariant("there is room for a record") }
        let header = SegmentFormat.header(
            of: piece.record, segment: current.number, offset: current.offset)
        let end = current.offset + UInt64(piece.record.recordBytes)
        // One with a bad frame was not laid out: it is moved as it is.
        let isWritten =
            piece.isLaidOut
            ? try self.buffer.write(piece.record, header, to: current.file, at: current.offset)
            : false
        if !isWritten {
            try current.file.write(header, pieces: piece.body, at: current.offset)
            try current.file.startWriteback(current.offset..<end)
        }
        self.advance(to: end)
        return ChunkIndex.Place(piece.record, current.number, current.offset)
    }

    mutating func append(
        _ tombstones: SegmentFormat.Tombstones
    ) throws(FileFault) -> ChunkIndex.Position {
        guard let current = self.current else { brokenInvariant("there is room for a record") }
        let record = SegmentFormat.record(
            of: tombstones, segment: current.number, offset: current.offset)
        try current.file.write(record, at: current.offset)
        self.advance(to: current.offset + UInt64(record.count))
        return ChunkIndex.Position(segment: current.number, offset: current.offset)
    }

    private mutating func advance(to end: UInt64) {
        guard let current = self.current else { return }
        self.current?.offset = end
        self.end = ChunkIndex.Position(segment: current.number, offset: end)
    }
}

extension File {
    /// Writes a header and the pieces of a body one behind the other. Small bodies leave in one
    /// call; large pieces are not copied.
    fileprivate func write(
        _ header: [UInt8], pieces: [[UInt8]], at offset: UInt64
    ) throws(FileFault) {
        let copied = 128 << 10
        var head = header
        var rest = pieces[...]
        while let piece = rest.first, head.count + piece.count <= copied {
            head.append(contentsOf: piece)
            rest = rest.dropFirst()
        }
        try self.write(head, at: offset)
        var position = offset + UInt64(head.count)
        for piece in rest {
            try self.write(piece, at: position)
            position += UInt64(piece.count)
        }
    }
}
