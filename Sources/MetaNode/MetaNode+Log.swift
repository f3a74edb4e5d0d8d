import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Telemetry
import Wire

/// The logs of all groups on their way to the disk and back.
extension MetaNode {
    /// One synced batch over all groups; what comes up meanwhile waits for the next one.
    func writeIfIdle() {
        guard !self.isWriting,
            !(self.writes.isEmpty && self.truncations.isEmpty && self.rowChanges.isEmpty)
        else { return }
        var batch = WriteBatch()
        var done: [(group: GroupID, token: WriteToken, messages: [Outgoing])] = []
        var taken = 0
        for (group, write) in self.writes {
            if batch.sizeBytes >= self.settings.logBatchBytes { break }
            taken += 1
            guard let driver = self.groups[group] else { continue }
            if !write.isEmpty {
                RaftLogTables.add(write, of: group, &driver.standing, to: &batch)
                driver.logSizes.append(write.entries)
            }
            done.append((group, write.token, write.messages))
        }
        self.writes.removeFirst(taken)
        for (group, anchor) in self.truncations {
            guard let driver = self.groups[group] else { continue }
            RaftLogTables.addTruncation(
                through: anchor, of: group, &driver.standing, to: &batch)
            driver.logSizes.truncate(through: anchor.index)
        }
        self.truncations = []
        let changed = self.addRowChanges(to: &batch)
        self.isWriting = true
        self.bytesSinceMeasured += UInt64(batch.sizeBytes)
        let finished = done
        let synced = batch
        let store = self.tables.store
        if !synced.isEmpty { self.counters.logSyncs.add() }
        self.loop.spawn {
            defer { for change in changed { change.resume(returning: true) } }
            guard !synced.isEmpty else { return self.post(.written(finished)) }
            let fault = await self.environment.blocking(.log) { () -> StoreFault? in
                do throws(StoreFault) {
                    try store.write(synced, .synced)
                    return nil
                } catch { return error }
            }
            if let fault { await self.endUnwritten("the Raft log", fault) }
            self.post(.written(finished))
        }
    }

    func load(_ request: LoadRequest, _ driver: GroupDriver) {
        let tables = self.tables
        let group = driver.group
        driver.loadsUnderWay += 1
        self.loop.spawn {
            do throws(RaftLogTables.Fault) {
                let entries = try await self.environment.blocking(.metadata) {
                    () throws(RaftLogTables.Fault) in try tables.load(request, of: group)
                }
                self.post(.loaded(group, entries))
            } catch {
                switch error {
                case .damaged(let group, let reason):
                    await self.stopDamaged("group \(group): \(reason)")
                case .store(let fault):
                    self.logger.warning(
                        "the log cannot be read", ["group": "\(group)", "reason": "\(fault)"])
                    let failed = LoadedEntries(
                        peer: request.peer, from: request.from, outcome: .failed)
                    self.post(.loaded(group, failed))
                }
            }
        }
    }
}
