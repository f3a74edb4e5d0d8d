import Consensus
import IORuntime
import OrderedStorage
import Primitives
import Synchronization
import Telemetry

/// Groups that come to this node, stand still for an exchange, and go, while the others run.
///
/// Whoever exchanges something *halts* the group first: it then takes in nothing but the ends of
/// what it had begun, and when `halt` returns nothing of it is under way: no write, no entry in the
/// pool, no load, no maintenance. Then either `resume`, or the group is gone.
extension MetaNode {
    /// Has a replica of the group run here: the one that this node remembers, or an empty one.
    /// Fine when it runs already.
    package func addGroup(_ group: GroupID) async throws(MetaFault) {
        guard !self.isStopped, self.groups[group] == nil,
            self.groupsOpening.insert(group).inserted
        else { return }
        defer { self.groupsOpening.remove(group) }
        // What is being removed may have the place that the replica's state is to have.
        while self.statesLeaving[group] != nil {
            do { try await self.loop.sleep(for: Self.retirementPause) } catch { return }
            guard !self.isStopped else { return }
        }
        let (tables, settings, stores) = (self.tables, self.settings, self.stores)
        let files = self.environment.files
        let opened = try await self.environment.blocking(.metadata) {
            () throws(MetaFault) -> OpenedMeta.Group in
            try OpenedMeta.Group(group, tables, settings, stores, files)
        }
        guard !self.isStopped else { return }
        self.groups[group] = GroupDriver(opened, settings, self.environment)
        self.groupOrder = self.groups.keys.sorted()
        if opened.standing.isStateRefused {
            self.askForState(of: group)
        } else {
            self.states.put(opened.state)
        }
        self.logger.info("replica added", ["group": "\(group)"])
    }

    /// Ends the group's replica here for good: its log and its state are dropped, its term and vote
    /// are not. The caller knows that a committed configuration does without it. Fine when there is
    /// none.
    package func removeGroup(_ group: GroupID) async {
        guard let driver = await self.halt(group) else { return }
        let reset = RaftLogTables.Reset(
            removing: driver.standing.hardState, endingAt: driver.replica.status.last.position)
        guard await self.changeRows(of: group, .reset(reset)) else { return }
        driver.giveUpAll()
        self.groups[group] = nil
        self.groupOrder = self.groups.keys.sorted()
        self.states.remove(group)
        self.fencedGroups.withLock { _ = $0.remove(group) }
        self.logger.info("replica removed", ["group": "\(group)"])
        self.retire(driver.state)
    }

    // MARK: Standing still

    /// Has the group stand still, and waits until nothing of it is under way. Nil when there is no
    /// such group, somebody else has halted it, or the node stops.
    func halt(_ group: GroupID) async -> GroupDriver? {
        guard !self.isStopped, let driver = self.groups[group], !driver.isHalted else { return nil }
        driver.isHalted = true
        if !driver.isQuiet {
            let isQuiet = await withUnsafeContinuation { driver.waitsForQuiet = $0 }
            guard isQuiet, !self.isStopped else {
                driver.isHalted = false
                return nil
            }
        }
        return driver
    }

    /// The group goes on.
    func resume(_ driver: GroupDriver) {
        invariant(driver.isHalted, "a group that stands still is resumed")
        driver.isHalted = false
    }

    func tellWhoWaitsForQuiet() {
        for group in self.groupOrder {
            guard let driver = self.groups[group], driver.waitsForQuiet != nil, driver.isQuiet
            else { continue }
            driver.waitsForQuiet.take()?.resume(returning: true)
        }
    }

    // MARK: Rows

    /// A change of the rows of a group that stands still.
    struct RowChange {
        enum Kind: Sendable {
            /// Log and state begin anew.
            case reset(RaftLogTables.Reset)
            case refuseState
            /// The next state takes its place, and the log stays.
            case nextState
        }

        let group: GroupID
        let kind: Kind
        let done: UnsafeContinuation<Bool, Never>
    }

    /// Writes what a group that stands still begins anew with; false when the node stops before.
    func changeRows(of group: GroupID, _ kind: RowChange.Kind) async -> Bool {
        guard !self.isStopped else { return false }
        return await withUnsafeContinuation { done in
            self.rowChanges.append(RowChange(group: group, kind: kind, done: done))
            self.writeIfIdle()
        }
    }

    /// Adds the changes to a batch that will be synced; says who waits for it.
    func addRowChanges(to batch: inout WriteBatch) -> [UnsafeContinuation<Bool, Never>] {
        let changes = self.rowChanges
        self.rowChanges = []
        for change in changes {
            guard let driver = self.groups[change.group] else { continue }
            let group = change.group
            switch change.kind {
            case .reset(let reset):
                RaftLogTables.addReset(reset, of: group, &driver.standing, to: &batch)
            case .refuseState:
                RaftLogTables.addRefusalOfState(of: group, &driver.standing, to: &batch)
            case .nextState:
                RaftLogTables.addNextState(of: group, &driver.standing, to: &batch)
            }
        }
        return changes.map(\.done)
    }

    // MARK: States that are no longer used

    private static let retirementPause: Duration = .milliseconds(200)
    /// Some minutes. What is left then goes at the next start.
    private static let retirementAttempts = 1_500

    /// Lets go of a state that another one has replaced, while some may still read in it.
    func retire(_ state: GroupState) { self.loop.spawn { await self.removeWhenUnused(state) } }

    /// Closes a state that no row names, once nobody reads in it, and removes its directory.
    func removeWhenUnused(_ state: GroupState) async {
        self.statesLeaving[state.group, default: 0] += 1
        defer {
            let others = self.statesLeaving[state.group].map { $0 - 1 } ?? 0
            self.statesLeaving[state.group] = others > 0 ? others : nil
        }
        let path =
            "\(self.settings.directory)/\(GroupState.directory(of: state.group, state.generation))"
        for _ in 0..<Self.retirementAttempts {
            let outcome = await self.environment.blocking(.metadata) {
                () -> Result<Bool, FileFault> in
                guard state.store.closeIfUnused() else { return .success(false) }
                do throws(FileFault) {
                    try self.environment.files.removeTree(path)
                    return .success(true)
                } catch { return .failure(error) }
            }
            switch outcome {
            case .success(true): return
            case .success(false): break
            case .failure(let fault):
                return self.logger.warning(
                    "a former state stays until the next start",
                    ["directory": path, "reason": "\(fault)"])
            }
            do { try await self.loop.sleep(for: Self.retirementPause) } catch { return }
        }
    }
}

extension GroupDriver {
    /// Whether nothing of the group is under way.
    var isQuiet: Bool {
        !self.isApplying && self.toApply.isEmpty && !self.isCheckpointing && !self.isMaintaining
            && self.loadsUnderWay == 0 && self.replica.isQuiet
    }
}

extension RaftInput {
    /// Whether this ends something that the replica had begun.
    var endsSomething: Bool {
        switch self {
        case .persisted, .applied, .loaded, .truncated: true
        case .tick, .beat, .candidacy, .message, .propose, .changeConfiguration, .readIndex,
            .forgetLeader, .unreachable, .transferLeadership, .campaign, .offerSnapshot:
            false
        }
    }
}
