import ChunkProtocol
import IORuntime
import Primitives

/// Reads and checks the records of segments.
struct SegmentReader {
    let files: SegmentFiles
    /// Past the system's cache.
    var readsDevice = false

    enum Fault: Error, Equatable {
        case file(FileFault)
        /// No valid record of this chunk stands there.
        case noRecord
    }

    /// Reads a run of a record's sealed frames: the length of each, 0 where its checksum does not
    /// hold, and the bytes of the others one behind the other.
    func frames(
        _ run: Range<Int>, of name: ChunkName, at place: ChunkIndex.Place
    ) throws(Fault) -> (lengths: [UInt32], sealed: [UInt8]) {
        let file = try Self.reading { () throws(FileFault) in try self.files.file(place.segment) }
        let record = try self.record(of: name, at: place)
        guard run.upperBound <= record.frames.count else { throw .noRecord }
        let headerBytes = SegmentFormat.headerBytes(frameCount: record.frames.count)
        let range = record.frames.sealedRange(ofFrames: run)
        let sealed = try Self.reading { () throws(FileFault) in
            try file.read(
                range.count, at: place.offset + UInt64(headerBytes + range.lowerBound),
                fromDevice: self.readsDevice)
        }
        let frames = Array(record.frames[run])
        let sound = FrameChecksums.check([sealed], frames)
        guard sound.contains(false) else { return (frames.map(\.sealedBytes), sealed) }
        var lengths: [UInt32] = []
        var good: [UInt8] = []
        var position = 0
        for (frame, isSound) in zip(frames, sound) {
            let end = min(position + Int(frame.sealedBytes), sealed.count)
            if isSound { good.append(contentsOf: sealed[position..<end]) }
            lengths.append(isSound ? frame.sealedBytes : 0)
            position = end
        }
        return (lengths, good)
    }

    /// Whether every frame of a chunk is as its checksum says.
    func isWhole(_ name: ChunkName, at place: ChunkIndex.Place) throws(Fault) -> Bool {
        let frames = try self.frames(0..<Int(place.frameCount), of: name, at: place)
        return !frames.lengths.contains(0)
    }

    /// The record of a chunk that stands somewhere.
    func record(
        of name: ChunkName, at place: ChunkIndex.Place
    ) throws(Fault) -> SegmentFormat.Record {
        let file = try Self.reading { () throws(FileFault) in try self.files.file(place.segment) }
        let headerBytes = SegmentFormat.headerBytes(frameCount: Int(place.frameCount))
        let header = try Self.reading { () throws(FileFault) in
            try file.read(headerBytes, at: place.offset, fromDevice: self.readsDevice)
        }
        guard case .chunk(let record)? = Self.header(header, place.segment, place.offset),
            record.name == name
        else { throw .noRecord }
        return record
    }

    private static func reading<Value>(
        _ read: () throws(FileFault) -> Value
    ) throws(Fault) -> Value {
        do throws(FileFault) { return try read() } catch { throw .file(error) }
    }

    /// What these bytes, read at that place, are the header of; nil when of nothing.
    static func header(
        _ bytes: [UInt8], _ segment: UInt64, _ offset: UInt64
    ) -> SegmentFormat.Header? {
        do throws(FormatFault) {
            return try SegmentFormat.readHeader(bytes[...], segment: segment, offset: offset)
        } catch {
            return nil
        }
    }
}

/// Goes through what stands at the boundaries of a segment, one header after the other. Blocking.
///
/// It never looks into a record that its caller has passed, so no content can pose as a header
/// there; what it meets inside others is as good as its checksum, which covers the very place.
struct SegmentWalk: Sendable {
    let segment: UInt64
    let file: any File
    /// Past the system's cache; what a device cannot give is no header.
    private let readsDevice: Bool
    /// Where the file ended when the walk began.
    let sizeBytes: UInt64
    /// The next boundary to look at.
    private(set) var offset: UInt64

    init(
        _ segment: UInt64, in files: SegmentFiles, from offset: UInt64 = 0,
        readsDevice: Bool = false
    ) throws(FileFault) {
        self.segment = segment
        self.readsDevice = readsDevice
        self.file = try files.file(segment)
        self.sizeBytes = try self.file.sizeBytes()
        self.offset = offset
    }

    /// The next boundary where a header stands, and the header; nil at the end.
    mutating func next() throws(FileFault) -> (offset: UInt64, header: SegmentFormat.Header)? {
        while self.offset < self.sizeBytes {
            let offset = self.offset
            let bytes = try self.bytes(at: offset)
            self.offset += UInt64(SegmentFormat.alignment)
            if let header = SegmentReader.header(bytes, self.segment, offset) {
                return (offset, header)
            }
        }
        return nil
    }

    private func bytes(at offset: UInt64) throws(FileFault) -> [UInt8] {
        do throws(FileFault) {
            return try self.file.read(
                SegmentFormat.mostHeaderBytes, at: offset, fromDevice: self.readsDevice)
        } catch {
            guard self.readsDevice, case .system = error else { throw error }
            return []
        }
    }

    /// Goes on behind a record that was met.
    mutating func pass(_ header: SegmentFormat.Header, at offset: UInt64) {
        self.offset = max(self.offset, offset + UInt64(header.recordBytes))
    }
}

extension File {
    fileprivate func read(
        _ count: Int, at offset: UInt64, fromDevice: Bool
    ) throws(FileFault) -> [UInt8] {
        fromDevice
            ? try self.readDirectly(count, at: offset) : try self.read(count, at: offset)
    }
}
