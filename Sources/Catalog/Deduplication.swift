package import Primitives
internal import Wire

/// What a chunk's plain bytes are known by inside one bucket: a MAC of their SHA-256 under a key
/// that comes from the bucket's own. Nobody without that key can tell what a fingerprint is of, and
/// those of two buckets never meet.
package struct ChunkFingerprint: Hashable, Comparable, Sendable {
    package static let sizeBytes = 32
    package let bytes: [UInt8]

    /// Nil unless it is 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.sizeBytes else { return nil }
        self.bytes = bytes
    }

    package static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
}

/// What a command says of its chunks beside naming them.
package struct Deduplication: Equatable, Sendable {
    /// A new chunk that may be found again by its content.
    package struct Entry: Equatable, Sendable {
        /// Its place among the command's chunks.
        package let position: UInt16
        package let fingerprint: ChunkFingerprint

        package init(position: UInt16, fingerprint: ChunkFingerprint) {
            self.position = position
            self.fingerprint = fingerprint
        }
    }

    /// By ascending position.
    package var entries: [Entry]
    /// The places of chunks that were found instead of stored, ascending: each must still be there
    /// when the command is applied, or it is refused with `.chunkCondemned`.
    package var shared: [UInt16]

    package static let none = Deduplication()

    package init(entries: [Entry] = [], shared: [UInt16] = []) {
        self.entries = entries
        self.shared = shared
    }

    /// Whether it speaks of places that `count` chunks have, of each once.
    func fits(chunkCount count: Int) -> Bool {
        let places = self.entries.map(\.position)
        return Self.isAscending(places, below: count) && Self.isAscending(self.shared, below: count)
            && Set(places).isDisjoint(with: self.shared)
    }

    private static func isAscending(_ places: [UInt16], below count: Int) -> Bool {
        zip(places, places.dropFirst()).allSatisfy { $0 < $1 }
            && places.last.map { Int($0) < count } ?? true
    }
}

extension ChunkFingerprint: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.writeRaw(self.bytes) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.bytes = Array(try reader.readRaw(Self.sizeBytes))
    }
}

extension Deduplication: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeArray(self.entries) {
            $0.write($1.position)
            $0.write($1.fingerprint)
        }
        writer.writeArray(self.shared) { $0.write($1) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let entries = try reader.readArray(
            field: "fingerprints", limit: CatalogLimits.chunksPerRow
        ) { (reader) throws(FormatFault) in
            Entry(position: try reader.read(), fingerprint: try ChunkFingerprint(from: &reader))
        }
        let shared = try reader.readArray(
            field: "shared chunks", limit: CatalogLimits.chunksPerRow
        ) { (reader) throws(FormatFault) in try reader.read(UInt16.self) }
        self.init(entries: entries, shared: shared)
    }
}
