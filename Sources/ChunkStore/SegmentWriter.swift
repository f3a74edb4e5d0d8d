import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives

/// The one writer of a store: where the next record goes, and how a group of them becomes durable
/// under one sync. A value that travels into the blocking pool and back.
struct SegmentWriter: Sendable {
    let files: SegmentFiles
    let index: ChunkIndex
    let segmentBytes: UInt64
    private let buffer = RecordBuffer()
    /// The number for the segment that is begun next.
    var nextSegment: UInt64
    /// The segment being written; a fresh one is begun after every start.
    var current: (number: UInt64, file: any File)?
    /// Where the next record goes in it.
    var offset: UInt64 = 0
    /// Behind the last record that was written.
    private(set) var end = ChunkIndex.Watermark(segment: 0, offset: 0)

    struct Piece: Sendable {
        let record: SegmentFormat.Record
        let body: [[UInt8]]

        /// Whether it is written from the buffer, past the system's cache.
        fileprivate var isLaidOut: Bool { self.record.recordBytes >= RecordBuffer.leastRecordBytes }
    }

    struct Result: Sendable {
        var writer: SegmentWriter
        /// In the order of the group.
        var answers: [PutChunkAnswer]
        var syncs: UInt64
        var chunks: UInt64
        var sealedBytes: UInt64
    }

    enum Outcome: Sendable {
        case done(Result)
        /// What is on the disk is unknown from here on.
        case failed(String)
    }

    init(files: SegmentFiles, index: ChunkIndex, segmentBytes: UInt64, nextSegment: UInt64) {
        self.files = files
        self.index = index
        self.segmentBytes = segmentBytes
        self.nextSegment = nextSegment
    }

    /// Writes a group of chunks, syncs, enters them into the index. Blocking.
    ///
    /// - Parameter reserveBytes: free space that is left to others.
    func commit(
        _ group: [Piece], _ totals: (chunks: UInt64, sealedBytes: UInt64), reserveBytes: UInt64
    ) -> Outcome {
        var result = Result(
            writer: self, answers: [], syncs: 0, chunks: totals.chunks,
            sealedBytes: totals.sealedBytes)
        do throws(WriteFault) {
            var batch = WriteBatch()
            var room = Room(files: self.files, reserveBytes: reserveBytes)
            var written: Set<ChunkName> = []
            for piece in group {
                // A retry that shares the sync with what it retries is the same chunk.
                let isRetry = written.contains(piece.record.name)
                let known = batch.changes.count
                let answer: PutChunkAnswer =
                    isRetry ? .stored : try result.take(piece, into: &batch, room: &room)
                if batch.changes.count > known { written.insert(piece.record.name) }
                result.answers.append(answer)
            }
            guard !batch.isEmpty else { return .done(result) }
            // Without a current segment all that was written is in one that was ended, and synced.
            if let current = result.writer.current {
                try WriteFault.mapping { () throws(FileFault) in try current.file.sync() }
                result.syncs += 1
            }
            ChunkIndex.set(
                chunks: result.chunks, sealedBytes: result.sealedBytes, in: &batch)
            ChunkIndex.set(result.writer.end, in: &batch)
            do throws(StoreFault) { try self.index.store.write(batch, .unlogged) } catch {
                guard case .full = error else { throw .final("index: \(error)") }
                result.takeBack(written, of: group, totals)
            }
            return .done(result)
        } catch {
            switch error {
            case .final(let reason): return .failed(reason)
            }
        }
    }

    /// Ends the segment being written: all of it is synced and given its true size.
    fileprivate mutating func roll() throws(WriteFault) {
        if let current = self.current {
            let end = self.offset
            try WriteFault.mapping { () throws(FileFault) in
                try current.file.truncate(to: end)
                try current.file.sync()
            }
            do throws(StoreFault) { try self.index.flush() } catch {
                throw .final("index: \(error)")
            }
        }
        self.current = nil
        self.offset = 0
    }

    /// A fault after which the disk's content is unknown.
    fileprivate enum WriteFault: Error {
        case final(String)

        static func mapping(_ work: () throws(FileFault) -> Void) throws(WriteFault) {
            do throws(FileFault) { try work() } catch { throw .final("\(error)") }
        }
    }
}

extension SegmentWriter {
    /// What of the disk chunks may take, asked once for each group.
    fileprivate struct Room {
        let files: SegmentFiles
        let reserveBytes: UInt64
        private var freeBytes: UInt64?

        init(files: SegmentFiles, reserveBytes: UInt64) {
            self.files = files
            self.reserveBytes = reserveBytes
        }

        /// Whether this much can be taken so that the reserve is left.
        mutating func holds(_ bytes: UInt64) throws(FileFault) -> Bool {
            let free: UInt64
            if let known = self.freeBytes {
                free = known
            } else {
                free = try self.files.freeBytes()
            }
            self.freeBytes = free
            return free >= self.reserveBytes && free - self.reserveBytes >= bytes
        }

        mutating func take(_ bytes: UInt64) {
            if let free = self.freeBytes { self.freeBytes = free - min(bytes, free) }
        }
    }

    /// The segment being written, begun where there is none; nil when there is no room for one.
    ///
    /// Its whole space is reserved when it is begun, so the chunks behind need no more room.
    fileprivate mutating func segment(
        _ room: inout Room
    ) throws(FileFault) -> (number: UInt64, file: any File)? {
        if let current = self.current { return try room.holds(0) ? current : nil }
        guard try room.holds(self.segmentBytes) else { return nil }
        let number = self.nextSegment
        // Never tried twice: a file that was half made is left to the scan.
        self.nextSegment += 1
        let file = try self.files.create(number, bytes: self.segmentBytes)
        room.take(self.segmentBytes)
        self.current = (number, file)
        self.offset = 0
        return (number, file)
    }

    /// Writes a record behind the last, without a sync, and says where it stands; nil when there is
    /// no room. After a fault the next record overwrites what of this one was written.
    fileprivate mutating func append(
        _ piece: Piece, _ room: inout Room
    ) throws(FileFault) -> ChunkIndex.Place? {
        let record = piece.record
        guard let (number, file) = try self.segment(&room) else { return nil }
        let offset = self.offset
        let header = SegmentFormat.header(of: record, segment: number, offset: offset)
        let end = offset + UInt64(record.recordBytes)
        if piece.isLaidOut {
            try self.buffer.write(header: header, to: file, at: offset)
        } else {
            try file.write(header, pieces: piece.body, at: offset)
            try file.startWriteback(offset..<end)
        }
        self.offset = end
        self.end = ChunkIndex.Watermark(segment: number, offset: end)
        return ChunkIndex.place(of: record, number, offset)
    }
}

extension SegmentWriter {
    /// The first frame that is not what its checksum says; lays the record out on the way.
    fileprivate func firstMismatch(in piece: Piece) -> Int? {
        piece.isLaidOut
            ? self.buffer.lay(piece.record, piece.body)
            : FrameChecksums.firstMismatch(in: piece.body, piece.record.frames)
    }
}

extension SegmentWriter.Result {
    /// Writes one chunk behind the last, without a sync.
    fileprivate mutating func take(
        _ piece: SegmentWriter.Piece, into batch: inout WriteBatch,
        room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> PutChunkAnswer {
        let record = piece.record
        if let bad = self.writer.firstMismatch(in: piece) {
            return .checksumMismatch(frame: UInt16(bad))
        }
        let known: ChunkIndex.Place?
        do throws(StoreFault) { known = try self.writer.index.place(of: record.name) } catch {
            throw .final("index: \(error)")
        }
        if let known, let answer = self.answer(again: record, at: known) { return answer }
        let end = self.writer.offset + UInt64(record.recordBytes)
        if end > self.writer.segmentBytes, self.writer.offset > 0 {
            try self.writer.roll()
            self.syncs += 1
        }
        do throws(FileFault) {
            guard let place = try self.writer.append(piece, &room) else { return .full }
            ChunkIndex.put(place, of: record.name, into: &batch)
            if known == nil {
                self.chunks += 1
                self.sealedBytes += UInt64(record.sealedBytes)
            }
            return .stored
        } catch {
            if case .full = error { return .full }
            return .device("\(error)")
        }
    }

    /// The answer for a chunk that the index has; nil when its copy here is not whole, and another
    /// must be written. Only what reads back is called stored.
    private func answer(
        again record: SegmentFormat.Record, at place: ChunkIndex.Place
    ) -> PutChunkAnswer? {
        do throws(SegmentReader.Fault) {
            let reader = SegmentReader(files: self.writer.files)
            return try reader.isWhole(record.name, at: place) ? .stored : nil
        } catch {
            switch error {
            case .noRecord, .file(.notFound): return nil
            case .file(let fault): return .device("\(fault)")
            }
        }
    }

    /// The index had no room for the rows of what was written: none of it is stored. The records
    /// stay where they are, as copies that nobody was promised.
    fileprivate mutating func takeBack(
        _ written: Set<ChunkName>, of group: [SegmentWriter.Piece],
        _ totals: (chunks: UInt64, sealedBytes: UInt64)
    ) {
        (self.chunks, self.sealedBytes) = totals
        for (position, piece) in group.enumerated() where written.contains(piece.record.name) {
            if self.answers[position] == .stored { self.answers[position] = .full }
        }
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
