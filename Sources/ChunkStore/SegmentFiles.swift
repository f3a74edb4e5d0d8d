import ChunkProtocol
import IORuntime
import Primitives
import Synchronization

/// The segments of a store as files, and the few of them that are held open. Every call may block.
final class SegmentFiles: Sendable {
    /// Files held open together, beside those a call is using.
    private static let mostOpen = 64

    private struct Open {
        var files: [UInt64: any File] = [:]
        /// In the order they were opened: the first is closed first.
        var order: [UInt64] = []
    }

    private let files: any FileSystem
    private let directory: String
    private let open = Mutex(Open())

    init(files: any FileSystem, directory: String) {
        self.files = files
        self.directory = directory
    }

    func freeBytes() throws(FileFault) -> UInt64 { try self.files.space(self.directory).freeBytes }

    /// The numbers of all segments, ascending.
    func numbers() throws(FileFault) -> [UInt64] {
        try self.files.list(self.directory).compactMap { name in
            guard name.hasSuffix(Self.suffix) else { return nil }
            return UInt64(name.dropLast(Self.suffix.count), radix: 16)
        }.sorted()
    }

    /// Makes the file of a new segment, durable by name, with its space reserved.
    func create(_ number: UInt64, bytes: UInt64) throws(FileFault) -> any File {
        let file = try self.files.open(self.path(number), .create)
        do throws(FileFault) {
            try file.preallocate(0..<bytes)
            try self.files.syncDirectory(self.directory)
        } catch {
            file.close()
            // The first fault is the one to tell; a file that stays is empty, and does no harm.
            do throws(FileFault) { try self.files.remove(self.path(number)) } catch {}
            throw error
        }
        self.keep(file, number)
        return file
    }

    /// The open file of a segment.
    func file(_ number: UInt64) throws(FileFault) -> any File {
        if let file = self.open.withLock({ $0.files[number] }) { return file }
        let file = try self.files.open(self.path(number), .update)
        self.keep(file, number)
        return file
    }

    private func keep(_ file: any File, _ number: UInt64) {
        // A file that falls out is closed by its last user, which may be reading it right now.
        self.open.withLock { open in
            // Two who open a file at once leave one of the two here.
            if open.files.updateValue(file, forKey: number) == nil { open.order.append(number) }
            if open.order.count > Self.mostOpen {
                open.files[open.order.removeFirst()] = nil
            }
        }
    }

    private static let suffix = ".segment"

    private func path(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.count) + digits
        return self.directory + "/" + padded + Self.suffix
    }
}

/// Reads and checks the records of segments.
struct SegmentReader {
    let files: SegmentFiles

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
        let headerBytes = SegmentFormat.headerBytes(frameCount: Int(place.frameCount))
        let header = try Self.reading { () throws(FileFault) in
            try file.read(headerBytes, at: place.offset)
        }
        guard
            let record = Self.record(header, place.segment, place.offset),
            record.name == name, record.kind == .chunk, run.upperBound <= record.frames.count
        else { throw .noRecord }
        let range = record.frames.sealedRange(ofFrames: run)
        let sealed = try Self.reading { () throws(FileFault) in
            try file.read(range.count, at: place.offset + UInt64(headerBytes + range.lowerBound))
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

    private static func reading<Value>(
        _ read: () throws(FileFault) -> Value
    ) throws(Fault) -> Value {
        do throws(FileFault) { return try read() } catch { throw .file(error) }
    }

    /// The record whose header these bytes are; nil when they are none.
    static func record(
        _ header: [UInt8], _ segment: UInt64, _ offset: UInt64
    ) -> SegmentFormat.Record? {
        do throws(FormatFault) {
            return try SegmentFormat.readHeader(header[...], segment: segment, offset: offset)
        } catch {
            return nil
        }
    }
}

/// The checksums of sealed frames that lie across pieces of a body.
package enum FrameChecksums {
    /// The first frame that is not what its checksum says; nil when all are, and the body holds
    /// nothing else.
    package static func firstMismatch(in pieces: [[UInt8]], _ frames: [SealedFrame]) -> Int? {
        if let bad = Self.check(pieces, frames).firstIndex(of: false) { return bad }
        let isExact = pieces.reduce(0) { $0 + $1.count } == frames.sealedBytes
        return isExact ? nil : frames.count
    }

    /// For each frame whether it is what its checksum says; one that is not all there is not.
    package static func check(_ pieces: [[UInt8]], _ frames: [SealedFrame]) -> [Bool] {
        let computed = Self.of(pieces, lengths: frames.map { Int($0.sealedBytes) })
        return frames.indices.map { $0 < computed.count && computed[$0] == frames[$0] }
    }

    /// The frames that a body holds: as many as are all there.
    package static func of(_ pieces: [[UInt8]], lengths: [Int]) -> [SealedFrame] {
        var frames: [SealedFrame] = []
        frames.reserveCapacity(lengths.count)
        var current: UInt32 = 0
        var filled = 0
        for piece in pieces {
            piece.withUnsafeBytes { bytes in
                var position = 0
                while position < bytes.count, frames.count < lengths.count {
                    let length = lengths[frames.count]
                    let count = min(length - filled, bytes.count - position)
                    let part = UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
                    current = CRC32C.of(part, after: current)
                    filled += count
                    position += count
                    if filled == length {
                        frames.append(SealedFrame(sealedBytes: UInt32(length), checksum: current))
                        current = 0
                        filled = 0
                    }
                }
            }
        }
        return frames
    }
}
