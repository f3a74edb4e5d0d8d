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
            self.stopForGood("group \(group): \(fault); the Raft log went back to an earlier state")
        case .commitContradicted, .secondLeader:
            // No log shows it from inside, so the next start would find this one sound, vote, and
            // give up what was acknowledged. Which side forgot is for a person to find out: here
            // everything stays as it is until then.
            self.stopForGood(
                "group \(group): \(fault); a majority decided the same twice, so that this node or "
                    + "another one has forgotten. Keep this directory until it is known which")
        case .diverged, .malformedEntries, .damagedStorage:
            self.stopDamaged("group \(group): \(fault)")
        }
    }

    /// Ends the process, with a note that no start goes on from.
    private func stopForGood(_ reason: String) {
        self.stop()
        self.loop.spawn { await self.end(MetaSettings.forgottenStatus, reason) }
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
