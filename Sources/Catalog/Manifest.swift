package import Primitives
internal import Wire

/// What a version's bytes are: immutable once written, shared by copies, counted by references.
package enum Manifest: Equatable, Sendable {
    /// The sealed bytes themselves, for small objects. The name is not of a chunk that any store
    /// holds: it gives the bytes their own key, as a chunk's name does.
    case inline(name: ChunkName, sealed: [UInt8])
    /// Chunks, in the order of the bytes, at most `CatalogLimits.chunksPerRow`.
    case chunks([ChunkReference])
    /// Parts, each in a row of its own (`ManifestPart`), which readers ask for page by page. Rows
    /// that the table does not name are no part of it.
    case parts(PartTable)
}

extension Manifest {
    var isInline: Bool {
        switch self {
        case .inline: true
        case .chunks, .parts: false
        }
    }

    /// Nil unless it names chunks itself.
    var chunks: [ChunkReference]? {
        switch self {
        case .chunks(let chunks): chunks
        case .inline, .parts: nil
        }
    }
}

/// A chunk as a manifest names it.
package struct ChunkReference: Equatable, Sendable {
    package let name: ChunkName
    /// Bytes of the object that the chunk holds.
    package let plainLength: UInt32
    /// Bytes that a store holds.
    package let sealedLength: UInt32
    /// Nodes that hold a copy though they were not homes when the chunk was written. A reader tries
    /// them last; the chunk's own row is what repair follows.
    package let exceptions: [NodeID]

    package init(
        name: ChunkName, plainLength: UInt32, sealedLength: UInt32, exceptions: [NodeID] = []
    ) {
        self.name = name
        self.plainLength = plainLength
        self.sealedLength = sealedLength
        self.exceptions = exceptions
    }
}

extension Manifest: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        switch self {
        case .inline(let name, let sealed):
            writer.write(UInt8(1))
            writer.write(name)
            writer.writeBytes(sealed)
        case .chunks(let chunks):
            writer.write(UInt8(2))
            writer.writeMessages(chunks)
        case .parts(let table):
            writer.write(UInt8(3))
            writer.write(table)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1:
            let name = try ChunkName(from: &reader)
            self = .inline(name: name, sealed: try reader.readInlineBytes())
        case 2:
            self = .chunks(
                try reader.readMessages(field: "chunks", limit: CatalogLimits.chunksPerRow))
        case 3: self = .parts(try PartTable(from: &reader))
        default: throw .invalid(field: "manifest", offset: at)
        }
    }
}

extension ChunkReference: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.name)
        writer.write(self.plainLength)
        writer.write(self.sealedLength)
        writer.write(UInt8(self.exceptions.count))
        for node in self.exceptions { writer.write(node.rawValue) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let name = try ChunkName(from: &reader)
        let at = reader.offset
        let plainLength = try reader.read(UInt32.self)
        let sealedLength = try reader.read(UInt32.self)
        guard (1...CatalogLimits.chunkBytes).contains(plainLength),
            (1...CatalogLimits.chunkBytes + CatalogLimits.chunkSealBytes).contains(sealedLength)
        else { throw .invalid(field: "chunk length", offset: at) }
        self.init(
            name: name, plainLength: plainLength, sealedLength: sealedLength,
            exceptions: try Self.readExceptions(from: &reader))
    }

    static func readExceptions(from reader: inout ByteReader) throws(FormatFault) -> [NodeID] {
        let count = Int(try reader.read(UInt8.self))
        guard count <= CatalogLimits.exceptionsPerChunk else {
            throw .tooLarge(
                field: "exceptions", size: count, limit: CatalogLimits.exceptionsPerChunk)
        }
        var exceptions: [NodeID] = []
        for _ in 0..<count { exceptions.append(NodeID(try reader.read(UInt32.self))) }
        return exceptions
    }
}

extension ByteReader {
    /// The sealed bytes of a small object, or of a small part.
    mutating func readInlineBytes() throws(FormatFault) -> [UInt8] {
        Array(
            try self.readBytes(
                field: "inline bytes",
                limit: CatalogLimits.inlineBytes + CatalogLimits.inlineSealBytes))
    }
}

extension ByteWriter {
    mutating func write(_ name: ChunkName) {
        self.write(name.incarnation)
        self.write(name.counter)
    }
}

extension ChunkName {
    init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(incarnation: try reader.read(), counter: try reader.read())
    }
}
