import Primitives

/// What went wrong with one attempt at one edge, as far as the next attempt cares.
package enum EdgeFailure: Error, Equatable, Sendable {
    /// Nobody listens, or there is no way there.
    case unreachable
    /// The connection broke before the answer was complete.
    case broken
    case timedOut
    /// 503 or 429, perhaps with the time after which to come back.
    case overloaded(retryAfter: Duration?)
    /// Another 5xx, or 408: whether the edge acted on the request is unknown.
    case failed(status: UInt16)
    /// The bytes were not those that the edge had announced.
    case corrupted
    /// The edge could not prove who it is; it will not be able to later either.
    case untrusted(reason: String)
}

/// The attempts at one idempotent request: which edge is next, after which pause, and when to give
/// up. A round asks every usable edge once, without pause; between rounds is a growing pause.
package struct EdgeAttempts: Sendable {
    package struct Limits: Equatable, Sendable {
        /// Rounds after which the request is given up.
        package var mostRounds = 16
        /// Rounds that are tried however long one takes.
        package var leastRounds = 2
        /// Since the first failure; not counted while fewer than `leastRounds` are done.
        package var window: Duration = .seconds(60)
        package var firstPause: Duration = .milliseconds(100)
        package var longestPause: Duration = .seconds(2)
        /// An edge that wants a longer rest is asked after this one.
        package var longestRetryAfter: Duration = .seconds(10)

        package init() {}
    }

    package enum Step: Equatable, Sendable {
        case again(edge: Int, after: Duration)
        case giveUp
    }

    private let limits: Limits
    /// Where the edge of the attempt that is under way stands in the list.
    package private(set) var edge: Int
    package private(set) var attemptCount = 1
    /// Edges that will not answer whatever we wait.
    private var isExcluded: [Bool]
    private var hasFailedInRound: [Bool]
    private var completedRounds = 0
    private var firstFailure: Instant?
    /// The shortest rest that an edge asked for in this round.
    private var retryAfter: Duration?

    package init(edgeCount: Int, first: Int, limits: Limits = Limits()) {
        invariant(edgeCount > 0, "a client knows an edge")
        self.limits = limits
        self.edge = first % edgeCount
        self.isExcluded = Array(repeating: false, count: edgeCount)
        self.hasFailedInRound = self.isExcluded
    }

    /// Decides what follows a failed attempt.
    ///
    /// - Parameter jitter: any number; spreads the pauses of many clients over half their length.
    package mutating func failed(
        _ failure: EdgeFailure, at now: Instant, jitter: UInt64
    ) -> Step {
        let since = self.firstFailure ?? now
        self.firstFailure = since
        self.attemptCount += 1
        self.hasFailedInRound[self.edge] = true
        switch failure {
        case .untrusted: self.isExcluded[self.edge] = true
        case .overloaded(let rest?):
            let rest = min(max(rest, .zero), self.limits.longestRetryAfter)
            self.retryAfter = min(rest, self.retryAfter ?? rest)
        case .unreachable, .broken, .timedOut, .overloaded(nil), .failed, .corrupted: break
        }
        if let next = self.next(where: { !self.hasFailedInRound[$0] && !self.isExcluded[$0] }) {
            self.edge = next
            return .again(edge: next, after: .zero)
        }
        return self.beginRound(since: since, now: now, jitter: jitter)
    }

    /// Says that part of the work was done and stays done: later failures count anew.
    package mutating func progressed() {
        self.completedRounds = 0
        self.firstFailure = nil
        self.retryAfter = nil
        self.hasFailedInRound = Array(repeating: false, count: self.hasFailedInRound.count)
    }

    private mutating func beginRound(since: Instant, now: Instant, jitter: UInt64) -> Step {
        self.completedRounds += 1
        guard self.completedRounds < self.limits.mostRounds,
            let next = self.next(where: { !self.isExcluded[$0] })
        else { return .giveUp }
        var pause = self.limits.firstPause
        for _ in 1..<self.completedRounds where pause < self.limits.longestPause { pause *= 2 }
        pause = min(pause, self.limits.longestPause)
        pause = pause / 2 + pause / 2 * Int(jitter % 1024) / 1024
        pause = max(pause, self.retryAfter ?? .zero)
        if self.completedRounds >= self.limits.leastRounds,
            (now - since) + pause > self.limits.window
        {
            return .giveUp
        }
        self.retryAfter = nil
        self.hasFailedInRound = Array(repeating: false, count: self.hasFailedInRound.count)
        self.edge = next
        return .again(edge: next, after: pause)
    }

    /// The first usable edge behind the one that failed, which itself comes last.
    private func next(where isUsable: (Int) -> Bool) -> Int? {
        let count = self.isExcluded.count
        return (1...count).map { (self.edge + $0) % count }.first(where: isUsable)
    }
}

/// Which edge a new request goes to first: each in turn, but for those that failed just now.
package struct EdgeTurns: Sendable {
    /// How long an edge that failed gets no new request while others are there.
    package static let restAfterFailure: Duration = .seconds(5)

    private var turn: Int
    private var restsUntil: [Instant?]

    package init(edgeCount: Int, first: Int) {
        invariant(edgeCount > 0, "a client knows an edge")
        self.turn = first % edgeCount
        self.restsUntil = Array(repeating: nil, count: edgeCount)
    }

    package mutating func next(at now: Instant) -> Int {
        let count = self.restsUntil.count
        let order = (0..<count).map { (self.turn + $0) % count }
        let edge = order.first { self.restsUntil[$0].map { $0 <= now } ?? true } ?? self.turn
        self.turn = (edge + 1) % count
        return edge
    }

    package mutating func failed(_ edge: Int, at now: Instant) {
        self.restsUntil[edge] = now + Self.restAfterFailure
    }

    package mutating func answered(_ edge: Int) { self.restsUntil[edge] = nil }
}
