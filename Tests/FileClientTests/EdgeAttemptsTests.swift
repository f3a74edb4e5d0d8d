import FileClient
import Primitives
import Testing

@Suite struct EdgeAttemptsTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test func `every edge is asked once before any is asked again`() {
        var attempts = EdgeAttempts(edgeCount: 3, first: 1)
        #expect(attempts.edge == 1)
        #expect(
            attempts.failed(.unreachable, at: self.start, jitter: 0)
                == .again(edge: 2, after: .zero))
        #expect(
            attempts.failed(.broken, at: self.start, jitter: 0) == .again(edge: 0, after: .zero))
        #expect(
            attempts.failed(.timedOut, at: self.start, jitter: 0)
                == .again(edge: 1, after: .milliseconds(50)))
        #expect(attempts.attemptCount == 4)
    }

    @Test func `pauses grow to a bound and end`() {
        var attempts = EdgeAttempts(edgeCount: 1, first: 0)
        var pauses: [Duration] = []
        while case .again(0, let pause) = attempts.failed(
            .broken, at: self.start, jitter: 1023)
        { pauses.append(pause) }
        #expect(pauses.count == EdgeAttempts.Limits().mostRounds - 1)
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(pauses[0] > .milliseconds(99) && pauses[0] <= .milliseconds(100))
        #expect(pauses.allSatisfy { $0 <= .seconds(2) })
    }

    @Test func `the rest that an edge asks for is kept, up to a bound`() {
        var attempts = EdgeAttempts(edgeCount: 2, first: 0)
        _ = attempts.failed(.overloaded(retryAfter: .seconds(7)), at: self.start, jitter: 0)
        #expect(
            attempts.failed(.overloaded(retryAfter: .seconds(4)), at: self.start, jitter: 0)
                == .again(edge: 0, after: .seconds(4)))
        var alone = EdgeAttempts(edgeCount: 1, first: 0)
        #expect(
            alone.failed(.overloaded(retryAfter: .seconds(3600)), at: self.start, jitter: 0)
                == .again(edge: 0, after: .seconds(10)))
    }

    @Test func `an edge that is not who it should be is not asked again`() {
        var attempts = EdgeAttempts(edgeCount: 2, first: 0)
        _ = attempts.failed(.untrusted(reason: "name"), at: self.start, jitter: 0)
        for _ in 0..<3 {
            guard case .again(1, _) = attempts.failed(.broken, at: self.start, jitter: 0) else {
                Issue.record("the trusted edge is asked on")
                return
            }
        }
        #expect(attempts.failed(.untrusted(reason: "name"), at: self.start, jitter: 0) == .giveUp)
    }

    @Test func `slow failures end with the window, but not before a second round`() {
        var attempts = EdgeAttempts(edgeCount: 2, first: 0)
        func later(_ seconds: Int64) -> Instant { self.start + .seconds(seconds) }
        #expect(attempts.failed(.timedOut, at: later(0), jitter: 0) != .giveUp)
        #expect(attempts.failed(.timedOut, at: later(100), jitter: 0) != .giveUp)
        #expect(attempts.failed(.timedOut, at: later(200), jitter: 0) != .giveUp)
        #expect(attempts.failed(.timedOut, at: later(300), jitter: 0) == .giveUp)
    }

    @Test func `progress begins the count anew`() {
        var attempts = EdgeAttempts(edgeCount: 1, first: 0)
        for second in 0..<100 {
            attempts.progressed()
            let now = self.start + .seconds(Int64(second) * 100)
            #expect(attempts.failed(.broken, at: now, jitter: 0) != .giveUp)
        }
    }

    @Test func `new requests take turns and pass over an edge that just failed`() {
        var turns = EdgeTurns(edgeCount: 3, first: 2)
        #expect((0..<4).map { _ in turns.next(at: self.start) } == [2, 0, 1, 2])
        turns.failed(0, at: self.start)
        #expect((0..<3).map { _ in turns.next(at: self.start) } == [1, 2, 1])
        let rested = self.start + EdgeTurns.restAfterFailure
        #expect((0..<3).map { _ in turns.next(at: rested) } == [2, 0, 1])
        for edge in 0..<3 { turns.failed(edge, at: self.start) }
        #expect(turns.next(at: self.start) == 2)
        turns.answered(1)
        #expect(turns.next(at: self.start) == 1)
    }
}
