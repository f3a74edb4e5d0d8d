import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives
import Telemetry

/// The chunks of one node: sealed bytes in append-only segments, found through an index.
///
/// One writer appends records in offset order. Chunks that arrive while a sync is on its way share
/// the next one, and each is answered only when the sync that covers it has returned. A failed sync
/// ends the process: what the disk holds is then unknown, and nobody may be told otherwise.
package actor ChunkStore {
    nonisolated let loop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        self.loop.asUnownedSerialExecutor()
    }

    /// The status a process ends with when its disk has failed it.
    package static let diskFailureStatus: Int32 = 70

    /// A chunk to be written, and who waits for it.
    private struct Intake {
        let record: SegmentFormat.Record
        let body: [[UInt8]]
        let answer: UnsafeContinuation<PutChunkAnswer, Never>
    }

    private let environment: any Environment
    private let settings: ChunkStoreSettings
    private let files: SegmentFiles
    private let index: ChunkIndex
    private let lock: any File
    private let end: ProcessEnd

    private var waiting: [Intake] = []
    /// Of chunks that wait and of those being committed.
    private var waitingBytes = 0
    private var isCommitting = false
    private var isClosing = false
    /// Who waits for the last commit to end.
    private var closers: [UnsafeContinuation<Void, Never>] = []
    private var writer: SegmentWriter
    private var chunks: UInt64
    private var sealedBytes: UInt64

    package nonisolated let counters: Counters

    package struct Counters: Sendable {
        package let chunksStored: Counter
        package let bytesStored: Counter
        package let syncs: Counter
        package let framesRead: Counter
        package let badFrames: Counter
        package let refusedFull: Counter
        package let refusedOverloaded: Counter
        /// Records entered into the index from the segments at a start.
        package let recordsRecovered: Counter
        package let recordsTorn: Counter
        package let indexRebuilds: Counter

        package init(_ registry: MetricsRegistry) {
            self.chunksStored = registry.counter(
                "holdfast_store_chunks_stored_total", help: "Chunks stored durably.")
            self.bytesStored = registry.counter(
                "holdfast_store_bytes_stored_total", help: "Sealed bytes stored durably.")
            self.syncs = registry.counter(
                "holdfast_store_syncs_total", help: "Synced writes of segments.")
            self.framesRead = registry.counter(
                "holdfast_store_frames_read_total", help: "Sealed frames read and checked.")
            self.badFrames = registry.counter(
                "holdfast_store_bad_frames_total",
                help: "Frames read whose checksum did not hold.")
            self.refusedFull = registry.counter(
                "holdfast_store_refused_full_total", help: "Chunks refused for want of disk space.")
            self.refusedOverloaded = registry.counter(
                "holdfast_store_refused_overloaded_total",
                help: "Chunks refused for want of memory.")
            self.recordsRecovered = registry.counter(
                "holdfast_store_records_recovered_total",
                help: "Records entered into the index from segments at starts.")
            self.recordsTorn = registry.counter(
                "holdfast_store_records_torn_total", help: "Torn records passed over at starts.")
            self.indexRebuilds = registry.counter(
                "holdfast_store_index_rebuilds_total",
                help: "Indexes made anew from the segments at starts.")
        }
    }

    /// Opens the store of a directory, making it when nothing is there, and brings the index up to
    /// the segments.
    package static func open(
        _ settings: ChunkStoreSettings, in environment: any Environment, loop: any EventLoop,
        stores: any StoreFactory, end: @escaping ProcessEnd,
        registry: MetricsRegistry = MetricsRegistry()
    ) async throws(ChunkStoreFault) -> ChunkStore {
        let opened = try await environment.blocking(.disk) {
            () throws(ChunkStoreFault) -> Opened in
            try Opened(settings, environment.files, stores)
        }
        return ChunkStore(opened, settings, environment, loop, end, registry)
    }

    private struct Opened: Sendable {
        let files: SegmentFiles
        let index: ChunkIndex
        let lock: any File
        let findings: SegmentScan.Findings

        init(
            _ settings: ChunkStoreSettings, _ fileSystem: any FileSystem,
            _ stores: any StoreFactory
        ) throws(ChunkStoreFault) {
            let segments = settings.directory + "/segments"
            let isLocked: Bool
            do throws(FileFault) {
                for path in [segments, settings.directory + "/index"] {
                    try fileSystem.makeDirectoryDurably(path)
                }
                self.lock = try fileSystem.open(settings.directory + "/lock", .openOrCreate)
                isLocked = try self.lock.tryLock()
                try fileSystem.syncDirectory(segments)
                try fileSystem.syncDirectory(settings.directory)
                try fileSystem.syncDirectory(settings.directory + "/..")
            } catch { throw .file("\(error)") }
            guard isLocked else { throw .inUse(directory: settings.directory) }
            self.files = SegmentFiles(files: fileSystem, directory: segments)
            let directory = settings.directory + "/index"
            do throws(SegmentScan.Fault) {
                do throws(SegmentScan.Fault) {
                    (self.index, self.findings) = try Self.index(directory, stores, self.files)
                } catch {
                    guard case .index(.corrupt) = error else { throw error }
                    // Everything in it stands in the segments as well.
                    do throws(FileFault) { try fileSystem.removeTree(directory) } catch {
                        throw .file(error)
                    }
                    (self.index, self.findings) = try Self.index(directory, stores, self.files)
                }
            } catch {
                switch error {
                case .file(let fault): throw .file("\(fault)")
                case .index(let fault): throw .index("\(fault)")
                }
            }
        }

        /// The index, brought up to the segments.
        private static func index(
            _ directory: String, _ stores: any StoreFactory, _ files: SegmentFiles
        ) throws(SegmentScan.Fault) -> (ChunkIndex, SegmentScan.Findings) {
            let store: any OrderedStore
            do throws(StoreFault) { store = try stores.open(directory, ChunkIndex.options) } catch {
                throw .index(error)
            }
            let index = ChunkIndex(store: store)
            do throws(SegmentScan.Fault) {
                return (index, try SegmentScan(files: files, index: index).run())
            } catch {
                store.close()
                throw error
            }
        }
    }

    private init(
        _ opened: Opened, _ settings: ChunkStoreSettings, _ environment: any Environment,
        _ loop: any EventLoop, _ end: @escaping ProcessEnd, _ registry: MetricsRegistry
    ) {
        self.counters = Counters(registry)
        self.end = end
        self.environment = environment
        self.loop = loop
        self.settings = settings
        self.files = opened.files
        self.index = opened.index
        self.lock = opened.lock
        self.chunks = opened.findings.chunks
        self.sealedBytes = opened.findings.sealedBytes
        self.writer = SegmentWriter(
            files: opened.files, index: opened.index, segmentBytes: settings.segmentBytes,
            nextSegment: opened.findings.nextSegment)
        self.counters.recordsRecovered.add(UInt64(opened.findings.records))
        self.counters.recordsTorn.add(UInt64(opened.findings.torn))
        if opened.findings.isRebuild { self.counters.indexRebuilds.add() }
    }

    /// Stores a sealed chunk; `.stored` is said only when it is durable. The name is never reused,
    /// so a chunk that is there already is the same chunk.
    package func put(_ request: PutChunkRequest, _ body: [[UInt8]]) async -> PutChunkAnswer {
        let bytes = request.sealedBytes
        // One chunk is always taken, however small the budget.
        let isWithin =
            self.waitingBytes == 0
            || self.waitingBytes + bytes <= self.settings.intakeBudgetBytes
        guard isWithin, !self.isClosing else {
            self.counters.refusedOverloaded.add()
            return .overloaded
        }
        let record = SegmentFormat.Record(
            chunk: request.name, slot: request.slot, storedAt: self.environment.wallClock,
            frames: request.frames)
        self.waitingBytes += bytes
        return await withUnsafeContinuation { answer in
            self.waiting.append(Intake(record: record, body: body, answer: answer))
            guard !self.isCommitting else { return }
            self.isCommitting = true
            self.loop.spawn { await self.commitWaiting() }
        }
    }

    /// Writes what waits, one group after the other, until nothing does.
    private func commitWaiting() async {
        while !self.waiting.isEmpty {
            let group = self.waiting
            self.waiting = []
            let writer = self.writer
            let totals = (self.chunks, self.sealedBytes)
            let reserve = self.settings.reserveBytes
            let pieces = group.map { SegmentWriter.Piece(record: $0.record, body: $0.body) }
            let committed = await self.environment.blocking(.disk) {
                writer.commit(pieces, totals, reserveBytes: reserve)
            }
            switch committed {
            case .failed(let reason):
                await self.end(
                    Self.diskFailureStatus,
                    "chunk store \(self.settings.directory): \(reason); "
                        + "check the disk, then wipe this node's data and let it rejoin")
            case .done(let result):
                self.take(result, of: group)
            }
        }
        self.isCommitting = false
        for closer in self.closers { closer.resume() }
        self.closers = []
    }

    private func take(_ result: SegmentWriter.Result, of group: [Intake]) {
        self.writer = result.writer
        self.chunks = result.chunks
        self.sealedBytes = result.sealedBytes
        self.counters.syncs.add(result.syncs)
        for (intake, answer) in zip(group, result.answers) {
            self.waitingBytes -= intake.record.sealedBytes
            switch answer {
            case .stored:
                self.counters.chunksStored.add()
                self.counters.bytesStored.add(UInt64(intake.record.sealedBytes))
            case .full: self.counters.refusedFull.add()
            case .overloaded, .checksumMismatch, .device: break
            }
            intake.answer.resume(returning: answer)
        }
    }

    /// Reads a run of a chunk's sealed frames, each checked by its checksum at rest.
    package nonisolated func read(
        _ request: ReadChunkRequest
    ) async -> (ReadChunkAnswer, [UInt8]) {
        let index = self.index
        let reader = SegmentReader(files: self.files)
        let (answer, frames) = await self.environment.blocking(.disk) {
            () -> (ReadChunkAnswer, [UInt8]) in
            do throws(StoreFault) {
                guard let place = try index.place(of: request.name) else { return (.missing, []) }
                guard request.frames.upperBound <= Int(place.frameCount) else {
                    return (.device("the chunk has \(place.frameCount) frames"), [])
                }
                return reader.answer(request, at: place)
            } catch {
                return (.device("\(error)"), [])
            }
        }
        switch answer {
        case .found(_, let lengths):
            let bad = lengths.count { $0 == 0 }
            self.counters.framesRead.add(UInt64(lengths.count - bad))
            self.counters.badFrames.add(UInt64(bad))
        case .missing, .device: break
        }
        return (answer, frames)
    }

    package func status() async -> StoreStatus {
        let fileSystem = self.environment.files
        let directory = self.settings.directory
        let files = self.files
        let (free, segments) = await self.environment.blocking(.disk) { () -> (UInt64, Int) in
            do throws(FileFault) {
                return (try fileSystem.space(directory).freeBytes, try files.numbers().count)
            } catch { return (0, 0) }
        }
        return StoreStatus(
            chunks: self.chunks, sealedBytes: self.sealedBytes, segments: UInt32(segments),
            freeBytes: free)
    }

    /// Ends use of the store: refuses new chunks, finishes those that wait, lets the lock go.
    package func close() async {
        self.isClosing = true
        if self.isCommitting { await withUnsafeContinuation { self.closers.append($0) } }
        let index = self.index
        let lock = self.lock
        await self.environment.blocking(.disk) {
            index.store.close()
            lock.close()
        }
    }
}

extension SegmentReader {
    fileprivate func answer(
        _ request: ReadChunkRequest, at place: ChunkIndex.Place
    ) -> (ReadChunkAnswer, [UInt8]) {
        do throws(Fault) {
            let (lengths, frames) = try self.frames(request.frames, of: request.name, at: place)
            return (.found(chunkSealedBytes: place.sealedBytes, frameLengths: lengths), frames)
        } catch {
            switch error {
            case .noRecord:
                let lengths = [UInt32](repeating: 0, count: request.frames.count)
                return (.found(chunkSealedBytes: place.sealedBytes, frameLengths: lengths), [])
            case .file(.notFound): return (.missing, [])
            case .file(let fault): return (.device("\(fault)"), [])
            }
        }
    }
}
