import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives

/// Reads what of a sparse segment is to be copied, load by load, while the writer goes on with its
/// own work. Blocking; a value that travels into the pool and back.
struct SegmentEmptying: Sendable {
    /// What one group of the writer carries at most, beside one record: so much longer does a put
    /// that shares the group wait.
    static let loadBytes = 1 << 20
    /// Records of which one load remembers that they were there.
    static let loadRecords = 1024

    /// What is copied by one group of the writer.
    struct Load: Sendable {
        let segment: UInt64
        /// Live records with where they stand.
        var pieces: [(piece: SegmentWriter.Piece, position: ChunkIndex.Position)] = []
        var tombstones: [SegmentFormat.Tombstones] = []
        var sizeBytes = 0
        var isLast = false
    }

    enum Fault: Error { case file(FileFault), index(StoreFault) }

    let segment: UInt64
    private let files: SegmentFiles
    private let index: ChunkIndex
    private var walk: SegmentWalk
    /// Every record that was met: void when the segment goes, and gone with it.
    private(set) var met: [ChunkIndex.Remains] = []

    init(_ segment: UInt64, files: SegmentFiles, index: ChunkIndex) throws(FileFault) {
        self.segment = segment
        self.files = files
        self.index = index
        self.walk = try SegmentWalk(segment, in: files)
    }

    mutating func next() throws(Fault) -> Load {
        var load = Load(segment: self.segment)
        var records = 0
        while load.sizeBytes < Self.loadBytes, records < Self.loadRecords {
            guard let (offset, header) = try self.step() else {
                load.isLast = true
                return load
            }
            records += 1
            switch header {
            case .tombstones(let tombstones):
                load.tombstones.append(tombstones)
                load.sizeBytes += SegmentFormat.alignment
            case .chunk(let record):
                try self.take(record, at: offset, into: &load)
            }
        }
        return load
    }

    private mutating func step() throws(Fault) -> (offset: UInt64, header: SegmentFormat.Header)? {
        do throws(FileFault) { return try self.walk.next() } catch { throw .file(error) }
    }

    private mutating func take(
        _ record: SegmentFormat.Record, at offset: UInt64, into load: inout Load
    ) throws(Fault) {
        let position = ChunkIndex.Position(segment: self.segment, offset: offset)
        let place: ChunkIndex.Place?
        do throws(StoreFault) { place = try self.index.place(of: record.name) } catch {
            throw .index(error)
        }
        self.met.append(
            ChunkIndex.Remains(
                name: record.name, position: position, recordBytes: UInt32(record.recordBytes)))
        guard place?.position == position else { return }
        let sealed: [UInt8]
        do throws(FileFault) { sealed = try self.sealed(record, at: offset) } catch {
            throw .file(error)
        }
        self.walk.pass(.chunk(record), at: offset)
        load.pieces.append((SegmentWriter.Piece(record: record, body: [sealed]), position))
        load.sizeBytes += record.recordBytes
    }

    /// The sealed bytes of a record. Where a frame is bad they are read again, from the device: the
    /// system's cache would only say the same once more. A frame that stays bad is copied as it is,
    /// under the checksum that gives it away.
    private func sealed(
        _ record: SegmentFormat.Record, at offset: UInt64
    ) throws(FileFault) -> [UInt8] {
        let start = offset + UInt64(record.headerBytes)
        let first = try self.walk.file.read(record.sealedBytes, at: start)
        if FrameChecksums.firstMismatch(in: [first], record.frames) == nil { return first }
        var again = try self.walk.file.readDirectly(record.sealedBytes, at: start)
        again += [UInt8](repeating: 0, count: record.sealedBytes - again.count)
        return again
    }
}
