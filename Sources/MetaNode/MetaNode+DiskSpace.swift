import Catalog
import ClusterClient
import Consensus
import IORuntime
import Primitives
import Telemetry
import Wire

/// A full disk as a state that is entered and left by itself: what is free is measured, told to the
/// other voters with every envelope, and decides which commands a leader takes.
extension MetaNode {
    /// The disk as `/status` shows it.
    package var diskStatus: DiskSpaceRule { self.disk }

    // MARK: Measuring

    /// Asks what is free, now and then and whenever much has been written since.
    func measureDiskIfDue() {
        let now = self.environment.now
        let isUrgent = self.bytesSinceMeasured >= self.disk.settings.markBytes / 8
        guard !self.isMeasuringDisk, isUrgent || now >= self.nextDiskMeasurement else { return }
        self.isMeasuringDisk = true
        self.bytesSinceMeasured = 0
        self.nextDiskMeasurement = now + self.disk.pause
        let ballast = self.ballast
        self.loop.spawn {
            let free = await self.environment.blocking(.metadata) { () -> UInt64? in
                do throws(FileFault) { return try ballast.freeBytes() } catch { return nil }
            }
            await self.diskMeasured(free)
        }
    }

    /// What cannot be measured is left as it was.
    private func diskMeasured(_ freeBytes: UInt64?) {
        let before = self.disk.space
        let action = freeBytes.flatMap { self.disk.measured(freeBytes: $0) }
        guard let action else {
            self.diskChanged(from: before)
            self.isMeasuringDisk = false
            return
        }
        // Said before the ballast is gone: what it gives is not for growth.
        self.diskChanged(from: before)
        let ballast = self.ballast
        self.loop.spawn {
            let outcome = await self.environment.blocking(.metadata) {
                action.carriedOut(on: ballast)
            }
            await self.ballastChanged(outcome)
        }
    }

    private func ballastChanged(_ outcome: BallastOutcome) {
        let before = self.disk.space
        self.disk.take(outcome)
        switch outcome {
        case .released: self.counters.ballastsReleased.add()
        case .made: self.counters.ballastsMade.add()
        case .didNotFit: break
        case .impossible(let fault):
            self.logger.warning(
                "no ballast can be made; deletes may fail when the disk is full",
                ["reason": "\(fault)"])
        case .notReleased(let fault):
            self.logger.warning("the ballast cannot be given back", ["reason": "\(fault)"])
        }
        self.diskChanged(from: before)
        self.isMeasuringDisk = false
    }

    private func diskChanged(from before: DiskSpace) {
        self.counters.diskFreeBytes.set(Int64(clamping: self.disk.freeBytes))
        self.counters.diskSpace.set(Int64(self.disk.space.rawValue))
        guard self.disk.space != before else { return }
        let fields: KeyValuePairs<String, any CustomStringConvertible> = [
            "free_bytes": self.disk.freeBytes, "recovers_at_bytes": self.disk.recoveryBytes,
        ]
        switch self.disk.space {
        case .ample: self.logger.info("the disk has room again", fields)
        case .low:
            self.logger.warning(
                "the disk is nearly full: writes are refused, deletes go on", fields)
        case .exhausted:
            self.logger.error("the disk is full: nothing more is entered into the log", fields)
        }
        self.nextHandBackCheck = self.environment.now
    }

    // MARK: What is refused

    /// The proposals that may be entered into the log; the others are answered. What this node
    /// does not lead is left to Raft, which says so.
    func admitted(_ proposals: [Proposal], in driver: GroupDriver) -> [Proposal] {
        let hasRoom = self.disk.space == .ample && self.hasMajorityRoom(without: nil)
        guard driver.replica.role == .leader, !hasRoom else { return proposals }
        // A leader whose own disk alone is full hands over; who asks again finds the next one.
        let refusal: GroupRefusal =
            self.hasMajorityRoom(without: self.node) ? .overloaded : .diskFull
        return proposals.filter { proposal in
            guard self.disk.space == .exhausted || Self.grows(proposal) else { return true }
            self.counters.refusedFull.add()
            proposal.answer.resume(returning: .refused(refusal))
            return false
        }
    }

    /// The commands are read for this only while there is no room.
    private static func grows(_ proposal: Proposal) -> Bool {
        proposal.commands.contains { bytes in
            do throws(FormatFault) {
                return try CatalogCommand(decoding: bytes).operation.grows
            } catch { return true }
        }
    }

    /// Whether a majority of the voters, one perhaps not counted, has room as far as they said.
    private func hasMajorityRoom(without excluded: NodeID?) -> Bool {
        let roomy = self.metaNodes.count { $0 != excluded && self.hasRoom($0) }
        return roomy > self.metaNodes.count / 2
    }

    /// A voter that has said nothing yet is thought to have room.
    func hasRoom(_ node: NodeID) -> Bool {
        let space = node == self.node ? self.disk.space : self.spaceOfPeers[node] ?? .ample
        return space == .ample
    }

    /// A node that can take nothing more leaves new entries aside, as if they were lost on the way;
    /// the leader sends them again when it answers again.
    func mustLeaveAside(_ message: RaftMessage) -> Bool {
        guard self.disk.space == .exhausted, case .append(let append) = message.body else {
            return false
        }
        return !append.entries.isEmpty
    }

    /// A leader without room hands over to a voter that has some, where a majority has; true when
    /// it has begun to.
    func handOverForRoom(_ driver: GroupDriver) -> Bool {
        guard driver.replica.role == .leader, self.disk.space != .ample,
            self.hasMajorityRoom(without: self.node)
        else { return false }
        let best = driver.replica.status.peers
            .filter {
                $0.mayTakeOver && self.hasRoom($0.node) && self.isSound($0.node, in: driver)
            }
            .max { ($0.match, $1.node) < ($1.match, $0.node) }
        guard let best else { return false }
        self.logger.info(
            "handing leadership over for want of disk space",
            ["group": "\(driver.group)", "to": "\(best.node)"])
        self.post(.transfer(driver.group, to: best.node))
        return true
    }
}
