import ClusterClient
import Consensus
import IORuntime
import Primitives
import Telemetry

/// Leaderships return to the voters where they are preferred: after a failure one node may lead all
/// groups, and would go on doing the work of all while the others look on.
extension MetaNode {
    private static let handBackCheckPeriod = Duration.seconds(1)
    /// Entries that a preferred voter's log may be behind what is committed.
    private static let handBackLagEntries: UInt64 = 64

    func handBackIfDue() {
        let now = self.environment.now
        guard now >= self.nextHandBackCheck else { return }
        self.nextHandBackCheck = now + Self.handBackCheckPeriod
        for group in self.groupOrder {
            guard let driver = self.groups[group] else { continue }
            if self.beginAnewIfWrong(driver) || self.handOverFenced(driver)
                || self.changeMembersIfDue(driver)
                || self.handOverForClock(driver) || self.handOverForRoom(driver)
            {
                continue
            }
            self.handBack(driver, at: now)
        }
        self.planVotersIfLeading()
        self.tendReplicas()
    }

    /// Once the preferred voter has kept up for a while it is asked to lead. The same wait comes
    /// before the next try, so that a voter that does not take over is not asked for ever at once.
    private func handBack(_ driver: GroupDriver, at now: Instant) {
        let status = driver.replica.status
        guard status.role == .leader,
            let preferred = self.preferredLeader(of: driver.group), preferred != self.node,
            let peer = status.peers.first(where: { $0.node == preferred }),
            peer.state == .replicate, peer.mayTakeOver, self.hasRoom(preferred),
            self.clock.mayLead(preferred),
            self.isSound(preferred, in: driver),
            peer.match.rawValue + Self.handBackLagEntries >= status.commit.rawValue
        else {
            driver.preferredLeaderFitSince = nil
            return
        }
        guard let since = driver.preferredLeaderFitSince else {
            driver.preferredLeaderFitSince = now
            return
        }
        guard now - since >= self.settings.handBackDelay else { return }
        driver.preferredLeaderFitSince = now
        self.logger.info(
            "handing leadership back", ["group": "\(driver.group)", "to": "\(preferred)"])
        self.post(.transfer(driver.group, to: preferred))
    }
}
