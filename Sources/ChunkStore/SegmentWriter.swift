import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives

/// The one writer of a store: where the next record goes, and how a group of changes becomes durable
/// under one sync. A value that travels into the blocking pool and back.
struct SegmentWriter: Sendable {
    let files: SegmentFiles
    let index: ChunkIndex
    let limits: Limits
    let buffer = RecordBuffer()
    /// The number for the segment that is begun next.
    var nextSegment: UInt64
    /// The segment being written; a fresh one is begun after every start.
    var current: Current?
    /// Behind the last record that was written.
    var end: ChunkIndex.Position
    var totals: ChunkIndex.Totals
    /// Rows of records that are durable, which a full disk kept out of the index. They are written
    /// before anything else is taken, so index and segments never part.
    private var unwritten: (rows: WriteBatch, totals: ChunkIndex.Totals)?

    struct Limits: Sendable {
        /// How large a segment grows.
        var segmentBytes: UInt64
        /// Free space that chunks leave to others.
        var reserveBytes: UInt64
    }

    struct Current: Sendable {
        let number: UInt64
        let file: any File
        /// Where the next record goes.
        var offset: UInt64 = 0
        /// Up to where the disk has given room.
        var allocatedBytes: UInt64
    }

    /// A chunk to be written.
    struct Piece: Sendable {
        let record: SegmentFormat.Record
        let body: [[UInt8]]

        /// Whether it is written from the buffer, past the system's cache.
        var isLaidOut: Bool { self.record.recordBytes >= RecordBuffer.leastRecordBytes }
    }

    enum Job: Sendable {
        case put(Piece)
        case delete([ChunkName], at: Timestamp)
        /// Copies of records that are live, and tombstones that may still be needed, out of a
        /// segment that is being emptied.
        case move(SegmentEmptying.Load)
        /// Void records are holes now.
        case gaveBack([ChunkIndex.Remains])
        /// An emptied segment is to go; `.refused` when something in it is wanted.
        case leave(UInt64)
        /// Its file is gone, and the records with it.
        case left(UInt64, [ChunkIndex.Remains])
    }

    enum Answer: Equatable, Sendable {
        case done
        case checksumMismatch(frame: UInt16)
        case full
        case refused
        case device(String)
    }

    struct Result: Sendable {
        var writer: SegmentWriter
        /// In the order of the group.
        var answers: [Answer] = []
        var syncs: UInt64 = 0
        var tombstones: UInt64 = 0
    }

    enum Outcome: Sendable {
        case done(Result)
        /// What is on the disk is unknown from here on.
        case failed(String)
    }

    /// A fault after which the disk's content is unknown.
    enum WriteFault: Error {
        case final(String)

        static func onFiles<Value>(
            _ work: () throws(FileFault) -> Value
        ) throws(WriteFault) -> Value {
            do throws(FileFault) { return try work() } catch { throw .final("\(error)") }
        }

        static func onIndex<Value>(
            _ work: () throws(StoreFault) -> Value
        ) throws(WriteFault) -> Value {
            do throws(StoreFault) { return try work() } catch { throw .final("index: \(error)") }
        }
    }

    init(
        files: SegmentFiles, index: ChunkIndex, limits: Limits, findings: SegmentScan.Findings
    ) {
        self.files = files
        self.index = index
        self.limits = limits
        self.nextSegment = findings.nextSegment
        self.end = findings.watermark
        self.totals = findings.totals
    }

    /// Carries out a group of changes: writes, one sync, the index. Blocking.
    func commit(_ group: [Job]) -> Outcome {
        var result = Result(writer: self)
        do throws(WriteFault) {
            guard try result.writer.writeUnwritten() else {
                result.answers = group.map { _ in .full }
                return .done(result)
            }
            var edit = IndexEdit(self.index, totals: result.writer.totals)
            var room = Room(files: self.files, reserveBytes: self.limits.reserveBytes)
            for job in group {
                result.answers.append(try result.carryOut(job, &edit, &room))
            }
            guard !edit.isEmpty else { return .done(result) }
            // Without a current segment all that was written is in one that was ended, and synced.
            if let current = result.writer.current, result.writer.end != self.end {
                try WriteFault.onFiles { () throws(FileFault) in try current.file.sync() }
                result.syncs += 1
            }
            result.writer.unwritten = (edit.finished(result.writer.end), edit.totals)
            if try !result.writer.writeUnwritten(),
                try !result.writer.writeUnwritten(behindRoomOf: edit.buried)
            {
                // What is durable will be in the index; nobody was promised that it is by now.
                result.answers = result.answers.map { $0 == .done ? .full : $0 }
            }
            return .done(result)
        } catch {
            switch error {
            case .final(let reason): return .failed(reason)
            }
        }
    }

    /// False when the disk has no room for the rows.
    private mutating func writeUnwritten() throws(WriteFault) -> Bool {
        guard let (rows, totals) = self.unwritten else { return true }
        do throws(StoreFault) { try self.index.store.write(rows, .unlogged) } catch {
            guard case .full = error else { throw .final("index: \(error)") }
            return false
        }
        self.totals = totals
        self.unwritten = nil
        return true
    }

    /// The rows of deletes have no room: the records that they are about make some, for their
    /// tombstones are durable. The holes become durable in their turn.
    private mutating func writeUnwritten(
        behindRoomOf void: [ChunkIndex.Remains]
    ) throws(WriteFault) -> Bool {
        guard !void.isEmpty else { return false }
        try WriteFault.onFiles { () throws(FileFault) in
            for one in void {
                try self.files.file(one.position.segment).punchHole(one.range)
            }
        }
        return try self.writeUnwritten()
    }

    /// Ends the segment being written: all of it is synced and given its true size.
    mutating func endSegment() throws(WriteFault) {
        if let current = self.current {
            try WriteFault.onFiles { () throws(FileFault) in
                try current.file.truncate(to: current.offset)
                try current.file.sync()
            }
            _ = try WriteFault.onIndex { () throws(StoreFault) in try self.index.flush() }
        }
        self.current = nil
    }

    /// Ends use of the writer in good order; says what went wrong when something did.
    mutating func close() -> String? {
        do throws(WriteFault) {
            _ = try self.writeUnwritten()
            try self.endSegment()
            return nil
        } catch {
            switch error {
            case .final(let reason): return reason
            }
        }
    }
}

// MARK: - Jobs

extension SegmentWriter.Result {
    fileprivate mutating func carryOut(
        _ job: SegmentWriter.Job, _ edit: inout IndexEdit, _ room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> SegmentWriter.Answer {
        switch job {
        case .put(let piece): return try self.put(piece, &edit, &room)
        case .delete(let names, let time): return try self.delete(names, time, &edit, &room)
        case .move(let load): return try self.move(load, &edit, &room)
        case .gaveBack, .leave, .left:
            do throws(StoreFault) { return try self.note(job, in: &edit) } catch {
                throw .final("index: \(error)")
            }
        }
    }

    private mutating func put(
        _ piece: SegmentWriter.Piece, _ edit: inout IndexEdit, _ room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> SegmentWriter.Answer {
        let record = piece.record
        if let bad = self.writer.firstMismatch(in: piece) {
            return .checksumMismatch(frame: UInt16(bad))
        }
        let known: ChunkIndex.Place?
        do throws(StoreFault) { known = try edit.place(of: record.name) } catch {
            throw .final("index: \(error)")
        }
        if let known, let answer = self.answer(again: record, at: known) { return answer }
        return try self.write(piece, &edit, &room)
    }

    /// The answer for a chunk that the index has; nil when its copy here is not whole, and another
    /// must be written. Only what reads back is called stored, and only the very same frames: names
    /// are given once, unless a machine was set back to an earlier state of its memory.
    private func answer(
        again record: SegmentFormat.Record, at place: ChunkIndex.Place
    ) -> SegmentWriter.Answer? {
        do throws(SegmentReader.Fault) {
            // From the device: what only the system's cache has would be called durable here.
            let reader = SegmentReader(files: self.writer.files, readsDevice: true)
            guard try reader.isWhole(record.name, at: place) else { return nil }
            guard try reader.record(of: record.name, at: place).frames == record.frames else {
                return .device("chunk \(record.name) is here already, with other bytes")
            }
            return .done
        } catch {
            switch error {
            case .noRecord, .file(.notFound): return nil
            case .file(let fault): return .device("\(fault)")
            }
        }
    }

    /// Writes a chunk's record and makes it the one that is read.
    private mutating func write(
        _ piece: SegmentWriter.Piece, _ edit: inout IndexEdit, _ room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> SegmentWriter.Answer {
        let bytes = UInt64(piece.record.recordBytes)
        guard try self.writer.makeRoom(bytes, for: .chunk, &room, &self.syncs) else {
            return .full
        }
        let place: ChunkIndex.Place
        do throws(FileFault) { place = try self.writer.append(piece) } catch {
            if case .full = error { return .full }
            return .device("\(error)")
        }
        do throws(StoreFault) { try edit.enter(piece.record.name, at: place) } catch {
            throw .final("index: \(error)")
        }
        return .done
    }

    /// Names that the index does not hold need no tombstone: no record of theirs can be read.
    private mutating func delete(
        _ names: [ChunkName], _ time: Timestamp, _ edit: inout IndexEdit,
        _ room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> SegmentWriter.Answer {
        var doomed: [SegmentFormat.Tombstones.Chunk] = []
        do throws(StoreFault) {
            for name in names {
                guard let place = try edit.place(of: name) else { continue }
                doomed.append(.init(name: name, slot: place.slot))
            }
        } catch { throw .final("index: \(error)") }
        return try self.bury(doomed, time, &edit, &room)
    }

    /// Writes tombstones, as many to a record as it holds.
    private mutating func bury(
        _ chunks: [SegmentFormat.Tombstones.Chunk], _ time: Timestamp, _ edit: inout IndexEdit,
        _ room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> SegmentWriter.Answer {
        var rest = chunks[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(SegmentFormat.mostTombstones))
            rest = rest.dropFirst(part.count)
            let bytes = UInt64(SegmentFormat.alignment)
            guard try self.writer.makeRoom(bytes, for: .tombstones, &room, &self.syncs) else {
                return .full
            }
            let position: ChunkIndex.Position
            do throws(FileFault) {
                position = try self.writer.append(.init(deletedAt: time, chunks: part))
            } catch {
                if case .full = error { return .full }
                return .device("\(error)")
            }
            do throws(StoreFault) {
                try edit.wroteTombstones(at: position)
                for chunk in part { try edit.remove(chunk.name) }
            } catch { throw .final("index: \(error)") }
            self.tombstones += UInt64(part.count)
        }
        return .done
    }

    /// **A tombstone outlives every record that it makes void.** One that stands in a segment that
    /// is emptied is written anew, unless no such record is left outside the segment, which goes as
    /// a whole; or the chunk was stored again, and its later record makes the earlier ones void.
    private mutating func move(
        _ load: SegmentEmptying.Load, _ edit: inout IndexEdit, _ room: inout SegmentWriter.Room
    ) throws(SegmentWriter.WriteFault) -> SegmentWriter.Answer {
        for (piece, position) in load.pieces {
            let place: ChunkIndex.Place?
            do throws(StoreFault) { place = try edit.place(of: piece.record.name) } catch {
                throw .final("index: \(error)")
            }
            // Deleted or written anew since it was read.
            guard place?.position == position else { continue }
            if piece.isLaidOut { _ = self.writer.buffer.lay(piece.record, piece.body) }
            let answer = try self.write(piece, &edit, &room)
            guard answer == .done else { return answer }
        }
        for tombstones in load.tombstones {
            var needed: [SegmentFormat.Tombstones.Chunk] = []
            do throws(StoreFault) {
                for chunk in tombstones.chunks {
                    guard
                        try edit.place(of: chunk.name) == nil,
                        try self.writer.index.hasRemains(of: chunk.name, besides: load.segment)
                    else { continue }
                    needed.append(chunk)
                }
            } catch { throw .final("index: \(error)") }
            let answer = try self.bury(needed, tombstones.deletedAt, &edit, &room)
            guard answer == .done else { return answer }
        }
        return .done
    }

    /// What changes the index alone.
    private func note(
        _ job: SegmentWriter.Job, in edit: inout IndexEdit
    ) throws(StoreFault) -> SegmentWriter.Answer {
        switch job {
        case .gaveBack(let remains): try edit.gaveBack(remains)
        case .leave(let segment):
            // What the sums do not know to be empty stays, whatever was found in it; and so does
            // what is being written, which has become sparse before it has grown.
            guard segment != self.writer.current?.number,
                try edit.usage(of: segment)?.liveBytes ?? 0 == 0
            else { return .refused }
            try edit.leave(segment)
        case .left(let segment, let gone): edit.left(segment, gone)
        case .put, .delete, .move: brokenInvariant("these write records")
        }
        return .done
    }
}
