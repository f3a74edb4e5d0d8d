import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives

/// Brings the index up to what the segments hold, after a start. Blocking.
///
/// From the index's watermark on, every 4 KiB boundary is looked at:
///
/// | what stands there                          | what it means            | next            |
/// |--------------------------------------------|--------------------------|-----------------|
/// | a valid chunk header, all frames as summed  | a whole record           | behind it       |
/// | a valid chunk header, a frame not as summed | torn, or rotten since    | next boundary   |
/// | a valid tombstone                           | the chunk was deleted    | behind it       |
/// | anything else                               | never written, or torn   | next boundary   |
///
/// A torn record was never acknowledged, because its sync had not returned; a rotten one was, and
/// must not vanish silently. Nobody can tell the two apart, so either is entered where no whole
/// record of the chunk is known: a read of its bad frames says so and is answered from another
/// copy, its good frames are served, and a put of the chunk writes it anew.
///
/// A whole record may be in the system's memory only (the process was killed before the sync), so a
/// segment is synced before it is looked at: what the index names survives a power cut from then on.
///
/// An index that is ahead of its segments was made for others, or the disk has lost what it had
/// synced. It is emptied, and everything is looked at.
struct SegmentScan {
    let files: SegmentFiles
    let index: ChunkIndex

    struct Findings: Equatable, Sendable {
        var records = 0
        var tombstones = 0
        var torn = 0
        /// The index held nothing, or nothing of use, and was made anew from the segments.
        var isRebuild = false
        /// The number for the segment that is begun next.
        var nextSegment: UInt64 = 1
        var chunks: UInt64 = 0
        var sealedBytes: UInt64 = 0
    }

    enum Fault: Error {
        case file(FileFault), index(StoreFault)

        fileprivate static func onFiles<Value>(
            _ work: () throws(FileFault) -> Value
        ) throws(Fault) -> Value {
            do throws(FileFault) { return try work() } catch { throw .file(error) }
        }

        fileprivate static func onIndex<Value>(
            _ work: () throws(StoreFault) -> Value
        ) throws(Fault) -> Value {
            do throws(StoreFault) { return try work() } catch { throw .index(error) }
        }
    }

    func run() throws(Fault) -> Findings {
        var findings = Findings()
        let numbers = try Fault.onFiles { () throws(FileFault) in try self.files.numbers() }
        var watermark = try Fault.onIndex { () throws(StoreFault) in try self.index.watermark() }
        findings.nextSegment = max(numbers.last ?? 0, watermark.segment) + 1
        if try self.isAhead(watermark, of: numbers) {
            try Fault.onIndex { () throws(StoreFault) in try self.index.removeAll() }
            watermark = .start
        }
        findings.isRebuild = watermark == .start && !numbers.isEmpty
        (findings.chunks, findings.sealedBytes) = try Fault.onIndex { () throws(StoreFault) in
            try self.index.totals()
        }
        for number in numbers where number >= watermark.segment {
            let start = number == watermark.segment ? watermark.offset : 0
            try self.scan(number, from: start, into: &findings)
        }
        if findings.records + findings.tombstones + findings.torn > 0 {
            try Fault.onIndex { () throws(StoreFault) in try self.index.flush() }
        }
        return findings
    }

    /// Whether the index speaks of records that no segment holds.
    private func isAhead(
        _ watermark: ChunkIndex.Watermark, of numbers: [UInt64]
    ) throws(Fault) -> Bool {
        guard watermark != .start else { return false }
        guard numbers.contains(watermark.segment) else { return true }
        return try Fault.onFiles { () throws(FileFault) in
            let size = try self.files.file(watermark.segment).sizeBytes()
            return SegmentFormat.alignedUp(size) < watermark.offset
        }
    }

    private func scan(
        _ segment: UInt64, from start: UInt64, into findings: inout Findings
    ) throws(Fault) {
        let (file, size) = try Fault.onFiles { () throws(FileFault) -> (any File, UInt64) in
            let file = try self.files.file(segment)
            let size = try file.sizeBytes()
            // Nothing is appended here again: what was reserved behind the end goes back.
            try file.truncate(to: SegmentFormat.alignedUp(size))
            try file.sync()
            return (file, size)
        }
        var offset = start
        while offset < size {
            let header = try Fault.onFiles { () throws(FileFault) in
                try file.read(SegmentFormat.mostHeaderBytes, at: offset)
            }
            guard let record = SegmentReader.record(header, segment, offset) else {
                offset += UInt64(SegmentFormat.alignment)
                continue
            }
            let end = offset + UInt64(record.recordBytes)
            let isWhole = try self.isWhole(record, segment, offset)
            if isWhole { offset = end } else { offset += UInt64(SegmentFormat.alignment) }
            try self.take(record, at: (segment, end), isWhole: isWhole, into: &findings)
        }
    }

    /// Whether every frame is as its checksum says.
    private func isWhole(
        _ record: SegmentFormat.Record, _ segment: UInt64, _ offset: UInt64
    ) throws(Fault) -> Bool {
        guard record.kind == .chunk else { return true }
        do throws(SegmentReader.Fault) {
            return try SegmentReader(files: self.files).isWhole(
                record.name, at: ChunkIndex.place(of: record, segment, offset))
        } catch {
            switch error {
            case .noRecord: return false
            case .file(let fault): throw .file(fault)
            }
        }
    }

    /// Enters a record.
    ///
    /// - Parameter end: the segment, and where in it the next record may stand.
    private func take(
        _ record: SegmentFormat.Record, at end: (segment: UInt64, offset: UInt64), isWhole: Bool,
        into findings: inout Findings
    ) throws(Fault) {
        let offset = end.offset - UInt64(record.recordBytes)
        do throws(StoreFault) {
            let known = try self.index.place(of: record.name)
            if !isWhole { findings.torn += 1 }
            if !isWhole, known != nil { return }
            var batch = WriteBatch()
            switch record.kind {
            case .chunk:
                ChunkIndex.put(
                    ChunkIndex.place(of: record, end.segment, offset), of: record.name, into: &batch
                )
                findings.records += isWhole ? 1 : 0
                findings.chunks += known == nil ? 1 : 0
                findings.sealedBytes += known == nil ? UInt64(record.sealedBytes) : 0
            case .tombstone:
                ChunkIndex.remove(record.name, from: &batch)
                findings.tombstones += 1
                findings.chunks -= known == nil ? 0 : 1
                findings.sealedBytes -= UInt64(known?.sealedBytes ?? 0)
            }
            ChunkIndex.set(
                chunks: findings.chunks, sealedBytes: findings.sealedBytes, in: &batch)
            let next = isWhole ? end.offset : offset + UInt64(SegmentFormat.alignment)
            ChunkIndex.set(ChunkIndex.Watermark(segment: end.segment, offset: next), in: &batch)
            try self.index.store.write(batch, .unlogged)
        } catch { throw .index(error) }
    }
}
