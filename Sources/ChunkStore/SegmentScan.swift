import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives

/// Brings the index up to what the segments hold, after a start. Blocking.
///
/// From the index's watermark on, what stands at each 4 KiB boundary is taken as `ScanDecision`'s
/// table says.
///
/// A whole record may be in the system's memory only (the process was killed before the sync), so a
/// segment is synced before it is looked at: what the index names survives a power cut from then on.
///
/// An index that speaks of segments that are not there was made for others, or the disk has lost
/// what it had synced. It is emptied, and everything is looked at.
///
/// After a failed sync, a sync that succeeds says nothing of what was written before, and the
/// system's cache shows what the disk may never have (Rebello et al., "Can Applications Recover from
/// fsync Failures?", ATC '20). The scan then believes the device alone: what it cannot give back is
/// not entered, and reads go to other copies. From the watermark on is far enough: the index names
/// nothing that was not synced before, and never says so before its own sync.
struct SegmentScan {
    let files: SegmentFiles
    let index: ChunkIndex
    /// The disk has failed a sync since the last start.
    var readsDevice = false

    /// Records whose rows are written together.
    private static let recordsPerBatch = 256

    struct Findings: Equatable, Sendable {
        var records = 0
        var tombstones = 0
        var torn = 0
        /// The index held nothing, or nothing of use, and was made anew from the segments.
        var isRebuild = false
        /// The number for the segment that is begun next.
        var nextSegment: UInt64 = 1
        var totals = ChunkIndex.Totals()
        /// Behind the last record.
        var watermark = ChunkIndex.Position.start
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
        var numbers = try Fault.onFiles { () throws(FileFault) in try self.files.numbers() }
        var usages = try Fault.onIndex { () throws(StoreFault) in try self.index.usages() }
        findings.watermark = try Fault.onIndex { () throws(StoreFault) in
            try self.index.watermark()
        }
        findings.nextSegment = max(numbers.last ?? 0, findings.watermark.segment) + 1
        if try self.isAhead(findings.watermark, usages, of: numbers) {
            try Fault.onIndex { () throws(StoreFault) in try self.index.removeAll() }
            findings.watermark = .start
            usages = []
        }
        findings.isRebuild = findings.watermark == .start && !numbers.isEmpty
        findings.totals = try Fault.onIndex { () throws(StoreFault) in try self.index.totals() }
        for usage in usages where usage.isLeaving {
            try self.finishLeaving(usage.segment, &findings)
            numbers.removeAll { $0 == usage.segment }
        }
        let known = Set(usages.map(\.segment))
        let watermark = findings.watermark
        for number in numbers where number >= watermark.segment || !known.contains(number) {
            let start = number == watermark.segment ? watermark.offset : 0
            try self.scan(number, from: start, into: &findings)
        }
        if findings.records + findings.tombstones + findings.torn > 0 {
            _ = try Fault.onIndex { () throws(StoreFault) in try self.index.flush() }
        }
        return findings
    }

    /// Whether the index speaks of records that no segment holds.
    private func isAhead(
        _ watermark: ChunkIndex.Position, _ usages: [SegmentUsage], of numbers: [UInt64]
    ) throws(Fault) -> Bool {
        let standing = Set(numbers)
        for usage in usages where !usage.isLeaving {
            guard standing.contains(usage.segment) else { return true }
        }
        // Nothing but a segment without records may be gone below its watermark.
        guard standing.contains(watermark.segment) else { return false }
        return try Fault.onFiles { () throws(FileFault) in
            let size = try self.files.file(watermark.segment).sizeBytes()
            return SegmentFormat.alignedUp(size) < watermark.offset
        }
    }

    /// A death came between the row that lets a segment go and the one that says it is gone.
    private func finishLeaving(
        _ segment: UInt64, _ findings: inout Findings
    ) throws(Fault) {
        try Fault.onFiles { () throws(FileFault) in try self.files.remove(segment) }
        try Fault.onIndex { () throws(StoreFault) in
            var edit = IndexEdit(self.index, totals: findings.totals)
            // Rows of its remains, which nobody has read, go when their turn comes.
            edit.left(segment, [])
            try self.index.store.write(edit.finished(findings.watermark), .unlogged)
        }
    }

    private func scan(
        _ segment: UInt64, from start: UInt64, into findings: inout Findings
    ) throws(Fault) {
        var walk = try Fault.onFiles { () throws(FileFault) in
            let walk = try SegmentWalk(
                segment, in: self.files, from: start, readsDevice: self.readsDevice)
            // Nothing is appended here again: what was reserved behind the end goes back.
            try walk.file.truncate(to: SegmentFormat.alignedUp(walk.sizeBytes))
            try walk.file.sync()
            return walk
        }
        var edit = IndexEdit(self.index, totals: findings.totals)
        var records = 0
        while let (offset, header) = try Fault.onFiles({ () throws(FileFault) in try walk.next() })
        {
            let position = ChunkIndex.Position(segment: segment, offset: offset)
            switch header {
            case .chunk(let record):
                let isWhole = try self.isWhole(record, position)
                if isWhole { walk.pass(header, at: offset) }
                try self.take(record, at: position, isWhole: isWhole, &edit, &findings)
            case .tombstones(let tombstones):
                try Fault.onIndex { () throws(StoreFault) in
                    try self.take(tombstones, at: position, &edit)
                }
                findings.tombstones += tombstones.chunks.count
            }
            records += 1
            findings.watermark = max(
                findings.watermark, ChunkIndex.Position(segment: segment, offset: walk.offset))
            if records % Self.recordsPerBatch == 0 { try self.write(&edit, &findings) }
        }
        try self.write(&edit, &findings)
    }

    private func write(_ edit: inout IndexEdit, _ findings: inout Findings) throws(Fault) {
        guard !edit.isEmpty else { return }
        let batch = edit.finished(findings.watermark)
        try Fault.onIndex { () throws(StoreFault) in
            try self.index.store.write(batch, .unlogged)
        }
        findings.totals = edit.totals
        edit = IndexEdit(self.index, totals: edit.totals)
    }

    /// Whether every frame is as its checksum says.
    private func isWhole(
        _ record: SegmentFormat.Record, _ position: ChunkIndex.Position
    ) throws(Fault) -> Bool {
        do throws(SegmentReader.Fault) {
            return try SegmentReader(files: self.files, readsDevice: self.readsDevice).isWhole(
                record.name, at: ChunkIndex.Place(record, position.segment, position.offset))
        } catch {
            switch error {
            case .noRecord: return false
            case .file(.system) where self.readsDevice: return false
            case .file(let fault): throw .file(fault)
            }
        }
    }

    private func take(
        _ record: SegmentFormat.Record, at position: ChunkIndex.Position, isWhole: Bool,
        _ edit: inout IndexEdit, _ findings: inout Findings
    ) throws(Fault) {
        findings.records += isWhole ? 1 : 0
        findings.torn += isWhole ? 0 : 1
        try Fault.onIndex { () throws(StoreFault) in
            let known = ScanDecision.Known(
                try edit.place(of: record.name)?.position, beside: position)
            switch ScanDecision.action(for: isWhole ? .wholeRecord : .badRecord, known) {
            case .enter, .supersede:
                let place = ChunkIndex.Place(record, position.segment, position.offset)
                try edit.enter(record.name, at: place)
            case .bury:
                try edit.bury(record.name, position, recordBytes: UInt64(record.recordBytes))
            case .remove: try edit.remove(record.name)
            case .keep: break
            }
        }
    }

    private func take(
        _ tombstones: SegmentFormat.Tombstones, at position: ChunkIndex.Position,
        _ edit: inout IndexEdit
    ) throws(StoreFault) {
        try edit.wroteTombstones(at: position)
        for chunk in tombstones.chunks {
            let known = ScanDecision.Known(
                try edit.place(of: chunk.name)?.position, beside: position)
            switch ScanDecision.action(for: .tombstone, known) {
            case .remove: try edit.remove(chunk.name)
            case .keep: break
            case .enter, .supersede, .bury:
                brokenInvariant("a tombstone is nothing that could be entered or buried")
            }
        }
    }
}
