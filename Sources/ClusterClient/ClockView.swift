import IORuntime
import Primitives
import Synchronization
import Telemetry

/// The process's clock as its cluster sees it, for every role: fed by the meta role with what comes
/// with heartbeats, or, where there is none, by `ClockFollower`.
package final class ClockView: Sendable {
    private let environment: any Environment
    private let offsets: Mutex<ClockOffsets>
    private let gauge: Gauge

    package init(
        node: NodeID, voters: [NodeID], environment: any Environment, registry: MetricsRegistry
    ) {
        self.environment = environment
        self.offsets = Mutex(ClockOffsets(node: node, voters: voters))
        self.gauge = registry.gauge(
            "holdfast_clock_offset_seconds", decimals: 3,
            help: "How far this node's wall clock is ahead of the median of the voters'.")
    }

    /// How the wall clock stands now.
    package var verdict: ClockVerdict {
        let (wall, now) = (self.environment.wallClock, self.environment.now)
        return self.offsets.withLock { $0.verdict(on: wall, at: now) }
    }

    /// The wall clock, brought to within half a second of the median: what spans of hours that the
    /// log's time takes part in are measured with. The plain wall clock while too few are known.
    package var time: Timestamp {
        let verdict = self.verdict
        return verdict.boundedTime ?? verdict.wall
    }

    /// Whether what depends on the time of day may be answered: the clock is known to be right, or
    /// to be wrong by less than matters to signatures and links.
    package var isFitForEdges: Bool {
        let verdict = self.verdict
        return verdict.offset != nil && !verdict.isUnfitForEdges
    }

    /// Whether another voter's clock is near enough to the median to lead.
    package func mayLead(_ other: NodeID) -> Bool {
        let (wall, now) = (self.environment.wallClock, self.environment.now)
        return self.offsets.withLock { $0.mayLead(other, ownWall: wall, at: now) }
    }

    /// How many of the voters' clocks are known.
    package var knownClocks: Int {
        let now = self.environment.now
        return self.offsets.withLock { $0.knownClocks(at: now) }
    }

    /// Another voter's wall clock showed `wall` half a round trip before `now`.
    package func heard(
        from other: NodeID, wall: Timestamp, roundTrip: Duration, at now: Instant
    ) {
        self.offsets.withLock {
            $0.heard(from: other, wall: wall, roundTrip: roundTrip, at: now)
        }
        self.refreshGauge()
    }

    package func setVoters(_ voters: [NodeID]) {
        self.offsets.withLock { $0.setVoters(voters) }
    }

    private func refreshGauge() {
        guard let offset = self.verdict.offset else { return }
        self.gauge.set(offset.wholeNanoseconds / 1_000_000)
    }
}
