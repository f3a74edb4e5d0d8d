package import OrderedStorage
package import Primitives
internal import Wire

/// Asks what a node has been told to delete.
package struct ListDeletions: Equatable, Sendable {
    package let node: NodeID
    /// What `DeletionPage.next` said; nil at the beginning.
    package let after: ChunkKey?
    /// At most `CatalogLimits.chunksPerSweep`.
    package let limit: Int
    /// Whether the node has no room left: the leader then waits less before it has chunks deleted.
    package let isDiskFull: Bool

    package init(node: NodeID, after: ChunkKey?, limit: Int, isDiskFull: Bool) {
        self.node = node
        self.after = after
        self.limit = limit
        self.isDiskFull = isDiskFull
    }
}

package struct DeletionPage: Equatable, Sendable {
    package let chunks: [ChunkKey]
    /// Where the next page begins; nil at the end.
    package let next: ChunkKey?

    package init(chunks: [ChunkKey], next: ChunkKey?) {
        self.chunks = chunks
        self.next = next
    }
}

/// What a group knows of a chunk that a store holds.
package enum ChunkState: Equatable, Sendable {
    /// The group does not own its slot.
    case slotNotOwned
    /// No row: no manifest ever named it, or it was deleted long ago.
    case absent
    case present(ChunkRow)
}

extension CatalogView {
    func deletions(_ list: ListDeletions) throws(StoreFault) -> DeletionPage {
        let cursor = self.scan(
            CatalogFamilies.rows, CatalogKeys.deletions(of: list.node, after: list.after))
        var chunks: [ChunkKey] = []
        var last: ChunkKey?
        for _ in 0..<min(max(1, list.limit), CatalogLimits.chunksPerSweep) {
            guard let pair = try cursor.next() else {
                return DeletionPage(chunks: chunks, next: nil)
            }
            let key = try Self.read(pair.key, "deletion") { (key) throws(FormatFault) in
                try CatalogKeys.chunk(ofDeletion: key)
            }
            last = key
            // What of a slot that moved away was begun here is its new owner's to go on with.
            if case .owned = try self.ownership(of: key.slot) { chunks.append(key) }
        }
        return DeletionPage(chunks: chunks, next: last)
    }

    func state(of key: ChunkKey) throws(StoreFault) -> ChunkState {
        guard case .owned = try self.ownership(of: key.slot) else { return .slotNotOwned }
        return try self.chunk(key.name, in: key.slot).map { .present($0) } ?? .absent
    }

    /// The chunks that have waited longest in a queue: at most `limit`, none that came later than
    /// `time`, of slots that the group owns.
    package func oldest(
        in queue: ChunkQueue, through time: Timestamp, limit: Int
    ) throws(StoreFault) -> [ChunkKey] {
        let cursor = self.scan(CatalogFamilies.rows, CatalogKeys.queue(queue))
        var chunks: [ChunkKey] = []
        while chunks.count < limit, let pair = try cursor.next() {
            let (key, since) = try Self.read(pair.key, "queue") { (key) throws(FormatFault) in
                try CatalogKeys.queued(ofKey: key)
            }
            guard since <= time else { break }
            if case .owned = try self.ownership(of: key.slot) { chunks.append(key) }
        }
        return chunks
    }

    private static func read<Value>(
        _ key: [UInt8], _ kind: String, _ body: ([UInt8]) throws(FormatFault) -> Value
    ) throws(StoreFault) -> Value {
        do throws(FormatFault) {
            return try body(key)
        } catch {
            throw .corrupt("rows \(Hex.encode(key)) is no \(kind): \(error)")
        }
    }
}

extension ListDeletions: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.node.rawValue)
        writer.writeOptionalMessage(self.after)
        writer.write(UInt32(self.limit))
        writer.write(self.isDiskFull)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let node = NodeID(try reader.read())
        let after = try reader.readOptionalMessage(ChunkKey.self)
        let at = reader.offset
        let limit = Int(try reader.read(UInt32.self))
        guard (1...CatalogLimits.chunksPerSweep).contains(limit) else {
            throw .invalid(field: "limit", offset: at)
        }
        self.init(
            node: node, after: after, limit: limit,
            isDiskFull: try reader.readBool(field: "disk full"))
    }
}

extension DeletionPage: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeMessages(self.chunks)
        writer.writeOptionalMessage(self.next)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            chunks: try reader.readChunkKeys(), next: try reader.readOptionalMessage())
    }
}

extension ChunkState: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .slotNotOwned: writer.write(UInt8(1))
        case .absent: writer.write(UInt8(2))
        case .present(let row): writer.write(tag: 3) { $0.write(row) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .slotNotOwned
        case 2: self = .absent
        case 3: self = .present(try ChunkRow(from: &reader))
        default: throw .invalid(field: "chunk state", offset: at)
        }
    }
}
