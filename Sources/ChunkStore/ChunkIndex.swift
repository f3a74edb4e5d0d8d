import ChunkProtocol
import OrderedStorage
import Primitives

/// Where each chunk stands: a cache of what the segments say, in an ordered store.
///
/// | family     | key                        | row                                              |
/// |------------|----------------------------|--------------------------------------------------|
/// | `chunks`   | name                       | `Place` of the record that is read               |
/// | `remains`  | name, segment, offset      | size of a record that stands there and is void   |
/// | `segments` | segment                    | `SegmentUsage`                                   |
/// | `facts`    | `watermark`, `totals`      | up to where segments are covered; sums           |
///
/// **Every record that can be read in a segment below the watermark has a row: in `chunks` or in
/// `remains`.** So whoever finds neither knows that nothing of a chunk is left.
///
/// Its rows and the watermark change in one batch. After a crash a prefix of the batches is left,
/// so the watermark that is read never passes the rows.
struct ChunkIndex: Sendable {
    struct Place: Equatable, Sendable {
        var segment: UInt64
        /// Of the record's header.
        var offset: UInt64
        var sealedBytes: UInt32
        var frameCount: UInt16
        var slot: Slot
        var storedAt: Timestamp

        init(
            segment: UInt64, offset: UInt64, sealedBytes: UInt32, frameCount: UInt16, slot: Slot,
            storedAt: Timestamp
        ) {
            self.segment = segment
            self.offset = offset
            self.sealedBytes = sealedBytes
            self.frameCount = frameCount
            self.slot = slot
            self.storedAt = storedAt
        }

        init(_ record: SegmentFormat.Record, _ segment: UInt64, _ offset: UInt64) {
            self.init(
                segment: segment, offset: offset, sealedBytes: UInt32(record.sealedBytes),
                frameCount: UInt16(record.frames.count), slot: record.slot,
                storedAt: record.storedAt)
        }

        var recordBytes: UInt64 {
            UInt64(
                SegmentFormat.recordBytes(
                    frameCount: Int(self.frameCount), sealedBytes: Int(self.sealedBytes)))
        }

        var position: Position { Position(segment: self.segment, offset: self.offset) }
    }

    /// A place in the order in which records were written.
    struct Position: Equatable, Comparable, Sendable {
        var segment: UInt64
        var offset: UInt64
        static let start = Position(segment: 0, offset: 0)
        static func < (a: Self, b: Self) -> Bool {
            (a.segment, a.offset) < (b.segment, b.offset)
        }
    }

    /// A record that stands in a segment and is void: its chunk was deleted, or has another record.
    struct Remains: Equatable, Sendable {
        var name: ChunkName
        var position: Position
        var recordBytes: UInt32

        /// In its segment.
        var range: Range<UInt64> {
            self.position.offset..<self.position.offset + UInt64(self.recordBytes)
        }
    }

    struct Totals: Equatable, Sendable {
        var chunks: UInt64 = 0
        var sealedBytes: UInt64 = 0
    }

    static let chunks = Family(index: 0, name: "chunks")
    static let facts = Family(index: 1, name: "facts")
    static let segments = Family(index: 2, name: "segments")
    static let remains = Family(index: 3, name: "remains")
    static let options = StoreOptions(
        families: [chunks, facts, segments, remains], isLogged: false, cacheBytes: 8 << 20)
    private static let watermarkKey = Array("watermark".utf8)
    private static let totalsKey = Array("totals".utf8)

    let store: any OrderedStore

    func place(of name: ChunkName) throws(StoreFault) -> Place? {
        try self.store.get(Self.chunks, Self.key(name)).map(Self.place(from:))
    }

    /// Every record below this position is in the index.
    func watermark() throws(StoreFault) -> Position {
        guard let value = try self.store.get(Self.facts, Self.watermarkKey) else {
            return .start
        }
        return try Self.reading("watermark", value) { reader throws(FormatFault) in
            Position(segment: try reader.read(), offset: try reader.read())
        }
    }

    func totals() throws(StoreFault) -> Totals {
        guard let value = try self.store.get(Self.facts, Self.totalsKey) else { return Totals() }
        return try Self.reading("totals", value) { reader throws(FormatFault) in
            Totals(chunks: try reader.read(), sealedBytes: try reader.read())
        }
    }

    func usage(of segment: UInt64) throws(StoreFault) -> SegmentUsage? {
        let key = Self.key(segment)
        return try self.store.get(Self.segments, key).map { value throws(StoreFault) in
            try Self.usage(key, value)
        }
    }

    /// Of all segments with records, in the order of their numbers.
    func usages() throws(StoreFault) -> [SegmentUsage] {
        var usages: [SegmentUsage] = []
        let cursor = self.store.scan(Self.segments, .all)
        while let row = try cursor.next() { usages.append(try Self.usage(row.key, row.value)) }
        return usages
    }

    /// At most `limit` chunks behind a name, in the order of names.
    func places(
        behind name: ChunkName?, limit: Int
    ) throws(StoreFault) -> [(name: ChunkName, place: Place)] {
        let start = name.map { Self.key($0) + [0] } ?? []
        let cursor = self.store.scan(Self.chunks, KeyRange(start: start, end: nil))
        var places: [(ChunkName, Place)] = []
        while places.count < limit, let row = try cursor.next() {
            places.append((try Self.name(row.key), try Self.place(from: row.value)))
        }
        return places
    }

    /// At most `limit` records that are void, from the first at or behind a name.
    func remains(from name: ChunkName? = nil, limit: Int) throws(StoreFault) -> [Remains] {
        let start = name.map(Self.key) ?? []
        let cursor = self.store.scan(Self.remains, KeyRange(start: start, end: nil))
        var remains: [Remains] = []
        while remains.count < limit, let row = try cursor.next() {
            remains.append(try Self.remains(row.key, row.value))
        }
        return remains
    }

    func hasRemains(of name: ChunkName, at position: Position) throws(StoreFault) -> Bool {
        let remains = Remains(name: name, position: position, recordBytes: 0)
        return try self.store.get(Self.remains, Self.key(remains)) != nil
    }

    /// Whether a void record of the chunk stands in a segment other than this one.
    func hasRemains(of name: ChunkName, besides segment: UInt64) throws(StoreFault) -> Bool {
        let cursor = self.store.scan(Self.remains, KeyRange(prefix: Self.key(name)))
        while let row = try cursor.next() {
            if try Self.remains(row.key, row.value).position.segment != segment { return true }
        }
        return false
    }

    /// Makes the rows durable. False when the disk is full, so that it has to wait.
    func flush() throws(StoreFault) -> Bool {
        do throws(StoreFault) { try self.store.flush() } catch {
            guard case .full = error else { throw error }
            return false
        }
        return true
    }

    /// Forgets everything.
    func removeAll() throws(StoreFault) {
        var batch = WriteBatch()
        for family in Self.options.families { batch.delete(family, in: KeyRange.all) }
        try self.store.write(batch, .unlogged)
    }
}

// MARK: - Rows

extension ChunkIndex {
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

    static func put(_ remains: Remains, into batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 5)
        writer.write(UInt8(1))
        writer.write(remains.recordBytes)
        batch.put(Self.remains, Self.key(remains), writer.bytes)
    }

    static func remove(_ remains: Remains, from batch: inout WriteBatch) {
        batch.delete(Self.remains, Self.key(remains))
    }

    static func put(_ usage: SegmentUsage, into batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 34)
        writer.write(UInt8(1))
        writer.write(usage.endBytes)
        writer.write(usage.liveBytes)
        writer.write(usage.deadBytes)
        writer.write(usage.tombstones)
        writer.write(usage.isLeaving)
        batch.put(Self.segments, Self.key(usage.segment), writer.bytes)
    }

    static func removeUsage(of segment: UInt64, from batch: inout WriteBatch) {
        batch.delete(Self.segments, Self.key(segment))
    }

    static func set(_ watermark: Position, in batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 17)
        writer.write(UInt8(1))
        writer.write(watermark.segment)
        writer.write(watermark.offset)
        batch.put(Self.facts, Self.watermarkKey, writer.bytes)
    }

    static func set(_ totals: Totals, in batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: 17)
        writer.write(UInt8(1))
        writer.write(totals.chunks)
        writer.write(totals.sealedBytes)
        batch.put(Self.facts, Self.totalsKey, writer.bytes)
    }

    private static func key(_ name: ChunkName) -> [UInt8] {
        var writer = ByteWriter(capacity: 16)
        writer.writeBigEndian(name.incarnation)
        writer.writeBigEndian(name.counter)
        return writer.bytes
    }

    private static func key(_ segment: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: 8)
        writer.writeBigEndian(segment)
        return writer.bytes
    }

    private static func key(_ remains: Remains) -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.writeRaw(Self.key(remains.name))
        writer.writeBigEndian(remains.position.segment)
        writer.writeBigEndian(remains.position.offset)
        return writer.bytes
    }

    private static func name(_ key: [UInt8]) throws(StoreFault) -> ChunkName {
        try Self.reading("name", key, version: nil) { reader throws(FormatFault) in
            ChunkName(
                incarnation: try reader.readBigEndian(), counter: try reader.readBigEndian())
        }
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

    private static func usage(_ key: [UInt8], _ value: [UInt8]) throws(StoreFault) -> SegmentUsage {
        let segment = try Self.reading("segment", key, version: nil) {
            reader throws(FormatFault) -> UInt64 in try reader.readBigEndian()
        }
        return try Self.reading("usage", value) { reader throws(FormatFault) in
            SegmentUsage(
                segment: segment, endBytes: try reader.read(), liveBytes: try reader.read(),
                deadBytes: try reader.read(), tombstones: try reader.read(),
                isLeaving: try reader.readBool())
        }
    }

    private static func remains(_ key: [UInt8], _ value: [UInt8]) throws(StoreFault) -> Remains {
        let recordBytes = try Self.reading("remains", value) {
            reader throws(FormatFault) -> UInt32 in try reader.read()
        }
        return try Self.reading("remains", key, version: nil) { reader throws(FormatFault) in
            Remains(
                name: ChunkName(
                    incarnation: try reader.readBigEndian(), counter: try reader.readBigEndian()),
                position: Position(
                    segment: try reader.readBigEndian(), offset: try reader.readBigEndian()),
                recordBytes: recordBytes)
        }
    }

    /// - Parameter version: that the bytes begin with; nil for keys, which have none.
    private static func reading<Value>(
        _ what: String, _ value: [UInt8], version: UInt8? = 1,
        _ read: (inout ByteReader) throws(FormatFault) -> Value
    ) throws(StoreFault) -> Value {
        do throws(FormatFault) {
            var reader = ByteReader(value)
            if let version {
                let found: UInt8 = try reader.read()
                guard found == version else { throw .unknownVersion(Int(found)) }
            }
            let result = try read(&reader)
            try reader.finish()
            return result
        } catch {
            throw .corrupt("\(what) in the chunk index: \(error)")
        }
    }
}
