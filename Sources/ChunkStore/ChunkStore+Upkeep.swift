import ChunkProtocol
import IORuntime
import OrderedStorage
import Primitives
import Telemetry

/// What a store does beside its work, so that the disk comes back: void records become holes, sparse
/// segments are emptied, the spare is kept.
///
/// One task, begun when there is something to do and ended when there is not. It reads and punches
/// on its own; whatever it writes goes through the one writer, in loads of
/// `SegmentEmptying.loadBytes`, which is the most that it adds to a put's wait.
extension ChunkStore {
    struct Upkeep {
        var task: SpawnedTask?
        /// Something has happened since the task last looked.
        var isWanted = false
        /// Segments that do not become empty: a header in them is rotten, and what it was the
        /// header of must not vanish silently. They are tried again after a restart.
        var stuck: Set<UInt64> = []
        /// Who waits until nothing is left to do.
        var waiters: [UnsafeContinuation<Void, Never>] = []
    }

    /// Void records that become holes under one sync of each segment.
    private static let remainsPerRound = 256
    /// Between two rounds of the same work.
    private static let roundPause = Duration.milliseconds(20)

    func needUpkeep() {
        self.upkeep.isWanted = true
        guard self.upkeep.task == nil, !self.isClosing else { return }
        self.upkeep.task = self.loop.spawn { await self.runUpkeep() }
    }

    /// Returns when nothing is left to give back or to empty, as far as the disk lets it.
    package func upkeepFinished() async {
        guard self.upkeep.task != nil else { return }
        await withUnsafeContinuation { self.upkeep.waiters.append($0) }
    }

    func endUpkeep() async {
        guard let task = self.upkeep.task else { return }
        task.cancel()
        await task.finished()
    }

    private func runUpkeep() async {
        while self.upkeep.isWanted, !self.isClosing {
            await self.pause(self.settings.upkeepDelay)
            self.upkeep.isWanted = false
            while !self.isClosing, await self.giveBackRemains() {
                await self.pause(Self.roundPause)
            }
            while !self.isClosing, await self.emptySparsest() {}
            if !self.isClosing { await self.keepSpare() }
        }
        self.upkeep.task = nil
        for waiter in self.upkeep.waiters { waiter.resume() }
        self.upkeep.waiters = []
    }

    /// Ends early when the store is closed.
    private func pause(_ span: Duration) async {
        do { try await self.loop.sleep(for: span) } catch {}
    }

    // MARK: Holes

    /// Punches holes where void records stand. False when there are none, or the disk refused.
    ///
    /// Behind the sync of whatever made them void: a row of remains is written after it. And before
    /// their rows go the holes are durable, so that a tombstone is given up only when nothing that
    /// it is about can come back.
    private func giveBackRemains() async -> Bool {
        let (files, index) = (self.files, self.index)
        let result = await self.environment.blocking(.disk) { () -> GivenBack in
            GivenBack(atMost: Self.remainsPerRound, files, index)
        }
        if let failure = result.failure { await self.diskFailed(failure) }
        guard !result.remains.isEmpty else { return false }
        guard await self.hand(in: .gaveBack(result.remains)) == .done else { return false }
        self.counters.bytesGivenBack.add(
            result.remains.reduce(0) { $0 + UInt64($1.recordBytes) })
        return true
    }

    // MARK: Sparse segments

    /// Empties the sparsest segment and removes it. False when there is none, or it cannot be done.
    private func emptySparsest() async -> Bool {
        let index = self.index
        let (current, stuck) = (self.writer.current?.number, self.upkeep.stuck)
        let sparsest: UInt64?
        do throws(StoreFault) {
            sparsest = try await self.environment.blocking(.disk) { () throws(StoreFault) in
                try index.usages()
                    .filter { $0.segment != current && !stuck.contains($0.segment) && $0.isSparse }
                    .min { $0.goesBefore($1) }?.segment
            }
        } catch { await self.diskFailed("index: \(error)") }
        guard let victim = sparsest else { return false }
        guard let met = await self.copyLive(outOf: victim) else { return false }
        switch await self.hand(in: .leave(victim)) {
        case .done: break
        case .refused:
            self.upkeep.stuck.insert(victim)
            return true
        case .full, .device, .checksumMismatch: return false
        }
        // The rows must not be older than the file is gone: they would name what is not there.
        let files = self.files
        let removed = await self.environment.blocking(.disk) { () -> Removal in
            Removal(of: victim, files, index)
        }
        switch removed {
        case .failed(let reason): await self.diskFailed(reason)
        case .postponed: return false
        case .done: break
        }
        guard await self.hand(in: .left(victim, met)) == .done else { return false }
        self.counters.segmentsEmptied.add()
        return true
    }

    /// Has all that is wanted of a segment written anew; the records it held, or nil when that did
    /// not come to an end.
    private func copyLive(outOf segment: UInt64) async -> [ChunkIndex.Remains]? {
        let (files, index) = (self.files, self.index)
        var emptying: SegmentEmptying
        do throws(FileFault) {
            emptying = try await self.environment.blocking(.disk) { () throws(FileFault) in
                try SegmentEmptying(segment, files: files, index: index)
            }
        } catch {
            self.upkeep.stuck.insert(segment)
            return nil
        }
        while !self.isClosing {
            let before = emptying
            let step = await self.environment.blocking(.disk) {
                () -> Result<(SegmentEmptying, SegmentEmptying.Load), SegmentEmptying.Fault> in
                var emptying = before
                do throws(SegmentEmptying.Fault) {
                    let load = try emptying.next()
                    return .success((emptying, load))
                } catch { return .failure(error) }
            }
            guard case .success(let (after, load)) = step else {
                self.upkeep.stuck.insert(segment)
                return nil
            }
            emptying = after
            if load.sizeBytes > 0 {
                guard await self.hand(in: .move(load)) == .done else { return nil }
                self.counters.bytesMoved.add(UInt64(load.sizeBytes))
                let rate = max(self.settings.upkeepBytesPerSecond, 1)
                await self.pause(.seconds(1) * load.sizeBytes / rate)
            }
            if load.isLast { return emptying.met }
        }
        return nil
    }

    // MARK: The spare

    /// Makes the spare where it is missing and the disk has room beside its reserve.
    private func keepSpare() async {
        let (files, settings) = (self.files, self.settings)
        let failure = await self.environment.blocking(.disk) { () -> String? in
            do throws(FileFault) {
                let needed = settings.reserveBytes + UInt64(settings.spareBytes)
                guard try files.freeBytes() >= needed else { return nil }
                try files.makeSpare(bytes: settings.spareBytes)
                return nil
            } catch {
                if case .full = error { return nil }
                return "\(error)"
            }
        }
        if let failure { await self.diskFailed(failure) }
    }
}

/// A round of punching holes. Blocking.
private struct GivenBack: Sendable {
    /// What cannot be read any more, durably.
    private(set) var remains: [ChunkIndex.Remains] = []
    /// What is on the disk is unknown.
    private(set) var failure: String?

    init(atMost limit: Int, _ files: SegmentFiles, _ index: ChunkIndex) {
        do throws(StoreFault) {
            let found = try index.remains(limit: limit)
            for segment in Set(found.map(\.position.segment)).sorted() {
                self.punch(found.filter { $0.position.segment == segment }, segment, files)
            }
        } catch { self.failure = "index: \(error)" }
    }

    private mutating func punch(
        _ all: [ChunkIndex.Remains], _ segment: UInt64, _ files: SegmentFiles
    ) {
        let file: any File
        do throws(FileFault) {
            file = try files.file(segment)
            for one in all { try file.punchHole(one.range) }
        } catch {
            // A segment that is gone took its records along. Another refusal leaves them for later.
            if case .notFound = error { self.remains += all }
            return
        }
        do throws(FileFault) { try file.sync() } catch {
            self.failure = "\(error)"
            return
        }
        self.remains += all
    }
}

/// The removal of a segment that nothing is wanted of. Blocking.
private enum Removal: Sendable {
    case done
    /// The disk is too full to make the index durable first.
    case postponed
    case failed(String)

    init(of segment: UInt64, _ files: SegmentFiles, _ index: ChunkIndex) {
        do throws(StoreFault) {
            guard try index.flush() else {
                self = .postponed
                return
            }
        } catch {
            self = .failed("index: \(error)")
            return
        }
        do throws(FileFault) {
            try files.remove(segment)
            self = .done
        } catch { self = .failed("\(error)") }
    }
}
