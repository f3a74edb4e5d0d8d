import ClusterClient
import Consensus
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// Replicas are held against each other while they work: with every beat each says what it has
/// applied and what came of it, so a replica that differs is found within one heartbeat, and the one
/// that a majority contradicts is *fenced*: it neither leads nor answers, and goes on voting and
/// taking entries, because its log is as good as any.
extension MetaNode {
    // MARK: Saying

    /// What every other replica hears of this node's replicas.
    var claims: [StateClaim] {
        self.groupOrder.compactMap { group in
            self.groups[group]?.audit.mark.map {
                StateClaim(group: group, applied: $0.applied, mark: $0.mark)
            }
        }
    }

    // MARK: Hearing

    func heard(_ claims: [StateClaim], from node: NodeID) {
        for claim in claims {
            guard let driver = self.groups[claim.group] else { continue }
            if driver.audit.claimed(claim.mark, at: claim.applied, by: node) {
                self.compared(driver, with: node)
            }
        }
    }

    /// An entry was applied: what others had claimed of it can be compared now.
    func audit(_ outcome: AppliedRun.Outcome, of driver: GroupDriver) {
        for node in driver.audit.applied(outcome.mark, at: outcome.index) {
            self.compared(driver, with: node)
        }
    }

    /// A message of a peer proves that its log differs from ours. Which of the two is damaged a
    /// majority knows: until it has spoken, this replica takes nothing from that peer.
    func logDiffers(_ driver: GroupDriver, at index: LogIndex, from peer: NodeID) {
        if driver.audit.differs(inLogAt: index, peer) { self.compared(driver, with: peer) }
    }

    private func compared(_ driver: GroupDriver, with node: NodeID) {
        let group = driver.group
        switch driver.audit.finding(of: node) {
        case .otherState(let index):
            self.counters.divergences.add()
            self.logger.error(
                "a replica holds another state than ours",
                ["group": "\(group)", "node": "\(node)", "index": "\(index)"])
        case .otherLog(let index):
            self.counters.divergences.add()
            self.logger.error(
                "a replica holds another log than ours",
                ["group": "\(group)", "node": "\(node)", "index": "\(index)"])
        case .same:
            self.logger.info(
                "a replica agrees with ours again", ["group": "\(group)", "node": "\(node)"])
        case nil: return
        }
        self.judge(driver)
    }

    private func judge(_ driver: GroupDriver) {
        switch driver.audit.standing(among: driver.replica.members.voters) {
        case .inOrder: self.unfence(driver)
        case .wrongState(let index): self.fence(driver, at: index)
        case .wrongLog(let index):
            guard !driver.isLogWrong else { return }
            driver.isLogWrong = true
            self.fence(driver, at: index)
            self.logger.error(
                "this replica's log is wrong: it begins anew",
                ["group": "\(driver.group)", "index": "\(index)"])
            self.nextHandBackCheck = self.environment.now
        }
    }

    // MARK: Fencing

    private func fence(_ driver: GroupDriver, at index: LogIndex) {
        guard !driver.isFenced else { return }
        driver.isFenced = true
        self.fencedGroups.withLock { _ = $0.insert(driver.group) }
        self.counters.fences.add()
        self.logger.error(
            "this replica's state is wrong: it neither leads nor answers",
            ["group": "\(driver.group)", "index": "\(index)"])
        self.setCandidacy(of: driver.group)
        driver.giveUpRequests()
        self.dropSnapshot(of: driver)
        self.handOverFenced(driver)
        let group = driver.group
        self.loop.spawn { await self.refetchFenced(group, at: index) }
    }

    /// How often, and how long apart, a fenced leader looks whether it has handed over.
    private static let handOverLooks = 20
    private static let handOverPause: Duration = .milliseconds(100)

    /// Has the leader's state fetched in place of the wrong one. Leadership goes first: a leader that
    /// only stops costs its group an election timeout.
    private func refetchFenced(_ group: GroupID, at index: LogIndex) async {
        for _ in 0..<Self.handOverLooks {
            guard let driver = self.groups[group], driver.isFenced, !driver.isLogWrong else {
                return
            }
            guard driver.replica.role == .leader else { break }
            do { try await self.loop.sleep(for: Self.handOverPause) } catch { return }
        }
        await self.refetchState(of: group, because: "a majority holds another one at \(index)")
    }

    /// Whether the group's replica here is fenced, for who asks without waiting for a turn.
    nonisolated func isFenced(_ group: GroupID) -> Bool {
        self.fencedGroups.withLock { $0.contains(group) }
    }

    private func unfence(_ driver: GroupDriver) {
        guard driver.isFenced else { return }
        driver.isFenced = false
        self.fencedGroups.withLock { _ = $0.remove(driver.group) }
        self.logger.info("this replica answers again", ["group": "\(driver.group)"])
        self.setCandidacy(of: driver.group)
    }

    /// A state that came with a snapshot is what a majority has made; nothing found before counts.
    func auditBegins(_ driver: GroupDriver, digest: UInt64) {
        driver.beginAudit(digest: digest)
        driver.isLogWrong = false
        self.unfence(driver)
    }

    /// A replica whose log a majority contradicts says nothing any more, gives up its log and its
    /// state, and comes back with neither: recovering, since what it had acknowledged is gone. Its
    /// term and its vote stay. True while that is to be done or under way.
    ///
    /// Where the group stands still for something else, the next look tries again; and a process that
    /// ends in between finds the group removed and begins it by group 0's table.
    func beginAnewIfWrong(_ driver: GroupDriver) -> Bool {
        guard driver.isLogWrong else { return false }
        guard !driver.isHalted else { return true }
        let group = driver.group
        self.loop.spawn {
            await self.removeGroup(group)
            await self.beginReplica(of: group)
        }
        return true
    }

    /// Whether a voter's state is not known to differ from ours, so that it may take over.
    func isSound(_ node: NodeID, in driver: GroupDriver) -> Bool {
        switch driver.audit.finding(of: node) {
        case .same, nil: true
        case .otherState, .otherLog: false
        }
    }

    /// A leader that is fenced hands over; true when it has begun to.
    @discardableResult
    func handOverFenced(_ driver: GroupDriver) -> Bool {
        guard driver.isFenced, driver.replica.role == .leader else { return false }
        let best = driver.replica.status.peers
            .filter { $0.mayTakeOver && driver.audit.finding(of: $0.node) != .same }
            .max { ($0.match, $1.node) < ($1.match, $0.node) }
        guard let best else { return false }
        self.post(.transfer(driver.group, to: best.node))
        return true
    }

    /// The groups whose replica here is fenced, and who was found to differ, for `/status`.
    package func auditStandings() -> [(group: GroupID, isFenced: Bool, differing: [NodeID])] {
        self.groupOrder.compactMap { group in
            self.groups[group].map { (group, $0.isFenced, $0.audit.differing) }
        }
    }
}
