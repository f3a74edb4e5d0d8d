internal import OrderedStorage
internal import Primitives

/// The keys of the rows by which chunks die.
extension CatalogKeys {
    /// The rows of all chunks.
    static let chunks = KeyRange(prefix: [Kind.chunk.rawValue])

    /// The chunk in a key that `chunk` made.
    static func chunk(ofKey key: [UInt8]) throws(FormatFault) -> ChunkKey {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        let slot = Slot(rawValue: try reader.read())
        // The place on the ring, which follows from the name.
        _ = try reader.read(UInt32.self)
        let name = ChunkName(incarnation: try reader.read(), counter: try reader.read())
        try reader.finish()
        return ChunkKey(slot: slot, name: name)
    }

    /// All of a queue, in the order of log time.
    static func queue(_ queue: ChunkQueue) -> KeyRange {
        KeyRange(prefix: Self.key(.chunkQueue) { $0.write(queue.rawValue) })
    }

    static func queued(_ key: ChunkKey, in queue: ChunkQueue, _ time: Timestamp) -> [UInt8] {
        Self.key(.chunkQueue) {
            $0.write(queue.rawValue)
            $0.write(time.milliseconds)
            $0.write(key)
        }
    }

    /// What a key that `queued` made says.
    static func queued(ofKey key: [UInt8]) throws(FormatFault) -> (ChunkKey, Timestamp) {
        var reader = KeyReader(key)
        _ = try reader.read(UInt16.self)
        let time = Timestamp(milliseconds: try reader.read())
        let chunk = try reader.readChunkKey()
        try reader.finish()
        return (chunk, time)
    }

    /// The node's authorised deletions behind `after`, in the order of slots and names.
    static func deletions(of node: NodeID, after: ChunkKey?) -> KeyRange {
        let all = KeyRange(prefix: Self.key(.deletion) { $0.write(node.rawValue) })
        guard let after else { return all }
        return KeyRange(start: Self.deletion(of: after, by: node) + [0], end: all.end)
    }

    static func deletion(of key: ChunkKey, by node: NodeID) -> [UInt8] {
        Self.key(.deletion) {
            $0.write(node.rawValue)
            $0.write(key)
        }
    }

    /// The chunk in a key that `deletion` made.
    static func chunk(ofDeletion key: [UInt8]) throws(FormatFault) -> ChunkKey {
        var reader = KeyReader(key)
        _ = try reader.read(UInt8.self)
        _ = try reader.read(UInt32.self)
        let chunk = try reader.readChunkKey()
        try reader.finish()
        return chunk
    }
}

extension KeyWriter {
    fileprivate mutating func write(_ key: ChunkKey) {
        self.write(key.slot.rawValue)
        self.write(key.name.incarnation)
        self.write(key.name.counter)
    }
}

extension KeyReader {
    fileprivate mutating func readChunkKey() throws(FormatFault) -> ChunkKey {
        ChunkKey(
            slot: Slot(rawValue: try self.read()),
            name: ChunkName(incarnation: try self.read(), counter: try self.read()))
    }
}
