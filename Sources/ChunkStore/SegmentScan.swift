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
/// | a valid chunk header, a frame not as summed | torn by a crash: no copy | next boundary   |
/// | a valid tombstone                           | the chunk was deleted    | behind it       |
/// | anything else                               | never written, or torn   | next boundary   |
///
/// A torn record was never acknowledged, because its sync had not returned. A whole one may be in
/// the system's memory only (the process was killed before the sync), so a segment is synced before
/// it is looked at: what the index names survives a power cut from then on.
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
        if findings.records + findings.tombstones > 0 {
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
            if try self.take(record, segment, offset, end, into: &findings) {
                offset = end
            } else {
                findings.torn += 1
                offset += UInt64(SegmentFormat.alignment)
            }
        }
    }

    /// Enters a record that is whole; false when it is torn.
    private func take(
        _ record: SegmentFormat.Record, _ segment: UInt64, _ offset: UInt64, _ end: UInt64,
        into findings: inout Findings
    ) throws(Fault) -> Bool {
        let place = ChunkIndex.Place(
            segment: segment, offset: offset, sealedBytes: UInt32(record.sealedBytes),
            frameCount: UInt16(record.frameChecksums.count))
        if record.kind == .chunk {
            do throws(SegmentReader.Fault) {
                _ = try SegmentReader(files: self.files).frames(
                    0..<record.frameChecksums.count, of: record.name, at: place)
            } catch {
                switch error {
                case .noRecord, .checksumMismatch: return false
                case .file(let fault): throw .file(fault)
                }
            }
        }
        do throws(StoreFault) {
            let known = try self.index.place(of: record.name)
            var batch = WriteBatch()
            switch record.kind {
            case .chunk:
                ChunkIndex.put(place, of: record.name, into: &batch)
                findings.records += 1
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
            ChunkIndex.set(ChunkIndex.Watermark(segment: segment, offset: end), in: &batch)
            try self.index.store.write(batch, .unlogged)
        } catch { throw .index(error) }
        return true
    }
}
