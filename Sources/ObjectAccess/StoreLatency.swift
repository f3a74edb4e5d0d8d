import Primitives

/// A running estimate of how long one store takes for one kind of work: what is usual for ranking,
/// and how far its tail reaches for patience.
///
/// A store that failed or was overdue is suspect for a while: writes ask others beside it at once,
/// reads ask others first. An answer in good time ends that early.
package struct StoreLatency: Sendable {
    /// The patience with a store that has not answered often enough yet.
    package static let initialPatience = Duration.seconds(1)
    package static let leastPatience = Duration.milliseconds(100)
    package static let mostPatience = Duration.seconds(3)
    /// When a second copy is asked beside a store that has not answered often enough yet.
    package static let initialHedgeDelay = Duration.milliseconds(100)
    /// Below this a hedge costs more than it can save.
    package static let leastHedgeDelay = Duration.milliseconds(2)
    /// How long one lateness or failure counts.
    package static let suspicion = Duration.seconds(5)
    /// How long an estimate is believed without a new answer: whoever was slow once would otherwise
    /// never be asked again, and never be found well again.
    package static let freshness = Duration.seconds(10)
    /// Answers from which on the tail is known well enough to hedge by it.
    package static let leastObservations = 20

    private var histogram = DecayingHistogram()
    /// Of the last answers, each new one weighing an eighth (as in RFC 6298 §2).
    private var meanMicroseconds = 0
    private var lastObserved: Instant?
    private var suspectUntil: Instant?

    package init() {}

    /// An answer came after this time.
    package mutating func observe(_ microseconds: Int, at now: Instant) {
        if Duration.microseconds(microseconds) <= self.usualPatience { self.suspectUntil = nil }
        self.note(microseconds, at: now)
    }

    /// An answer was no longer waited for after this time, because another came first. It would have
    /// taken longer; for every quantile below its place that makes no difference, and without it the
    /// estimate would only ever see the answers that were fast.
    package mutating func outpaced(after microseconds: Int, at now: Instant) {
        self.note(microseconds, at: now)
    }

    private mutating func note(_ microseconds: Int, at now: Instant) {
        self.histogram.observe(microseconds)
        self.lastObserved = now
        if self.meanMicroseconds == 0 {
            self.meanMicroseconds = max(1, microseconds)
        } else {
            let error = microseconds - self.meanMicroseconds
            self.meanMicroseconds = max(1, self.meanMicroseconds + error / 8)
        }
    }

    /// It failed, or patience ended before an answer came. How late that would have been is not
    /// known, so the estimate stays: patience must not grow with the slowness it is to cut off.
    package mutating func disappointed(at now: Instant) {
        self.suspectUntil = now + Self.suspicion
    }

    package func isSuspect(at now: Instant) -> Bool { self.suspectUntil.map { now < $0 } ?? false }

    /// What to rank the store by; nil while nothing fresh is known.
    package func expectedMicroseconds(at now: Instant) -> Int? {
        guard let last = self.lastObserved, now - last < Self.freshness else { return nil }
        return self.meanMicroseconds
    }

    /// How long a write waits before a stand-in is asked as well.
    package func patience(at now: Instant) -> Duration {
        self.isSuspect(at: now) ? .zero : self.usualPatience
    }

    /// Twice the 99th percentile.
    package var usualPatience: Duration {
        guard let tail = self.histogram.quantile(percent: 99) else { return Self.initialPatience }
        return min(max(.microseconds(2 * tail), Self.leastPatience), Self.mostPatience)
    }

    /// How long a read waits before it asks a second copy: the 95th percentile.
    package var hedgeDelay: Duration {
        guard self.histogram.count >= Self.leastObservations,
            let tail = self.histogram.quantile(percent: 95)
        else { return Self.initialHedgeDelay }
        return min(max(.microseconds(tail), Self.leastHedgeDelay), self.usualPatience)
    }
}
