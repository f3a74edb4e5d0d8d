import ClusterClient
import Consensus
import IORuntime
import OrderedStorage
import Primitives
import Telemetry

/// The groups' states: what is applied to them, and when they are made durable so that the logs stay
/// short.
extension MetaNode {
    // MARK: Applying

    func applyIfIdle(_ group: GroupID) {
        guard let driver = self.groups[group], !driver.isApplying else { return }
        self.checkpointIfIdle(driver)
        guard !driver.isCheckpointing, !driver.toApply.isEmpty else { return }
        let entries = driver.toApply
        driver.toApply = []
        driver.isApplying = true
        let state = driver.state
        let applied = driver.applied
        self.loop.spawn {
            let run = await self.environment.blocking(.metadata) {
                state.apply(entries, after: applied)
            }
            if let fault = run.fault {
                await self.endUnwritten("the state of group \(group)", fault)
            }
            self.post(.applied(group, run))
        }
    }

    func finishApplying(_ run: AppliedRun, in group: GroupID) {
        guard let driver = self.groups[group] else { return }
        driver.isApplying = false
        driver.applied = run.through
        driver.unflushedBytes += run.batchBytes
        self.bytesSinceMeasured += UInt64(run.batchBytes)
        driver.lastApplied = self.environment.now
        self.counters.entriesApplied.add(UInt64(run.outcomes.count))
        self.counters.sessionHits.add(UInt64(run.sessionHits))
        for outcome in run.outcomes {
            driver.decide(outcome)
            self.audit(outcome, of: driver)
        }
        driver.answerReads()
        self.step(group, .applied(through: run.through))
    }

    // MARK: Keeping the log short

    func maintainIfDue(_ group: GroupID) {
        // What is not durable yet is replayed from the log: on a disk without room it can wait.
        guard self.disk.space != .exhausted, let driver = self.groups[group],
            // Of a group that stands still the state may be on its way out.
            !driver.isMaintaining, !driver.isHalted, !driver.standing.isStateRefused,
            driver.maintenanceResumes.map({ $0 <= self.environment.now }) ?? true,
            driver.unflushedBytes >= self.settings.log.flushBytes
                || driver.unflushedBytes >= self.settings.log.idleFlushBytes
                    && (self.isIdle(driver) || self.disk.space != .ample)
        else { return }
        driver.isMaintaining = true
        let flushedBytes = driver.unflushedBytes
        self.reclaimableBytes += flushedBytes
        driver.unflushedBytes = 0
        let applied = driver.applied
        let bounds = self.truncationBounds(of: driver)
        let state = driver.state
        let tables = self.tables
        self.loop.spawn {
            let outcome = await self.environment.blocking(.metadata) {
                state.makeDurable(applied: applied, bounds, tables)
            }
            switch outcome {
            case .success(let (durable, anchor)):
                self.post(.maintained(group, durable: durable, truncate: anchor))
            case .failure(.store(.full)):
                await self.postponeMaintenance(of: group, of: flushedBytes)
            case .failure(.store(let fault)):
                await self.endUnwritten("the state of group \(group)", fault)
            case .failure(.damaged(let group, let reason)):
                await self.end(
                    MetaSettings.damagedStatus,
                    "group \(group): \(reason); the next start recovers it from the other nodes")
            }
        }
    }

    /// What a log need not keep: what every voter holds, but for a few entries; and beyond that,
    /// where the log has grown past its bounds, what a voter that is slow or away may still lack. It
    /// is given a snapshot then. Behind a snapshot that is held ready everything stays.
    private func truncationBounds(of driver: GroupDriver) -> TruncationBounds {
        let log = self.settings.log
        return TruncationBounds(
            heldByAll: driver.heldByAll, entriesKept: log.entriesKept,
            entriesKeptForSlow: log.entriesKeptForSlow,
            sizeBound: driver.logSizes.index(keeping: log.bytesKeptForSlow),
            pin: driver.snapshotPin)
    }

    private static let maintenancePause = Duration.seconds(1)

    /// A state without a log of its own has lost nothing when its tables found no room.
    private func postponeMaintenance(of group: GroupID, of flushedBytes: Int) {
        guard let driver = self.groups[group] else { return }
        self.logger.warning("no room to make the state durable", ["group": "\(group)"])
        driver.isMaintaining = false
        driver.unflushedBytes += flushedBytes
        driver.maintenanceResumes = self.environment.now + Self.maintenancePause
    }

    private func isIdle(_ driver: GroupDriver) -> Bool {
        self.environment.now - driver.lastApplied >= self.settings.log.idleTime
    }

    /// Gives back the disk space of entries that have ended, once nothing is going on.
    func reclaimIfDue() {
        guard !self.isReclaiming, self.disk.space != .exhausted,
            self.reclaimableBytes >= self.settings.log.reclaimBytes,
            self.disk.space != .ample
                || self.groups.values.allSatisfy({ !$0.isMaintaining && self.isIdle($0) })
        else { return }
        self.isReclaiming = true
        self.reclaimableBytes = 0
        let store = self.tables.store
        self.loop.spawn {
            let fault = await self.environment.blocking(.metadata) { () -> StoreFault? in
                do throws(StoreFault) {
                    try store.reclaim()
                    return nil
                } catch { return error }
            }
            if let fault { await self.endUnwritten("the Raft log", fault) }
            await self.reclaimed()
        }
    }

    private func reclaimed() { self.isReclaiming = false }

    /// Ends the process over a write that failed. One that found no room was acknowledged to nobody,
    /// and what of it was written is a torn end that the next start drops; after any other fault what
    /// the disk holds is unknown. Disks of a cluster fill together: were a full one called damaged,
    /// all would be.
    nonisolated func endUnwritten(_ what: String, _ fault: StoreFault) async -> Never {
        switch fault {
        case .full:
            await self.end(
                MetaSettings.diskFullStatus,
                "\(what) could not be written: \(fault); nothing acknowledged is lost: "
                    + "make room, then start the node again")
        case .device, .corrupt, .misuse:
            await self.end(
                MetaSettings.logFailureStatus,
                "\(what) could not be written: \(fault); what the disk holds is unknown: "
                    + "the next start proves it, and recovers from the other nodes what is lost")
        }
    }

    func finishMaintaining(_ group: GroupID, _ durable: LogIndex, _ anchor: LogAnchor?) {
        guard let driver = self.groups[group] else { return }
        driver.isMaintaining = false
        driver.durablyApplied = durable
        guard let anchor, anchor.index > driver.standing.truncated.index else { return }
        self.truncations.append((group, anchor))
        self.counters.truncations.add()
        self.step(group, .truncated(through: anchor))
    }
}
