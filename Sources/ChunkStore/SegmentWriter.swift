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
    /// The number for the segment that is begun next.
    var nextSegment: UInt64
    /// The segment being written; a fresh one is begun after every start.
    var current: (number: UInt64, file: any File)?
    /// Where the next record goes in it.
    var offset: UInt64 = 0

    struct Piece: Sendable {
        let record: SegmentFormat.Record
        let body: [[UInt8]]
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
    func commit(
        _ group: [Piece], _ totals: (chunks: UInt64, sealedBytes: UInt64),
        hasRoom: () throws(FileFault) -> Bool
    ) -> Outcome {
        var result = Result(
            writer: self, answers: [], syncs: 0, chunks: totals.chunks,
            sealedBytes: totals.sealedBytes)
        do throws(WriteFault) {
            var batch = WriteBatch()
            var taken: Set<ChunkName> = []
            for piece in group {
                // A retry that shares the sync with what it retries is the same chunk.
                let isRetry = taken.contains(piece.record.name)
                let answer: PutChunkAnswer =
                    isRetry ? .stored : try result.take(piece, into: &batch, hasRoom: hasRoom)
                if answer == .stored { taken.insert(piece.record.name) }
                result.answers.append(answer)
            }
            guard !batch.isEmpty, let current = result.writer.current else { return .done(result) }
            try WriteFault.mapping { () throws(FileFault) in try current.file.sync() }
            result.syncs += 1
            ChunkIndex.set(
                chunks: result.chunks, sealedBytes: result.sealedBytes, in: &batch)
            ChunkIndex.set(
                .init(segment: current.number, offset: result.writer.offset), in: &batch)
            do throws(StoreFault) { try self.index.store.write(batch, .unlogged) } catch {
                throw .final("index: \(error)")
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
            do throws(StoreFault) { try self.index.store.flush() } catch {
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

extension SegmentWriter.Result {
    /// Writes one chunk behind the last, without a sync.
    fileprivate mutating func take(
        _ piece: SegmentWriter.Piece, into batch: inout WriteBatch,
        hasRoom: () throws(FileFault) -> Bool
    ) throws(SegmentWriter.WriteFault) -> PutChunkAnswer {
        let record = piece.record
        if let bad = FrameChecksums.firstMismatch(in: piece.body, record.frameChecksums) {
            return .checksumMismatch(frame: UInt16(bad))
        }
        do throws(StoreFault) {
            if try self.writer.index.place(of: record.name) != nil { return .stored }
        } catch { throw .final("index: \(error)") }
        let end = self.writer.offset + UInt64(record.recordBytes)
        if end > self.writer.segmentBytes, self.writer.offset > 0 {
            // The index may know records of the old segment only from this batch.
            try self.writer.roll()
            self.syncs += 1
        }
        do throws(FileFault) {
            guard try hasRoom() else { return .full }
            let (number, file) = try self.writer.segment()
            let offset = self.writer.offset
            let header = SegmentFormat.header(of: record, segment: number, offset: offset)
            try file.write(header, pieces: piece.body, at: offset)
            try file.startWriteback(offset..<offset + UInt64(record.recordBytes))
            self.writer.offset = offset + UInt64(record.recordBytes)
            let place = ChunkIndex.Place(
                segment: number, offset: offset, sealedBytes: UInt32(record.sealedBytes),
                frameCount: UInt16(record.frameChecksums.count))
            ChunkIndex.put(place, of: record.name, into: &batch)
            self.chunks += 1
            self.sealedBytes += UInt64(record.sealedBytes)
            return .stored
        } catch {
            // The next record overwrites what of this one was written.
            if case .full = error { return .full }
            return .device("\(error)")
        }
    }
}

extension SegmentWriter {
    fileprivate mutating func segment() throws(FileFault) -> (UInt64, any File) {
        if let current = self.current { return current }
        let number = self.nextSegment
        // Never tried twice: a file that was half made is left to the scan.
        self.nextSegment += 1
        let file = try self.files.create(number, bytes: self.segmentBytes)
        self.current = (number, file)
        self.offset = 0
        return (number, file)
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
