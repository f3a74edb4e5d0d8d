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
    package let sealedBytes: UInt32
    /// CRC-32C of each sealed frame, computed once where the chunk was sealed.
    package let frameChecksums: [UInt32]

    package init(name: ChunkName, sealedBytes: UInt32, frameChecksums: [UInt32]) {
        self.name = name
        self.sealedBytes = sealedBytes
        self.frameChecksums = frameChecksums
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        self.name.encode(into: &writer)
        writer.write(self.sealedBytes)
        writer.writeArray(self.frameChecksums) { $0.write($1) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectVersion(1)
        self.name = try ChunkName(from: &reader)
        self.sealedBytes = try reader.read()
        self.frameChecksums = try reader.readArray(
            field: "frame checksums", limit: SegmentFormat.mostFrames
        ) { reader throws(FormatFault) in try reader.read() }
        guard
            SealedLayout(sealedBytes: Int(self.sealedBytes))?.frameCount
                == self.frameChecksums.count
        else { throw .invalid(field: "sealed bytes", offset: 17) }
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

/// What a store says to a read; with `.found`, the sealed frames follow as the answer's body.
package enum ReadChunkAnswer: WireMessage, Equatable {
    /// The store has checked each frame by its checksum.
    case found(chunkSealedBytes: UInt32)
    case missing
    case checksumMismatch(frame: UInt16)
    case device(String)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .found(let sealedBytes):
            writer.write(UInt8(1))
            writer.write(sealedBytes)
        case .missing: writer.write(UInt8(2))
        case .checksumMismatch(let frame):
            writer.write(UInt8(3))
            writer.write(frame)
        case .device(let reason):
            writer.write(UInt8(4))
            writer.writeString(reason)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1: self = .found(chunkSealedBytes: try reader.read())
        case 2: self = .missing
        case 3: self = .checksumMismatch(frame: try reader.read())
        case 4: self = .device(try reader.readString(field: "reason", limit: 4096))
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
