import Primitives
import Wire

/// The kinds of calls that a store answers; raw values are for ever.
package enum StoreCallKind {
    package static let putChunk: UInt16 = 0x0201
    package static let readChunk: UInt16 = 0x0202
    package static let status: UInt16 = 0x0204
}

/// Asks a store to hold a chunk. The sealed frames follow as the call's body; the store checks each
/// by its checksum before it writes, and answers when the chunk is durable.
package struct PutChunkRequest: WireMessage, Equatable {
    package let name: ChunkName
    /// Of the chunk's bucket: the store keeps it, to know whom to ask about the chunk.
    package let slot: Slot
    package let frames: [SealedFrame]

    package init(name: ChunkName, slot: Slot, frames: [SealedFrame]) {
        self.name = name
        self.slot = slot
        self.frames = frames
    }

    /// The length of the body.
    package var sealedBytes: Int { self.frames.sealedBytes }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        self.name.encode(into: &writer)
        writer.write(self.slot.rawValue)
        writer.writeArray(self.frames) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectVersion(1)
        self.name = try ChunkName(from: &reader)
        self.slot = Slot(rawValue: try reader.read())
        self.frames = try reader.readArray(
            field: "frames", limit: SegmentFormat.mostFrames
        ) { reader throws(FormatFault) in try SealedFrame(from: &reader) }
        guard !self.frames.isEmpty else { throw .invalid(field: "frames", offset: 19) }
    }
}

package enum PutChunkAnswer: WireMessage, Equatable {
    /// The chunk is on durable storage.
    case stored
    /// The bytes that arrived are not those that were sent.
    case checksumMismatch(frame: UInt16)
    /// The store's disk has no room beside its reserve.
    case full
    /// The store is taking in as much as its budget allows; ask another.
    case overloaded
    /// The device refused; what it said.
    case device(String)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .stored: writer.write(UInt8(1))
        case .checksumMismatch(let frame):
            writer.write(UInt8(2))
            writer.write(frame)
        case .full: writer.write(UInt8(3))
        case .overloaded: writer.write(UInt8(4))
        case .device(let reason):
            writer.write(UInt8(5))
            writer.writeString(reason)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .stored
        case 2: self = .checksumMismatch(frame: try reader.read())
        case 3: self = .full
        case 4: self = .overloaded
        case 5: self = .device(try reader.readString(field: "reason", limit: 4096))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// Asks a store for a run of a chunk's frames.
package struct ReadChunkRequest: WireMessage, Equatable {
    package let name: ChunkName
    package let firstFrame: UInt16
    package let frameCount: UInt16

    package init(name: ChunkName, frames: Range<Int>) {
        self.name = name
        self.firstFrame = UInt16(frames.lowerBound)
        self.frameCount = UInt16(frames.count)
    }

    package var frames: Range<Int> {
        Int(self.firstFrame)..<Int(self.firstFrame) + Int(self.frameCount)
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        self.name.encode(into: &writer)
        writer.write(self.firstFrame)
        writer.write(self.frameCount)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectVersion(1)
        self.name = try ChunkName(from: &reader)
        self.firstFrame = try reader.read()
        self.frameCount = try reader.read()
        guard self.frames.upperBound <= SegmentFormat.mostFrames else {
            throw .tooLarge(
                field: "frames", size: self.frames.upperBound, limit: SegmentFormat.mostFrames)
        }
    }
}

/// What a store says to a read; with `.found`, sealed frames follow as the answer's body.
package enum ReadChunkAnswer: WireMessage, Equatable {
    /// The sealed bytes of the whole chunk, and of each frame that was asked for: 0 where the frame
    /// at rest is not what its checksum says. The body is the others, one behind the other.
    case found(chunkSealedBytes: UInt32, frameLengths: [UInt32])
    case missing
    case device(String)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .found(let sealedBytes, let frameLengths):
            writer.write(UInt8(1))
            writer.write(sealedBytes)
            writer.writeArray(frameLengths) { $0.write($1) }
        case .missing: writer.write(UInt8(2))
        case .device(let reason):
            writer.write(UInt8(3))
            writer.writeString(reason)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1:
            let sealedBytes: UInt32 = try reader.read()
            let lengths = try reader.readArray(
                field: "frame lengths", limit: SegmentFormat.mostFrames
            ) { reader throws(FormatFault) -> UInt32 in
                let length: UInt32 = try reader.read()
                guard length == 0 || SealedFrame.lengths.contains(length) else {
                    throw .invalid(field: "frame length", offset: reader.offset - 4)
                }
                return length
            }
            self = .found(chunkSealedBytes: sealedBytes, frameLengths: lengths)
        case 2: self = .missing
        case 3: self = .device(try reader.readString(field: "reason", limit: 4096))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

/// What a store says of itself.
package struct StoreStatus: WireMessage, Equatable {
    package var chunks: UInt64
    package var sealedBytes: UInt64
    package var segments: UInt32
    package var freeBytes: UInt64

    package init(chunks: UInt64, sealedBytes: UInt64, segments: UInt32, freeBytes: UInt64) {
        self.chunks = chunks
        self.sealedBytes = sealedBytes
        self.segments = segments
        self.freeBytes = freeBytes
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.chunks)
        writer.write(self.sealedBytes)
        writer.write(self.segments)
        writer.write(self.freeBytes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectVersion(1)
        self.chunks = try reader.read()
        self.sealedBytes = try reader.read()
        self.segments = try reader.read()
        self.freeBytes = try reader.read()
    }
}

extension ChunkName {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.write(self.incarnation)
        writer.write(self.counter)
    }

    fileprivate init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(incarnation: try reader.read(), counter: try reader.read())
    }
}

extension ByteReader {
    fileprivate mutating func expectVersion(_ version: UInt8) throws(FormatFault) {
        let found: UInt8 = try self.read()
        guard found == version else { throw .unknownVersion(Int(found)) }
    }
}
