import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives

/// Checks a store's directory while no node uses it, and changes nothing in it. Blocking.
///
/// Every header and every frame of live records is checked, and the index is compared with the
/// segments in both directions. Memory is bounded by what stands behind the index's watermark;
/// without an index, by the number of chunks.
package struct StoreVerification {
    package enum Fault: Error, Equatable, Sendable {
        case notAStore(directory: String)
        /// A node is running on it.
        case inUse(directory: String)
        case file(FileFault)
        case index(StoreFault)
    }

    private let files: SegmentFiles
    private let index: ChunkIndex
    private let watermark: ChunkIndex.Position
    private var report = StoreReport()
    /// Chunks that records and tombstones behind the watermark speak of, with where they stand in
    /// the end; nil inside for those deleted.
    private var later: [ChunkName: ChunkIndex.Position?] = [:]
    /// Rows of the index whose record was met.
    private var rowsMet = 0

    /// Checks everything.
    ///
    /// - Parameters:
    ///   - directory: of a store, or of a node with a store in `chunks`.
    ///   - openIndex: opens an ordered store without changing it.
    ///   - progress: called before each segment, with its position among so many.
    package static func run(
        _ directory: String, _ fileSystem: any FileSystem,
        openIndex: (String, StoreOptions) throws(StoreFault) -> any OrderedStore,
        progress: (_ segment: Int, _ of: Int) -> Void = { _, _ in }
    ) throws(Fault) -> StoreReport {
        let directory = try Self.store(in: directory, fileSystem)
        let lock = try Self.lock(directory, fileSystem)
        defer { lock?.close() }
        let hasIndex = try Fault.onFiles { () throws(FileFault) in
            let path = directory + "/index"
            guard try fileSystem.status(path) != nil else { return false }
            return try !fileSystem.list(path).isEmpty
        }
        let store = try Fault.onIndex { () throws(StoreFault) in
            hasIndex
                ? try openIndex(directory + "/index", ChunkIndex.options)
                : try MemoryStoreFactory().open("index", ChunkIndex.options)
        }
        defer { store.close() }
        var verification = try StoreVerification(
            SegmentFiles(
                files: fileSystem, directory: directory + "/segments", mode: .read),
            ChunkIndex(store: store))
        verification.report.hasIndex = hasIndex
        try verification.walkAll(progress)
        try verification.lookForSurplus()
        return verification.report
    }

    private static func store(
        in directory: String, _ files: any FileSystem
    ) throws(Fault) -> String {
        for store in [directory + "/chunks", directory] {
            let status = try Fault.onFiles { () throws(FileFault) in
                try files.status(store + "/segments")
            }
            if status?.isDirectory == true { return store }
        }
        throw .notAStore(directory: directory)
    }

    /// The lock that a node on this store would hold; nil where no node has been yet.
    private static func lock(
        _ directory: String, _ files: any FileSystem
    ) throws(Fault) -> (any File)? {
        let path = directory + "/lock"
        let lock = try Fault.onFiles { () throws(FileFault) -> (any File)? in
            try files.status(path) == nil ? nil : try files.open(path, .read)
        }
        guard let lock else { return nil }
        let isFree = try Fault.onFiles { () throws(FileFault) in try lock.tryLock() }
        if isFree { return lock }
        lock.close()
        throw .inUse(directory: directory)
    }

    private init(_ files: SegmentFiles, _ index: ChunkIndex) throws(Fault) {
        self.files = files
        self.index = index
        self.watermark = try Fault.onIndex { () throws(StoreFault) in try index.watermark() }
    }

    /// First what stands behind the watermark: it decides over rows of what stands before.
    private mutating func walkAll(_ progress: (Int, Int) -> Void) throws(Fault) {
        let numbers = try Fault.onFiles { () throws(FileFault) in try self.files.numbers() }
        let (index, watermark) = (self.index, self.watermark)
        let known = try Fault.onIndex { () throws(StoreFault) in
            Set(try index.usages().filter { !$0.isLeaving }.map(\.segment))
        }
        let behind = numbers.filter { !known.contains($0) || $0 >= watermark.segment }
        let below = numbers.filter { known.contains($0) && $0 <= watermark.segment }
        self.report.segments = numbers.count
        for (position, segment) in behind.enumerated() {
            progress(position, behind.count + below.count)
            let isCovered = known.contains(segment) && segment == watermark.segment
            try self.walkBehind(segment, from: isCovered ? watermark.offset : 0)
        }
        for (position, segment) in below.enumerated() {
            progress(behind.count + position, behind.count + below.count)
            try self.walkBelow(
                segment, upTo: segment == watermark.segment ? watermark.offset : UInt64.max)
        }
    }
}

extension StoreVerification.Fault {
    fileprivate static func onFiles<Value>(
        _ work: () throws(FileFault) -> Value
    ) throws(Self) -> Value {
        do throws(FileFault) { return try work() } catch { throw .file(error) }
    }

    fileprivate static func onIndex<Value>(
        _ work: () throws(StoreFault) -> Value
    ) throws(Self) -> Value {
        do throws(StoreFault) { return try work() } catch { throw .index(error) }
    }
}

// MARK: - Behind the watermark

extension StoreVerification {
    /// Takes what stands there as the next start will, by the same table.
    private mutating func walkBehind(_ segment: UInt64, from start: UInt64) throws(Fault) {
        let files = self.files
        var walk = try Fault.onFiles { () throws(FileFault) in
            try SegmentWalk(segment, in: files, from: start)
        }
        var torn: (name: ChunkName, position: ChunkIndex.Position, frames: [Int])?
        while let (offset, header) = try Fault.onFiles({ () throws(FileFault) in try walk.next() })
        {
            if let bad = torn { self.report.isBad(bad.name, bad.position, frames: bad.frames) }
            torn = nil
            let position = ChunkIndex.Position(segment: segment, offset: offset)
            self.report.notYetIndexed += 1
            switch header {
            case .tombstones(let tombstones):
                self.report.tombstones += tombstones.chunks.count
                for chunk in tombstones.chunks {
                    let known = try self.known(chunk.name, beside: position)
                    if ScanDecision.action(for: .tombstone, known) == .remove {
                        self.forget(chunk.name, for: nil)
                    }
                }
            case .chunk(let record):
                self.report.records += 1
                let bad = try self.badFrames(of: record, at: position)
                if bad.isEmpty { walk.pass(header, at: offset) }
                let known = try self.known(record.name, beside: position)
                switch ScanDecision.action(
                    for: bad.isEmpty ? .wholeRecord : .badRecord, known)
                {
                case .enter, .supersede:
                    self.forget(record.name, for: position)
                    if !bad.isEmpty { torn = (record.name, position, bad) }
                case .bury, .remove, .keep: self.report.void += 1
                }
            }
        }
        if torn != nil {
            self.report.torn += 1
            self.report.live -= 1
        }
    }

    private func known(
        _ name: ChunkName, beside position: ChunkIndex.Position
    ) throws(Fault) -> ScanDecision.Known {
        if let later = self.later[name] { return ScanDecision.Known(later, beside: position) }
        let index = self.index
        let place = try Fault.onIndex { () throws(StoreFault) in try index.place(of: name) }
        return ScanDecision.Known(place?.position, beside: position)
    }

    /// The chunk stands at another position from here on, or nowhere.
    private mutating func forget(_ name: ChunkName, for position: ChunkIndex.Position?) {
        if case .some(.some) = self.later[name] {
            self.report.live -= 1
            self.report.void += 1
        }
        self.later[name] = .some(position)
        if position != nil { self.report.live += 1 }
    }

    private func badFrames(
        of record: SegmentFormat.Record, at position: ChunkIndex.Position
    ) throws(Fault) -> [Int] {
        let place = ChunkIndex.Place(record, position.segment, position.offset)
        do throws(SegmentReader.Fault) {
            let lengths = try SegmentReader(files: self.files)
                .frames(0..<record.frames.count, of: record.name, at: place).lengths
            return lengths.indices.filter { lengths[$0] == 0 }
        } catch {
            switch error {
            case .noRecord: return Array(record.frames.indices)
            case .file(let fault): throw .file(fault)
            }
        }
    }
}

// MARK: - Below the watermark

extension StoreVerification {
    /// Every record has a row: the one it is read by, or that of its remains.
    private mutating func walkBelow(_ segment: UInt64, upTo end: UInt64) throws(Fault) {
        let (files, index) = (self.files, self.index)
        var walk = try Fault.onFiles { () throws(FileFault) in
            try SegmentWalk(segment, in: files)
        }
        while let (offset, header) = try Fault.onFiles({ () throws(FileFault) in try walk.next() }),
            offset < end
        {
            walk.pass(header, at: offset)
            let position = ChunkIndex.Position(segment: segment, offset: offset)
            switch header {
            case .tombstones(let tombstones):
                self.report.tombstones += tombstones.chunks.count
                for chunk in tombstones.chunks {
                    let place = try Fault.onIndex { () throws(StoreFault) in
                        try index.place(of: chunk.name)
                    }
                    // Deleted here, and still in the index.
                    if let place, place.position < position { self.report.rowsSurplus += 1 }
                }
            case .chunk(let record):
                self.report.records += 1
                try self.take(record, at: position)
            }
        }
    }

    private mutating func take(
        _ record: SegmentFormat.Record, at position: ChunkIndex.Position
    ) throws(Fault) {
        let index = self.index
        let place = try Fault.onIndex { () throws(StoreFault) in try index.place(of: record.name) }
        if place?.position == position {
            self.rowsMet += 1
            guard self.later[record.name] == nil else {
                self.report.void += 1
                return
            }
            self.report.live += 1
            let bad = try self.badFrames(of: record, at: position)
            if !bad.isEmpty { self.report.isBad(record.name, position, frames: bad) }
            return
        }
        let isKnown = try Fault.onIndex { () throws(StoreFault) in
            try index.hasRemains(of: record.name, at: position)
        }
        if isKnown { self.report.void += 1 } else { self.report.rowsMissing += 1 }
    }

    /// Rows whose record was not met, if there are any.
    private mutating func lookForSurplus() throws(Fault) {
        let (index, reader) = (self.index, SegmentReader(files: self.files))
        let page = 1000
        for isNaming in [false, true] {
            var last: ChunkName?
            var rows = 0
            repeat {
                let behind = last
                let places = try Fault.onIndex { () throws(StoreFault) in
                    try index.places(behind: behind, limit: page)
                }
                rows += places.count
                last = places.count == page ? places.last?.name : nil
                guard isNaming else { continue }
                for (name, place) in places where self.later[name] == nil {
                    guard try !Self.stands(name, place, reader) else { continue }
                    self.report.rowsSurplus += 1
                    self.report.isBad(name, place.position, frames: [])
                }
            } while last != nil
            if rows == self.rowsMet { return }
        }
    }

    private static func stands(
        _ name: ChunkName, _ place: ChunkIndex.Place, _ reader: SegmentReader
    ) throws(Fault) -> Bool {
        do throws(SegmentReader.Fault) {
            _ = try reader.frames(0..<0, of: name, at: place)
            return true
        } catch {
            switch error {
            case .noRecord, .file(.notFound): return false
            case .file(let fault): throw .file(fault)
            }
        }
    }
}
