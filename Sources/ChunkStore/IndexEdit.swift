import ChunkProtocol
import OrderedStorage
import Primitives

/// Changes of the index that become visible together. What was changed is seen by what is decided
/// next. The one place where rows, sums and the usage of segments are kept in step.
struct IndexEdit {
    private let index: ChunkIndex
    private var batch = WriteBatch()
    private(set) var totals: ChunkIndex.Totals
    /// Records that these changes make void.
    private(set) var buried: [ChunkIndex.Remains] = []
    /// Of chunks that were changed; nil inside where one was removed.
    private var places: [ChunkName: ChunkIndex.Place?] = [:]
    /// Of segments that were changed.
    private var usages: [UInt64: SegmentUsage] = [:]

    init(_ index: ChunkIndex, totals: ChunkIndex.Totals) {
        self.index = index
        self.totals = totals
    }

    var isEmpty: Bool { self.batch.isEmpty && self.usages.isEmpty }

    func place(of name: ChunkName) throws(StoreFault) -> ChunkIndex.Place? {
        if let changed = self.places[name] { return changed }
        return try self.index.place(of: name)
    }

    /// A record becomes the one that is read; the one before it is void.
    mutating func enter(_ name: ChunkName, at place: ChunkIndex.Place) throws(StoreFault) {
        if let known = try self.place(of: name) {
            try self.abandon(name, known)
        } else {
            self.totals.chunks += 1
        }
        self.totals.sealedBytes += UInt64(place.sealedBytes)
        ChunkIndex.put(place, of: name, into: &self.batch)
        self.places[name] = .some(place)
        let recordBytes = place.recordBytes
        try self.change(place.segment) {
            $0.endBytes = max($0.endBytes, place.offset + recordBytes)
            $0.liveBytes += recordBytes
        }
    }

    /// The chunk is gone; its record is void.
    mutating func remove(_ name: ChunkName) throws(StoreFault) {
        guard let known = try self.place(of: name) else { return }
        try self.abandon(name, known)
        self.totals.chunks -= 1
        ChunkIndex.remove(name, from: &self.batch)
        self.places[name] = .some(nil)
    }

    private mutating func abandon(
        _ name: ChunkName, _ known: ChunkIndex.Place
    ) throws(StoreFault) {
        self.totals.sealedBytes -= UInt64(known.sealedBytes)
        let recordBytes = known.recordBytes
        try self.change(known.segment) { $0.liveBytes -= min($0.liveBytes, recordBytes) }
        try self.bury(name, known.position, recordBytes: recordBytes)
    }

    /// A record stands there and is void.
    mutating func bury(
        _ name: ChunkName, _ position: ChunkIndex.Position, recordBytes: UInt64
    ) throws(StoreFault) {
        let remains = ChunkIndex.Remains(
            name: name, position: position, recordBytes: UInt32(recordBytes))
        ChunkIndex.put(remains, into: &self.batch)
        self.buried.append(remains)
        try self.change(position.segment) {
            $0.endBytes = max($0.endBytes, position.offset + recordBytes)
            $0.deadBytes += recordBytes
        }
    }

    /// The room of void records was given back for good: nothing of them can be read again.
    mutating func gaveBack(_ all: [ChunkIndex.Remains]) throws(StoreFault) {
        for remains in all {
            ChunkIndex.remove(remains, from: &self.batch)
            // A segment that has left took its sums along.
            guard try self.usage(of: remains.position.segment) != nil else { continue }
            try self.change(remains.position.segment) {
                $0.deadBytes -= min($0.deadBytes, UInt64(remains.recordBytes))
            }
        }
    }

    /// A record of tombstones stands at this position.
    mutating func wroteTombstones(at position: ChunkIndex.Position) throws(StoreFault) {
        try self.change(position.segment) {
            $0.endBytes = max($0.endBytes, position.offset + UInt64(SegmentFormat.alignment))
            $0.tombstones += 1
        }
    }

    /// The segment's file may go from here on.
    mutating func leave(_ segment: UInt64) throws(StoreFault) {
        try self.change(segment) { $0.isLeaving = true }
    }

    /// The segment's file is gone for good, and with it the records that are named.
    mutating func left(_ segment: UInt64, _ gone: [ChunkIndex.Remains]) {
        for remains in gone { ChunkIndex.remove(remains, from: &self.batch) }
        self.usages[segment] = nil
        ChunkIndex.removeUsage(of: segment, from: &self.batch)
    }

    func usage(of segment: UInt64) throws(StoreFault) -> SegmentUsage? {
        if let changed = self.usages[segment] { return changed }
        return try self.index.usage(of: segment)
    }

    private mutating func change(
        _ segment: UInt64, _ change: (inout SegmentUsage) -> Void
    ) throws(StoreFault) {
        var usage = try self.usage(of: segment) ?? SegmentUsage(segment: segment)
        change(&usage)
        self.usages[segment] = usage
    }

    /// Everything together, with the position that the index covers then.
    func finished(_ watermark: ChunkIndex.Position) -> WriteBatch {
        var batch = self.batch
        for segment in self.usages.keys.sorted() {
            if let usage = self.usages[segment] { ChunkIndex.put(usage, into: &batch) }
        }
        ChunkIndex.set(self.totals, in: &batch)
        ChunkIndex.set(watermark, in: &batch)
        return batch
    }
}
