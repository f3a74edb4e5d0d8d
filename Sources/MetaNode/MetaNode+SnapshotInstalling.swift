import Catalog
import Consensus
import IORuntime
import OrderedStorage
import Primitives
import Telemetry

/// A follower's side of a snapshot, in steps of which each can be the last one before a crash:
///
/// 1. The files come into `incoming/<group>-<generation + 1>/`, each synced and proven by its
///    checksum (`SnapshotFetch`). A crash leaves files that the next fetch goes on with.
/// 2. The directory is renamed into `state/`. No row names it yet, so a crash leaves what the next
///    start removes.
/// 3. The state is opened there, and says itself that it ends with the entry that was offered.
/// 4. The group stands still. If its log has come as far meanwhile, the state is dropped.
/// 5. One synced write in `raft/`: term, vote, a log that begins behind the state, and the state's
///    generation. It is the whole exchange: before it the old log and the old state hold, behind it
///    the new ones.
/// 6. A new replica and the new state take the places of the old ones, and the group goes on.
/// 7. The old state's directory goes, once nobody reads in it. After a crash the next start removes
///    what no row names.
///
/// One state is fetched at a time, over all groups; of two offers for a group the newer one counts.
extension MetaNode {
    static let incomingDirectory = "incoming"

    /// A state that is being fetched or installed.
    struct SnapshotUnderWay {
        let group: GroupID
        let offered: OfferedSnapshot
        /// What was offered meanwhile and leads further.
        var newer: OfferedSnapshot?
        /// From here on it is not given up for a newer one.
        var isInstalling = false
    }

    /// The leader holds a state ready for this node. Offers are repeated while they hold, so what
    /// cannot be taken up now comes again.
    func takeOffer(_ offered: OfferedSnapshot, _ driver: GroupDriver) {
        if let current = self.snapshotUnderWay {
            guard current.group == driver.group, !current.isInstalling,
                offered.offer.snapshot != current.offered.offer.snapshot,
                offered.offer.anchor.index > current.offered.offer.anchor.index
            else { return }
            self.snapshotUnderWay?.newer = offered
            return
        }
        guard !self.isStopped, !driver.isHalted, self.disk.space == .ample,
            driver.snapshotResumes.map({ $0 <= self.environment.now }) ?? true
        else { return }
        let group = driver.group
        self.snapshotUnderWay = SnapshotUnderWay(group: group, offered: offered)
        self.loop.spawn { await self.fetchAndInstall(for: group) }
    }

    private func fetchAndInstall(for group: GroupID) async {
        while let current = self.snapshotUnderWay, let driver = self.groups[group] {
            let generation = driver.standing.stateGeneration + 1
            self.logger.info(
                "fetching a snapshot",
                [
                    "group": "\(group)", "through": "\(current.offered.offer.anchor)",
                    "from": "\(current.offered.from)",
                ])
            do throws(SnapshotFault) {
                var fetch = SnapshotFetch(
                    group, current.offered, into: self.incoming(group, generation), self,
                    mayGoOn: { await self.reasonToEndFetch })
                let manifest = try await fetch.run()
                self.snapshotUnderWay?.isInstalling = true
                try await self.install(manifest, in: group, as: generation)
                break
            } catch {
                guard await self.canGoOn(after: error, group, generation) else { break }
            }
        }
        self.snapshotUnderWay = nil
    }

    private var reasonToEndFetch: SnapshotFault? {
        if self.isStopped { return .stopped }
        return self.snapshotUnderWay?.newer == nil ? nil : .superseded
    }

    /// Whether another state is to be fetched at once. What was fetched stays for the next fetch,
    /// unless the disk has no room for it.
    private func canGoOn(
        after fault: SnapshotFault, _ group: GroupID, _ generation: UInt64
    ) async -> Bool {
        switch fault {
        case .stopped: return false
        case .superseded:
            guard let newer = self.snapshotUnderWay?.newer else { return false }
            self.snapshotUnderWay = SnapshotUnderWay(group: group, offered: newer)
            return true
        case .store(.full), .file(.full):
            await self.discard(self.incoming(group, generation))
        case .store, .file, .log, .noAnchor, .call, .malformed, .otherState, .checksum, .fenced:
            break
        }
        self.counters.snapshots.failed.add()
        self.groups[group]?.snapshotResumes =
            self.environment.now + self.settings.log.snapshots.pause
        self.logger.warning(
            "no snapshot was installed", ["group": "\(group)", "reason": "\(fault)"])
        return false
    }

    private func incoming(_ group: GroupID, _ generation: UInt64) -> String {
        "\(self.settings.directory)/\(Self.incomingDirectory)/"
            + GroupState.name(of: group, generation)
    }

    // MARK: Installing

    private func install(
        _ manifest: SnapshotManifest, in group: GroupID, as generation: UInt64
    ) async throws(SnapshotFault) {
        let arrival = SnapshotArrival(
            group: group, generation: generation, manifest: manifest, settings: self.settings,
            stores: self.stores, files: self.environment.files)
        let settings = self.settings
        let (state, position, members): (GroupState, AppliedPosition, Configuration)
        do throws(SnapshotFault) {
            (state, position, members) = try await self.environment.blocking(.metadata) {
                () throws(SnapshotFault) in
                let (state, position) = try arrival.open()
                do throws(RaftLogTables.Fault) {
                    let members = try state.configuration() ?? settings.firstConfiguration
                    return (state, position, members)
                } catch {
                    state.store.close()
                    throw .log(error)
                }
            }
        } catch {
            await self.discard(arrival.place)
            throw error
        }
        guard let driver = await self.halt(group) else {
            await self.removeWhenUnused(state)
            throw .stopped
        }
        guard driver.standing.stateGeneration + 1 == generation,
            let exchange = await self.exchange(of: driver, at: manifest.anchor)
        else {
            self.resume(driver)
            self.counters.snapshots.dropped.add()
            self.logger.info(
                "the log has caught up with a snapshot",
                ["group": "\(group)", "through": "\(manifest.anchor)"])
            // Before the next state may come to the same place.
            return await self.removeWhenUnused(state)
        }
        guard await self.changeRows(of: group, exchange.rows) else {
            throw .stopped
        }
        let former = driver.state
        driver.goOn(from: exchange, with: state, members, self.settings, self.environment)
        self.auditBegins(driver, digest: position.digest)
        self.states.put(state)
        self.resume(driver)
        self.counters.snapshots.installed.add()
        self.logger.info(
            "snapshot installed",
            [
                "group": "\(group)", "through": "\(manifest.anchor)",
                "bytes": manifest.sizeBytes,
            ])
        self.retire(former)
    }

    /// What the replica goes on from with a state that ends at `anchor`: that alone, where it leads
    /// further than the log; where the former state was refused, the log behind it too. Nil when the
    /// state is of no use.
    private func exchange(of driver: GroupDriver, at anchor: LogAnchor) async -> StateExchange? {
        if let restart = driver.replica.restart(installing: anchor) {
            return StateExchange(
                rows: .reset(.init(restart)), hardState: restart.hardState, log: restart.log,
                applied: restart.applied, logSizes: LogSizes())
        }
        guard driver.standing.isStateRefused, anchor.index >= driver.standing.truncated.index
        else { return nil }
        let (tables, group) = (self.tables, driver.group)
        let restored = await self.environment.blocking(.metadata) {
            () -> RaftLogTables.Restored? in
            do throws(StoreFault) {
                return try tables.restore(group, applied: anchor.index)
            } catch { return nil }
        }
        // The log must lead on from this very state, by its chain.
        guard let restored, restored.finding == .whole, restored.log.before == anchor
        else { return nil }
        return StateExchange(
            rows: .nextState, hardState: restored.standing.hardState, log: restored.log,
            applied: anchor.index, logSizes: restored.logSizes)
    }
}

/// How a group goes on with another state.
private struct StateExchange {
    let rows: MetaNode.RowChange.Kind
    let hardState: HardState
    let log: RestoredLog
    let applied: LogIndex
    let logSizes: LogSizes
}

extension GroupDriver {
    fileprivate func goOn(
        from exchange: StateExchange, with state: GroupState, _ members: Configuration,
        _ settings: MetaSettings, _ environment: any Environment
    ) {
        self.replica = Self.makeReplica(
            of: state, exchange.hardState, exchange.log, exchange.applied, members, settings,
            environment)
        self.state = state
        self.applied = exchange.applied
        self.durablyApplied = exchange.applied
        self.unflushedBytes = 0
        self.logSizes = exchange.logSizes
        // Who waits for an index hears of it now: the next entry may be long in coming.
        state.feed.begin(at: exchange.applied)
        // What was proposed here may be in the state or not: nobody can say.
        self.endProposals()
        self.answerReads()
    }
}

/// A state whose files have all come: gives it its place and opens it there.
private struct SnapshotArrival: Sendable {
    let group: GroupID
    let generation: UInt64
    let manifest: SnapshotManifest
    let settings: MetaSettings
    let stores: any StoreFactory
    let files: any FileSystem

    /// Where the state is to stay.
    var place: String {
        "\(self.settings.directory)/\(GroupState.directory(of: self.group, self.generation))"
    }

    /// Blocking.
    func open() throws(SnapshotFault) -> (GroupState, AppliedPosition) {
        let name = GroupState.name(of: self.group, self.generation)
        let incoming = "\(self.settings.directory)/\(MetaNode.incomingDirectory)"
        do throws(FileFault) {
            // Left by an install of this process that came no further.
            try self.files.removeTree(self.place)
            try self.files.rename("\(incoming)/\(name)", to: self.place)
            try self.files.syncDirectory("\(self.settings.directory)/state")
            try self.files.syncDirectory(incoming)
        } catch { throw .file(error) }
        let state: GroupState
        do throws(MetaFault) {
            state = try GroupState(
                opening: self.group, self.generation, self.settings, self.stores, self.files)
        } catch { throw .store(.corrupt("\(error)")) }
        let applied: AppliedPosition?
        do throws(RaftLogTables.Fault) { applied = try state.durablePosition() } catch {
            throw .log(error)
        }
        guard let applied,
            LogPosition(term: applied.term, index: applied.index) == self.manifest.anchor.position
        else {
            state.store.close()
            throw .otherState
        }
        return (state, applied)
    }
}
