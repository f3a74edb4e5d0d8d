import Primitives

/// A running estimate of one store's latency: mean and deviation as in TCP's retransmission timer
/// (RFC 6298 §2), so that patience follows what is usual.
///
/// A store that was late is not waited for again for a while: others are asked beside it at once,
/// and for reads before it. An answer in good time ends that early.
package struct StoreLatency: Sendable {
    /// The patience with a store that has not answered yet.
    package static let initialPatience = Duration.seconds(1)
    package static let leastPatience = Duration.milliseconds(100)
    package static let mostPatience = Duration.seconds(3)
    /// How long one lateness counts.
    package static let suspicion = Duration.seconds(5)

    private var meanMicroseconds = 0
    private var deviationMicroseconds = 0
    private var suspectUntil: Instant?

    package init() {}

    /// An answer came after this time.
    package mutating func observe(_ microseconds: Int) {
        if Duration.microseconds(microseconds) <= self.usualPatience { self.suspectUntil = nil }
        if self.meanMicroseconds == 0 {
            self.meanMicroseconds = max(1, microseconds)
            self.deviationMicroseconds = microseconds / 2
            return
        }
        let error = microseconds - self.meanMicroseconds
        self.meanMicroseconds = max(1, self.meanMicroseconds + error / 8)
        self.deviationMicroseconds += (abs(error) - self.deviationMicroseconds) / 4
    }

    /// Patience ended before an answer came. How late it would have been is not known, so the
    /// estimate stays: patience must not grow with the slowness it is to cut off.
    package mutating func wasLate(at now: Instant) { self.suspectUntil = now + Self.suspicion }

    private func isSuspect(at now: Instant) -> Bool { self.suspectUntil.map { now < $0 } ?? false }

    /// What to rank the store by; nil while nothing is known.
    package func expectedMicroseconds(at now: Instant) -> Int? {
        if self.isSuspect(at: now) { return Int(Self.mostPatience.wholeNanoseconds / 1000) }
        return self.meanMicroseconds == 0 ? nil : self.meanMicroseconds
    }

    /// How long to wait before somebody else is asked as well.
    package func patience(at now: Instant) -> Duration {
        self.isSuspect(at: now) ? .zero : self.usualPatience
    }

    /// About twice the 99th percentile.
    private var usualPatience: Duration {
        guard self.meanMicroseconds > 0 else { return Self.initialPatience }
        let usual = 2 * (self.meanMicroseconds + 4 * self.deviationMicroseconds)
        return min(max(.microseconds(usual), Self.leastPatience), Self.mostPatience)
    }
}
