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
/// A torn record was never acknowledged, because its sync had not returned.
struct SegmentScan {
    let files: SegmentFiles
    let index: ChunkIndex

    struct Findings: Equatable, Sendable {
        var records = 0
        var tombstones = 0
        var torn = 0
        /// The number for the segment that is begun next.
        var nextSegment: UInt64 = 1
        var chunks: UInt64 = 0
        var sealedBytes: UInt64 = 0
    }

    enum Fault: Error { case file(FileFault), index(StoreFault) }

    func run() throws(Fault) -> Findings {
        var findings = Findings()
        let watermark: ChunkIndex.Watermark
        do throws(StoreFault) {
            watermark = try self.index.watermark()
            (findings.chunks, findings.sealedBytes) = try self.index.totals()
        } catch { throw .index(error) }
        let numbers: [UInt64]
        do throws(FileFault) { numbers = try self.files.numbers() } catch { throw .file(error) }
        for number in numbers where number >= watermark.segment {
            let start = number == watermark.segment ? watermark.offset : 0
            try self.scan(number, from: start, into: &findings)
        }
        findings.nextSegment = (numbers.last ?? 0) + 1
        return findings
    }

    private func scan(
        _ segment: UInt64, from start: UInt64, into findings: inout Findings
    ) throws(Fault) {
        let file: any File
        let size: UInt64
        do throws(FileFault) {
            file = try self.files.file(segment)
            size = try file.sizeBytes()
        } catch { throw .file(error) }
        var offset = start
        while offset < size {
            let header: [UInt8]
            do throws(FileFault) {
                header = try file.read(SegmentFormat.mostHeaderBytes, at: offset)
            } catch { throw .file(error) }
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
