import ChunkProtocol
import OrderedStorage
import Primitives

/// Where each chunk stands: a cache of what the segments say, in an ordered store.
///
/// Its rows and the watermark up to which segments are covered change in one batch. After a crash a
/// prefix of the batches is left, so the watermark that is read never passes the rows.
struct ChunkIndex: Sendable {
    struct Place: Equatable, Sendable {
        var segment: UInt64
        /// Of the record's header.
        var offset: UInt64
        var sealedBytes: UInt32
        var frameCount: UInt16
        var slot: Slot
        var storedAt: Timestamp
    }

    /// Every record below this position is in the index.
    struct Watermark: Equatable, Comparable, Sendable {
        var segment: UInt64
        var offset: UInt64
        static let start = Watermark(segment: 0, offset: 0)
        static func < (a: Self, b: Self) -> Bool {
            (a.segment, a.offset) < (b.segment, b.offset)
        }
    }

    static func place(
        of record: SegmentFormat.Record, _ segment: UInt64, _ offset: UInt64
    ) -> Place {
        Place(
            segment: segment, offset: offset, sealedBytes: UInt32(record.sealedBytes),
            frameCount: UInt16(record.frames.count), slot: record.slot,
            storedAt: record.storedAt)
    }

    static let chunks = Family(index: 0, name: "chunks")
    static let facts = Family(index: 1, name: "facts")
    static let options = StoreOptions(
        families: [chunks, facts], isLogged: false, cacheBytes: 8 << 20)
    private static let watermarkKey = Array("watermark".utf8)
    private static let totalsKey = Array("totals".utf8)

    let store: any OrderedStore

    static func key(_ name: ChunkName) -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.writeBigEndian(name.incarnation)
        writer.writeBigEndian(name.counter)
        return writer.bytes
    }

    func place(of name: ChunkName) throws(StoreFault) -> Place? {
        try self.store.get(Self.chunks, Self.key(name)).map(Self.place(from:))
    }

    func watermark() throws(StoreFault) -> Watermark {
        guard let value = try self.store.get(Self.facts, Self.watermarkKey) else {
            return .start
        }
        return try Self.reading("watermark", value) { reader throws(FormatFault) in
            Watermark(segment: try reader.read(), offset: try reader.read())
        }
    }

    func totals() throws(StoreFault) -> (chunks: UInt64, sealedBytes: UInt64) {
        guard let value = try self.store.get(Self.facts, Self.totalsKey) else { return (0, 0) }
        return try Self.reading("totals", value) { reader throws(FormatFault) in
            (try reader.read(), try reader.read())
        }
    }

    /// Makes the rows durable, so that the next start has less to look at. On a full disk that has
    /// to wait, and does no harm.
    func flush() throws(StoreFault) {
        do throws(StoreFault) { try self.store.flush() } catch {
            guard case .full = error else { throw error }
        }
    }

    /// Forgets everything.
    func removeAll() throws(StoreFault) {
        var batch = WriteBatch()
        batch.delete(Self.chunks, in: KeyRange.all)
        batch.delete(Self.facts, in: KeyRange.all)
        try self.store.write(batch, .unlogged)
    }

    static func put(_ place: Place, of name: ChunkName, into batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 33)
        writer.write(UInt8(1))
        writer.write(place.segment)
        writer.write(place.offset)
        writer.write(place.sealedBytes)
        writer.write(place.frameCount)
        writer.write(place.slot.rawValue)
        writer.write(place.storedAt.milliseconds)
        batch.put(Self.chunks, Self.key(name), writer.bytes)
    }

    static func remove(_ name: ChunkName, from batch: inout WriteBatch) {
        batch.delete(Self.chunks, Self.key(name))
    }

    static func set(_ watermark: Watermark, in batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 17)
        writer.write(UInt8(1))
        writer.write(watermark.segment)
        writer.write(watermark.offset)
        batch.put(Self.facts, Self.watermarkKey, writer.bytes)
    }

    static func set(chunks: UInt64, sealedBytes: UInt64, in batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 17)
        writer.write(UInt8(1))
        writer.write(chunks)
        writer.write(sealedBytes)
        batch.put(Self.facts, Self.totalsKey, writer.bytes)
    }

    private static func place(from value: [UInt8]) throws(StoreFault) -> Place {
        try Self.reading("place", value) { reader throws(FormatFault) in
            Place(
                segment: try reader.read(), offset: try reader.read(),
                sealedBytes: try reader.read(), frameCount: try reader.read(),
                slot: Slot(rawValue: try reader.read()),
                storedAt: Timestamp(milliseconds: try reader.read()))
        }
    }

    private static func reading<Value>(
        _ what: String, _ value: [UInt8],
        _ read: (inout ByteReader) throws(FormatFault) -> Value
    ) throws(StoreFault) -> Value {
        do throws(FormatFault) {
            var reader = ByteReader(value)
            let version: UInt8 = try reader.read()
            guard version == 1 else { throw .unknownVersion(Int(version)) }
            let result = try read(&reader)
            try reader.finish()
            return result
        } catch {
            throw .corrupt("\(what) in the chunk index: \(error)")
        }
    }
}
