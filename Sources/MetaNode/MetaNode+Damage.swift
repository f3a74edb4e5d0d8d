import Consensus
import Primitives
import Telemetry

/// What an operator learns of damage.
extension MetaNode {
    /// Tells what the disk did not give back, at the start.
    nonisolated func report(_ groups: [OpenedMeta.Group]) {
        for group in groups where !group.finding.isOrdinary {
            self.counters.damagesFound.add()
            self.logger.warning(
                "the disk did not give back what it held",
                ["group": group.state.group, "found": "\(group.finding)"])
        }
    }

    /// Counts the replicas that are recovering, and tells when one is whole again.
    func noteRecovery(of driver: GroupDriver) {
        let isRecovering = driver.replica.isRecovering
        guard isRecovering != driver.wasRecovering else { return }
        driver.wasRecovering = isRecovering
        self.countRecovering()
        guard !isRecovering else { return }
        self.counters.logsRecovered.add()
        self.logger.info(
            "the log is whole again",
            ["group": driver.group, "last": driver.replica.status.last.description])
    }

    func countRecovering() {
        let count = self.groups.values.count { $0.replica.isRecovering }
        self.counters.logsRecovering.set(Int64(count))
    }
}
