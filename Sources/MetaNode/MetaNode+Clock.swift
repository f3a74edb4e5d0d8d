import ClusterClient
import Consensus
import IORuntime
import Primitives
import Telemetry

/// Whose clock the time of the log follows. Every envelope of heartbeats carries the sender's wall
/// clock and echoes the receiver's last one, so each node knows how the others' clocks stand to its
/// own; the median decides (`ClockOffsets`).
///
/// A leader stamps entries within half a second of the median, and hands over when its own clock is
/// further off. So the time of a log is never further ahead than that of a majority of its voters,
/// and a session, a grace or an upload that waits for hours of it waits for hours.
extension MetaNode {
    // MARK: Hearing and saying

    /// What goes to a node with its heartbeats.
    func clockStamp(for node: NodeID) -> ClockStamp {
        let now = self.environment.now
        let echo = self.stampsHeard[node].map {
            ClockStamp.Echo(sent: $0.sent, heldFor: now - $0.received)
        }
        return ClockStamp(wall: self.environment.wallClock, sent: now, echo: echo)
    }

    func heard(_ stamp: ClockStamp, from node: NodeID, at received: Instant) {
        self.stampsHeard[node] = (stamp.sent, received)
        guard let echo = stamp.echo else { return }
        self.clock.heard(
            from: node, wall: stamp.wall, roundTrip: received - echo.sent - echo.heldFor,
            at: received)
    }

    // MARK: Leading

    /// The time of an entry that is proposed now; nil when this leader does not know the time yet.
    func entryTime(of driver: GroupDriver) -> Timestamp? {
        guard driver.replica.role == .leader else { return self.environment.wallClock }
        guard let time = self.clock.verdict.boundedTime else { return nil }
        driver.lastEntryTime = max(driver.lastEntryTime, time)
        return driver.lastEntryTime
    }

    /// With every beat: a node whose clock is off does not stand where others can lead.
    func judgeClock() {
        let voters = self.groups[.system]?.replica.members.voters ?? []
        if !voters.isEmpty { self.clock.setVoters(voters) }
        let verdict = self.clock.verdict
        guard verdict.mustNotLead != self.isClockOff else { return }
        self.isClockOff = verdict.mustNotLead
        let fields: KeyValuePairs<String, any CustomStringConvertible> = [
            "offset": verdict.offset.map { "\($0)" } ?? "unknown"
        ]
        if self.isClockOff {
            self.logger.warning("this node's clock is off: it does not lead", fields)
        } else {
            self.logger.info("this node's clock is right again", fields)
        }
        self.nextHandBackCheck = self.environment.now
    }

    func setCandidacy(of group: GroupID) {
        guard let driver = self.groups[group] else { return }
        let candidacy: Candidacy =
            driver.isFenced ? .barred : self.isClockOff ? .reluctant : .eager
        self.step(group, .candidacy(candidacy))
    }

    /// A leader whose clock is off hands over to a voter whose clock is not; true when it has begun
    /// to.
    func handOverForClock(_ driver: GroupDriver) -> Bool {
        guard self.isClockOff, driver.replica.role == .leader else { return false }
        let best = driver.replica.status.peers
            .filter {
                $0.mayTakeOver && self.hasRoom($0.node) && self.clock.mayLead($0.node)
                    && self.isSound($0.node, in: driver)
            }
            .max { ($0.match, $1.node) < ($1.match, $0.node) }
        guard let best else { return false }
        self.logger.info(
            "handing leadership over for a clock that is off",
            ["group": "\(driver.group)", "to": "\(best.node)"])
        self.counters.clockHandovers.add()
        self.post(.transfer(driver.group, to: best.node))
        return true
    }
}
