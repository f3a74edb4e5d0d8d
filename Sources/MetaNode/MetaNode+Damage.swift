import Consensus
import IORuntime
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

    /// Ends the process over proof that a log is not what its owner believes.
    func stop(for fault: ReplicaFault, in group: GroupID) {
        switch fault {
        case .entriesLost:
            // The row of term and vote goes with every change of the log. A leader that counts on an
            // answer of ours which neither of them knows convicts both: the store went back to an
            // earlier state, whole, as a log file that is cut short at its end makes it do.
            self.stop()
            self.loop.spawn {
                await self.end(
                    MetaSettings.forgottenStatus,
                    "group \(group): \(fault); the Raft log went back to an earlier state")
            }
        case .diverged, .commitContradicted, .secondLeader, .malformedEntries, .damagedStorage:
            self.stopDamaged("group \(group): \(fault)")
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
