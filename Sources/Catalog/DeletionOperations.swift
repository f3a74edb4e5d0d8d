package import Primitives
internal import Wire

/// Ends the time in which a command may name chunks that no manifest names.
package struct CondemnChunks: Equatable, Sendable {
    /// The store that asks, for chunks of its own that have no row: uploads that were never
    /// committed, and copies that came after a deletion. It is told to delete them in its turn.
    /// Nil where the leader sweeps chunks whose last reference went.
    package let holder: NodeID?
    /// At most `CatalogLimits.chunksPerSweep`.
    package let chunks: [ChunkKey]

    package init(holder: NodeID? = nil, chunks: [ChunkKey]) {
        self.holder = holder
        self.chunks = chunks
    }
}

/// Has the holders of condemned chunks delete them, if their last references went long enough ago.
package struct AuthoriseDeletions: Equatable, Sendable {
    /// Log time since the last reference.
    package let grace: Duration
    /// At most `CatalogLimits.chunksPerSweep`.
    package let chunks: [Placed]

    package init(grace: Duration, chunks: [Placed]) {
        self.grace = grace
        self.chunks = chunks
    }

    /// A chunk and its homes by the layout of whoever proposes; the row adds its exceptions.
    package struct Placed: Equatable, Sendable {
        package let key: ChunkKey
        /// 1 to `CatalogLimits.homesPerChunk`.
        package let homes: [NodeID]

        package init(key: ChunkKey, homes: [NodeID]) {
            self.key = key
            self.homes = homes
        }
    }
}

/// A store says that it durably holds none of these chunks any more.
package struct ConfirmDeletions: Equatable, Sendable {
    package let node: NodeID
    /// At most `CatalogLimits.chunksPerSweep`.
    package let chunks: [ChunkKey]

    package init(node: NodeID, chunks: [ChunkKey]) {
        self.node = node
        self.chunks = chunks
    }
}

/// A reader found a node's copy of a chunk missing or bad.
package struct FileBadCopy: Equatable, Sendable {
    package let chunk: ChunkKey
    package let node: NodeID

    package init(chunk: ChunkKey, node: NodeID) {
        self.chunk = chunk
        self.node = node
    }
}

/// Adds to counts of references what an audit found them to be off. Additions commute with what
/// happened since the audit looked; each is made once, whatever is proposed again.
package struct CorrectReferences: Equatable, Sendable {
    /// What the state that was audited had applied.
    package let asOf: LogIndex
    /// At most `CatalogLimits.chunksPerSweep`.
    package let chunks: [Correction]

    package init(asOf: LogIndex, chunks: [Correction]) {
        self.asOf = asOf
        self.chunks = chunks
    }

    package struct Correction: Equatable, Sendable {
        package let key: ChunkKey
        /// Manifests that name the chunk, less what its row counted.
        package let delta: Int64
        /// For a chunk without a row: what the manifests say.
        package let sealedLength: UInt32

        package init(key: ChunkKey, delta: Int64, sealedLength: UInt32) {
            self.key = key
            self.delta = delta
            self.sealedLength = sealedLength
        }
    }
}

/// What became of one chunk of a command. Raw values are for ever.
package enum ChunkVerdict: UInt8, Sendable {
    /// It is as the command wants it, since now or before.
    case done = 1
    /// A manifest names it.
    case referenced = 2
    /// No manifest names it, and the leader will see to it.
    case unreferenced = 3
    /// The group does not own its slot.
    case slotNotOwned = 4
    /// There is no row for it.
    case absent = 5
    /// It is not condemned.
    case notCondemned = 7
    /// Its time has not come.
    case tooEarly = 8
    /// A bound of `CatalogLimits` would be passed.
    case limitReached = 9
    /// Its count was corrected since the audit looked, or cannot be what the audit says.
    case outdated = 10
    /// A manifest names it, and its copies are given up: the one verdict that means loss.
    case lost = 11
}

extension CondemnChunks: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeOptional(self.holder) { $0.write($1.rawValue) }
        writer.writeMessages(self.chunks)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let holder = try reader.readOptional { (reader) throws(FormatFault) in
            NodeID(try reader.read())
        }
        self.init(holder: holder, chunks: try reader.readChunkKeys())
    }
}

extension AuthoriseDeletions: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(Timestamp(milliseconds: 0) + self.grace)
        writer.writeMessages(self.chunks)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let milliseconds = try reader.read(Int64.self)
        guard (0...Self.longestGraceMilliseconds).contains(milliseconds) else {
            throw .invalid(field: "grace", offset: at)
        }
        self.init(
            grace: .milliseconds(milliseconds),
            chunks: try reader.readMessages(
                field: "chunks", limit: CatalogLimits.chunksPerSweep))
    }

    /// 1,000 days.
    private static let longestGraceMilliseconds: Int64 = 86_400_000_000
}

extension AuthoriseDeletions.Placed: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.key)
        writer.writeNodes(self.homes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let key = try ChunkKey(from: &reader)
        let at = reader.offset
        let homes = try reader.readNodes(field: "homes", limit: CatalogLimits.homesPerChunk)
        guard !homes.isEmpty else { throw .invalid(field: "homes", offset: at) }
        self.init(key: key, homes: homes)
    }
}

extension ConfirmDeletions: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.node.rawValue)
        writer.writeMessages(self.chunks)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(node: NodeID(try reader.read()), chunks: try reader.readChunkKeys())
    }
}

extension FileBadCopy: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.chunk)
        writer.write(self.node.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(chunk: try ChunkKey(from: &reader), node: NodeID(try reader.read()))
    }
}

extension CorrectReferences: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.asOf.rawValue)
        writer.writeMessages(self.chunks)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            asOf: LogIndex(try reader.read()),
            chunks: try reader.readMessages(
                field: "chunks", limit: CatalogLimits.chunksPerSweep))
    }
}

extension CorrectReferences.Correction: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.key)
        writer.write(self.delta)
        writer.write(self.sealedLength)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            key: try ChunkKey(from: &reader), delta: try reader.read(),
            sealedLength: try reader.read())
    }
}

extension ByteReader {
    mutating func readChunkKeys() throws(FormatFault) -> [ChunkKey] {
        try self.readMessages(field: "chunks", limit: CatalogLimits.chunksPerSweep)
    }

    mutating func readVerdicts() throws(FormatFault) -> [ChunkVerdict] {
        try self.readArray(field: "verdicts", limit: CatalogLimits.chunksPerSweep) {
            (reader) throws(FormatFault) in
            let at = reader.offset
            guard let verdict = ChunkVerdict(rawValue: try reader.read()) else {
                throw .invalid(field: "verdict", offset: at)
            }
            return verdict
        }
    }
}
