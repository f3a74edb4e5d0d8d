import Primitives

/// What is known of the wall clocks of a cluster's voters, and what that says of one's own: readings
/// in, a verdict out. A pure value.
///
/// Every reading is kept as what that wall clock shows above the own monotonic clock. So a jump of
/// the own wall clock shows at once, and spoils no reading; a jump of another's shows with the next
/// thing heard from it. Nobody is believed alone: the time of the cluster is the median of the
/// voters' clocks, the own one among them where its node votes, and it is not known before a majority
/// of them is.
package struct ClockOffsets: Equatable, Sendable {
    /// A leader further from the median hands over, and stamps no entry further from it.
    package static let leaderLimit: Duration = .milliseconds(500)
    /// An edge further from the median answers nothing that depends on the time.
    package static let edgeLimit: Duration = .seconds(5)
    /// A reading is off by half of its round trip at most, so one that took longer says nothing.
    package static let longestRoundTrip = leaderLimit
    /// A reading older than this is forgotten: crystals drift by some milliseconds in so long.
    package static let readingLifetime: Duration = .seconds(600)

    private struct Reading: Equatable {
        /// Milliseconds of the wall clock above the own monotonic clock.
        let base: Int64
        let taken: Instant
    }

    package let node: NodeID
    private var voters: [NodeID]
    private var readings: [NodeID: Reading] = [:]

    /// - Parameter voters: whose clocks count; with or without `node`.
    package init(node: NodeID, voters: [NodeID]) {
        self.node = node
        self.voters = voters.sorted()
    }

    /// Counts other clocks from now on.
    package mutating func setVoters(_ voters: [NodeID]) {
        guard voters.sorted() != self.voters else { return }
        self.voters = voters.sorted()
        self.readings = self.readings.filter { voters.contains($0.key) }
    }

    /// The wall clock of another voter showed `wall` half a round trip ago, as far as one can know
    /// (Cristian, "Probabilistic clock synchronization", 1989).
    package mutating func heard(
        from other: NodeID, wall: Timestamp, roundTrip: Duration, at now: Instant
    ) {
        guard self.voters.contains(other), Self.believable.contains(wall.milliseconds),
            (.zero...Self.longestRoundTrip).contains(roundTrip)
        else { return }
        self.readings[other] = Reading(
            base: Self.base(of: wall + roundTrip / 2, at: now), taken: now)
    }

    /// How the own wall clock, which shows `wall` now, stands to the others.
    package func verdict(on wall: Timestamp, at now: Instant) -> ClockVerdict {
        let own = Self.base(of: wall, at: now)
        guard let median = self.median(own: own, at: now) else {
            return ClockVerdict(wall: wall, offset: nil)
        }
        return ClockVerdict(wall: wall, offset: .milliseconds(own - median))
    }

    /// Whether another voter's clock is near enough to the median to lead, as far as is known.
    package func mayLead(_ other: NodeID, ownWall wall: Timestamp, at now: Instant) -> Bool {
        guard let median = self.median(own: Self.base(of: wall, at: now), at: now),
            let base = self.base(of: other, at: now)
        else { return false }
        return abs(base - median) <= Self.leaderLimit.wholeNanoseconds / 1_000_000
    }

    /// How many of the voters' clocks are known now, the own one among them.
    package func knownClocks(at now: Instant) -> Int {
        self.voters.count { $0 == self.node || self.base(of: $0, at: now) != nil }
    }

    /// The median of what is known, of two the lower one: a time that stands still for a while does
    /// no harm, while one that has run ahead never comes back.
    private func median(own: Int64, at now: Instant) -> Int64? {
        let known = self.voters.compactMap { $0 == self.node ? own : self.base(of: $0, at: now) }
        guard known.count > self.voters.count / 2 else { return nil }
        return known.sorted()[(known.count - 1) / 2]
    }

    private func base(of other: NodeID, at now: Instant) -> Int64? {
        guard let reading = self.readings[other], now - reading.taken <= Self.readingLifetime
        else { return nil }
        return reading.base
    }

    private static func base(of wall: Timestamp, at now: Instant) -> Int64 {
        let shown = min(
            max(wall.milliseconds, Self.believable.lowerBound), Self.believable.upperBound)
        return shown - Int64(now.nanoseconds / 1_000_000)
    }

    /// Years from 1970 to about 10,000, so that no sum overflows whatever another node claims.
    private static let believable: ClosedRange<Int64> = 0...253_402_300_799_999
}

/// How a wall clock stands to the time of its cluster.
package struct ClockVerdict: Equatable, Sendable {
    /// What the clock showed.
    package let wall: Timestamp
    /// How far it is ahead of the median; nil while too few clocks are known.
    package let offset: Duration?

    package init(wall: Timestamp, offset: Duration?) {
        self.wall = wall
        self.offset = offset
    }

    /// Whether the clock is known to be too far off to lead by.
    package var mustNotLead: Bool { self.isOff(by: ClockOffsets.leaderLimit) }

    /// Whether the clock is known to be too far off for answers that depend on the time.
    package var isUnfitForEdges: Bool { self.isOff(by: ClockOffsets.edgeLimit) }

    /// The wall clock, brought to within the leader's limit of the median: what may become the time
    /// of an entry, and what spans of hours are measured with. Nil while the median is not known.
    package var boundedTime: Timestamp? {
        guard let offset else { return nil }
        let limit = ClockOffsets.leaderLimit
        let bounded = min(max(offset, .zero - limit), limit)
        return self.wall + (bounded - offset)
    }

    private func isOff(by limit: Duration) -> Bool {
        guard let offset else { return false }
        return offset > limit || offset < .zero - limit
    }
}
