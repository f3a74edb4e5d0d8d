import Primitives

/// The clocks of one machine as functions of the simulated time: a monotonic clock that runs too
/// fast or too slow, and a wall clock beside it that can be set.
package struct NodeClock: Sendable {
    /// A million of these make the clock stand still or run double.
    package private(set) var driftPartsPerMillion: Int64 = 0

    /// The clock read `localBase` when the simulated time was `base`.
    private var base = Instant(nanoseconds: 0)
    private var localBase: UInt64

    /// What the wall clock shows when the monotonic clock reads 0, in nanoseconds.
    private var wallOffset: Int64
    private var frozenWall: Timestamp?

    /// The largest drift that a clock can have, either way.
    package static let driftLimitPartsPerMillion: Int64 = 500_000

    /// - Parameter start: where the monotonic clock begins: any number, since readings of two
    ///   machines, or before and after a start, must not be compared.
    init(start: Instant, wall: Timestamp) {
        self.localBase = start.nanoseconds
        self.wallOffset = wall.milliseconds * 1_000_000 - Int64(start.nanoseconds)
    }

    /// What the monotonic clock reads.
    func reading(at time: Instant) -> Instant {
        let elapsed = Int64(time.nanoseconds - self.base.nanoseconds)
        let local = elapsed + Self.scaled(elapsed, self.driftPartsPerMillion)
        return Instant(nanoseconds: self.localBase + UInt64(local))
    }

    func wall(at time: Instant) -> Timestamp {
        if let frozenWall { return frozenWall }
        let local = Int64(self.reading(at: time).nanoseconds)
        return Timestamp(milliseconds: (local + self.wallOffset) / 1_000_000)
    }

    /// The first simulated time at which the monotonic clock reads `local` or later.
    func time(ofReading local: Instant, now: Instant) -> Instant {
        guard local > self.reading(at: now) else { return now }
        let wanted = local.nanoseconds - self.localBase
        let rate = UInt64(1_000_000 + self.driftPartsPerMillion)
        let (high, low) = wanted.multipliedFullWidth(by: 1_000_000)
        guard high < rate else { return Instant(nanoseconds: .max) }
        let (quotient, _) = rate.dividingFullWidth((high, low))
        let (sum, isOver) = self.base.nanoseconds.addingReportingOverflow(quotient)
        guard !isOver, sum < UInt64(Int64.max) else { return Instant(nanoseconds: .max) }
        // The division cut a fraction off, and cutting in `reading` may cost one more.
        var time = Instant(nanoseconds: sum)
        while self.reading(at: time) < local { time = Instant(nanoseconds: time.nanoseconds + 1) }
        return time
    }

    /// Lets both clocks run at another rate from now on.
    mutating func setDrift(_ partsPerMillion: Int64, at time: Instant) {
        let limit = Self.driftLimitPartsPerMillion
        invariant(abs(partsPerMillion) <= limit, "a clock drifts by at most \(limit) ppm")
        self.localBase = self.reading(at: time).nanoseconds
        self.base = time
        self.driftPartsPerMillion = partsPerMillion
    }

    /// Sets the wall clock forward or back.
    mutating func jumpWall(by span: Duration) {
        self.wallOffset += span.wholeNanoseconds
        if let frozenWall { self.frozenWall = frozenWall + span }
    }

    /// Sets the wall clock right, and lets it go: it shows `start` when the world begins, and the
    /// world's time since.
    mutating func correctWall(start: Timestamp, at time: Instant) {
        let right = start.milliseconds * 1_000_000 + Int64(time.nanoseconds)
        self.wallOffset = right - Int64(self.reading(at: time).nanoseconds)
        self.frozenWall = nil
    }

    /// Stops the wall clock, or lets it go on from where it would be.
    mutating func setWallFrozen(_ isFrozen: Bool, at time: Instant) {
        self.frozenWall = isFrozen ? self.wall(at: time) : nil
    }

    /// Begins the monotonic clock anew, as a machine's start does; the wall clock goes on.
    mutating func restart(from start: Instant, at time: Instant) {
        let wall = self.wall(at: time)
        let drift = self.driftPartsPerMillion
        let isFrozen = self.frozenWall != nil
        self = NodeClock(start: start, wall: wall)
        self.base = time
        self.driftPartsPerMillion = drift
        if isFrozen { self.frozenWall = wall }
    }

    private static func scaled(_ span: Int64, _ partsPerMillion: Int64) -> Int64 {
        let (high, low) = span.multipliedFullWidth(by: partsPerMillion)
        return Int64(1_000_000).dividingFullWidth((high, low)).quotient
    }
}
