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

    /// What is to be done by the writer, and who waits for it.
    private struct Intake {
        let job: SegmentWriter.Job
        let answer: UnsafeContinuation<SegmentWriter.Answer, Never>
    }

    let environment: any Environment
    let settings: ChunkStoreSettings
    let files: SegmentFiles
    let index: ChunkIndex
    private let lock: any File
    private let end: ProcessEnd
    private let clock: @Sendable () -> Timestamp

    private var waiting: [Intake] = []
    /// Of chunks that wait and of those being committed.
    private var waitingBytes = 0
    private var isCommitting = false
    private(set) var isClosing = false
    /// Who waits for the last commit to end.
    private var closers: [UnsafeContinuation<Void, Never>] = []
    private(set) var writer: SegmentWriter
    /// See `ChunkStore+Upkeep.swift`.
    var upkeep = Upkeep()

    package nonisolated let counters: Counters

    /// Opens the store of a directory, making it when nothing is there, and brings the index up to
    /// the segments.
    ///
    /// - Parameter clock: what the age of a chunk is measured by; the machine's own when nil.
    package static func open(
        _ settings: ChunkStoreSettings, in environment: any Environment, loop: any EventLoop,
        stores: any StoreFactory, end: @escaping ProcessEnd,
        registry: MetricsRegistry = MetricsRegistry(), clock: (@Sendable () -> Timestamp)? = nil
    ) async throws(ChunkStoreFault) -> ChunkStore {
        let opened = try await environment.blocking(.disk) {
            () throws(ChunkStoreFault) -> OpenedStore in
            try OpenedStore(settings, environment.files, stores)
        }
        let store = ChunkStore(
            opened, settings, environment, loop, end, registry,
            clock ?? { environment.wallClock })
        // What deaths and full disks have left undone.
        await store.needUpkeep()
        return store
    }

    private init(
        _ opened: OpenedStore, _ settings: ChunkStoreSettings, _ environment: any Environment,
        _ loop: any EventLoop, _ end: @escaping ProcessEnd, _ registry: MetricsRegistry,
        _ clock: @escaping @Sendable () -> Timestamp
    ) {
        self.clock = clock
        self.counters = Counters(registry)
        self.end = end
        self.environment = environment
        self.loop = loop
        self.settings = settings
        self.files = opened.files
        self.index = opened.index
        self.lock = opened.lock
        self.writer = SegmentWriter(
            files: opened.files, index: opened.index,
            limits: SegmentWriter.Limits(
                segmentBytes: settings.segmentBytes, reserveBytes: settings.reserveBytes),
            findings: opened.findings)
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
            chunk: request.name, slot: request.slot, storedAt: self.clock(),
            frames: request.frames)
        self.waitingBytes += bytes
        let answer = await self.hand(in: .put(SegmentWriter.Piece(record: record, body: body)))
        self.waitingBytes -= bytes
        switch answer {
        case .done:
            self.counters.chunksStored.add()
            self.counters.bytesStored.add(UInt64(bytes))
            return .stored
        case .full:
            self.counters.refusedFull.add()
            return .full
        case .checksumMismatch(let frame): return .checksumMismatch(frame: frame)
        case .device(let reason): return .device(reason)
        case .refused: brokenInvariant("chunks are not refused")
        }
    }

    /// Names that one record of the writer's queue takes together.
    private static let namesPerJob = 1000

    /// Deletes chunks; when it returns they are gone for good, whatever happens to the machine.
    /// Names that are not there are fine. Their room on the disk comes back a little later.
    package func delete(_ names: [ChunkName]) async throws(ChunkStoreFault) {
        var rest = names[...]
        while !rest.isEmpty {
            guard !self.isClosing else { throw .closing }
            let part = Array(rest.prefix(Self.namesPerJob))
            rest = rest.dropFirst(part.count)
            switch await self.hand(in: .delete(part, at: self.clock())) {
            case .done: break
            case .full: throw .full
            case .device(let reason): throw .file(reason)
            case .checksumMismatch, .refused: brokenInvariant("a delete has no frames")
            }
            self.needUpkeep()
        }
    }

    /// Queues a job for the writer and waits for its answer.
    func hand(in job: SegmentWriter.Job) async -> SegmentWriter.Answer {
        await withUnsafeContinuation { answer in
            self.waiting.append(Intake(job: job, answer: answer))
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
            let jobs = group.map(\.job)
            switch await self.environment.blocking(.disk, { writer.commit(jobs) }) {
            case .failed(let reason): await self.diskFailed(reason)
            case .done(let result):
                let hasEnded = self.writer.current?.number != result.writer.current?.number
                self.writer = result.writer
                self.counters.syncs.add(result.syncs)
                self.counters.chunksDeleted.add(result.tombstones)
                for (intake, answer) in zip(group, result.answers) {
                    intake.answer.resume(returning: answer)
                }
                if hasEnded { self.needUpkeep() }
            }
        }
        self.isCommitting = false
        for closer in self.closers { closer.resume() }
        self.closers = []
    }

    func diskFailed(_ reason: String) async -> Never {
        await self.end(
            Self.diskFailureStatus,
            "chunk store \(self.settings.directory): \(reason); "
                + "what the disk holds is unknown: the next start reads it anew")
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
        let totals = self.writer.totals
        return StoreStatus(
            chunks: totals.chunks, sealedBytes: totals.sealedBytes, segments: UInt32(segments),
            freeBytes: free)
    }

    /// Ends use of the store: refuses new chunks, finishes those that wait, ends the segment being
    /// written at its true size, lets the lock go.
    package func close() async {
        self.isClosing = true
        await self.endUpkeep()
        if self.isCommitting { await withUnsafeContinuation { self.closers.append($0) } }
        let (writer, index, lock) = (self.writer, self.index, self.lock)
        let failure = await self.environment.blocking(.disk) { () -> String? in
            var writer = writer
            let failure = writer.close()
            index.store.close()
            lock.close()
            return failure
        }
        if let failure { await self.diskFailed(failure) }
    }
}
