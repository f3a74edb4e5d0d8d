import Primitives

/// When Raft's ticks pass, and when the heartbeats of all groups of a node go out: a pure decision,
/// fed with the monotonic clock.
///
/// Ticks stand on a grid: so all groups tick together, and every tenth tick is a *beat*, at which one
/// envelope goes to each other voter. Nobody wakes up to count; whatever wakes the node counts what
/// has passed, and the node sleeps until something is due.
package struct TickClock: Equatable, Sendable {
    package let period: Duration
    /// A beat is every so many ticks.
    package let beatTicks: UInt64
    /// The last tick that was counted.
    package private(set) var tick: UInt64
    /// The tick for which the node plans to wake up.
    private var planned: UInt64

    /// The ticks that have passed, around the beat that was among them, if one was.
    package struct Passed: Equatable, Sendable {
        package var beforeBeat: Int
        package var isBeat: Bool
        package var behindBeat: Int
        package var count: Int { self.beforeBeat + self.behindBeat }

        package init(beforeBeat: Int = 0, isBeat: Bool = false, behindBeat: Int = 0) {
            self.beforeBeat = beforeBeat
            self.isBeat = isBeat
            self.behindBeat = behindBeat
        }
    }

    package init(period: Duration, beatTicks: UInt64, now: Instant) {
        self.period = period
        self.beatTicks = beatTicks
        self.tick = Self.tick(at: now, period)
        self.planned = self.tick + 1
    }

    /// Counts what has passed.
    ///
    /// Time in which the node could not run, because its machine stood still, passes for nobody: a
    /// leader's heartbeats may have come meanwhile and wait to be read. So no more is counted than the
    /// node meant to sleep, and a tick.
    package mutating func advance(to now: Instant) -> Passed {
        let reached = Self.tick(at: now, self.period)
        guard reached > self.tick else { return Passed() }
        let lastBeat = reached / self.beatTicks * self.beatTicks
        let isBeat = lastBeat > self.tick
        let most = max(self.planned, self.tick) - self.tick + 1
        let count = min(reached - self.tick, most)
        let behind = isBeat ? min(reached - lastBeat, count) : 0
        self.tick = reached
        return Passed(
            beforeBeat: Int(count - behind), isBeat: isBeat, behindBeat: Int(behind))
    }

    package var nextBeat: UInt64 { (self.tick / self.beatTicks + 1) * self.beatTicks }

    /// The node sleeps until this tick unless something else wakes it.
    package mutating func plan(_ tick: UInt64) { self.planned = tick }

    /// When a tick has passed.
    package func time(of tick: UInt64) -> Instant {
        Instant(nanoseconds: tick * UInt64(self.period.wholeNanoseconds))
    }

    private static func tick(at now: Instant, _ period: Duration) -> UInt64 {
        now.nanoseconds / UInt64(period.wholeNanoseconds)
    }
}
