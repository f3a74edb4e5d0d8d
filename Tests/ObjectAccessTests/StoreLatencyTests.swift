import ObjectAccess
import Primitives
import Testing

struct StoreLatencyTests {
    private let now = Instant(nanoseconds: 1_000_000_000)

    @Test func `patience is twice the 99th percentile, within its bounds`() {
        var latency = StoreLatency()
        #expect(latency.patience(at: self.now) == StoreLatency.initialPatience)
        for _ in 0..<50 { latency.observe(500, at: self.now) }
        #expect(latency.patience(at: self.now) == StoreLatency.leastPatience)
        for _ in 0..<2 { latency.observe(200_000, at: self.now) }
        #expect(latency.patience(at: self.now) >= .milliseconds(400))
        #expect(latency.patience(at: self.now) <= .milliseconds(500))
        for _ in 0..<100 { latency.observe(60_000_000, at: self.now) }
        #expect(latency.patience(at: self.now) == StoreLatency.mostPatience)
    }

    @Test func `a read is hedged at the 95th percentile, not at a mean with some deviations`() {
        var latency = StoreLatency()
        for _ in 0..<(StoreLatency.leastObservations - 1) { latency.observe(9000, at: self.now) }
        #expect(latency.hedgeDelay == StoreLatency.initialHedgeDelay)
        // Of a hundred, 94 take 5 ms and six take 40 ms: the 95th percentile is 40 ms.
        latency = StoreLatency()
        for number in 0..<1000 {
            latency.observe(number % 100 < 94 ? 5000 : 40_000, at: self.now)
        }
        #expect(latency.hedgeDelay >= .milliseconds(40) && latency.hedgeDelay <= .milliseconds(48))
        latency = StoreLatency()
        for number in 0..<1000 {
            latency.observe(number % 100 < 96 ? 5000 : 40_000, at: self.now)
        }
        #expect(latency.hedgeDelay >= .milliseconds(5) && latency.hedgeDelay <= .milliseconds(6))
    }

    @Test func `an answer that was overtaken counts, so that hedging does not feed on itself`() {
        var latency = StoreLatency()
        // One in ten takes far longer; each of those is hedged, and overtaken, after 10 ms.
        for number in 0..<1000 {
            if number % 10 == 0 {
                latency.outpaced(after: 10_000, at: self.now)
            } else {
                latency.observe(1000, at: self.now)
            }
        }
        #expect(latency.hedgeDelay >= .milliseconds(10))
    }

    @Test func `what was usual is forgotten after some thousand answers`() {
        var latency = StoreLatency()
        for _ in 0..<5000 { latency.observe(50_000, at: self.now) }
        for _ in 0..<5000 { latency.observe(3000, at: self.now) }
        #expect(latency.hedgeDelay < .milliseconds(4))
    }

    @Test func `a disappointing store is suspect for a while, or until it answers in time`() {
        var latency = StoreLatency()
        for _ in 0..<10 { latency.observe(1000, at: self.now) }
        latency.disappointed(at: self.now)
        #expect(latency.isSuspect(at: self.now))
        #expect(latency.patience(at: self.now) == .zero)
        #expect(latency.usualPatience > .zero)
        #expect(!latency.isSuspect(at: self.now + StoreLatency.suspicion))
        latency.observe(900, at: self.now)
        #expect(!latency.isSuspect(at: self.now))
    }

    @Test func `an estimate that nothing renews lapses, so that whoever was slow is tried again`() {
        var latency = StoreLatency()
        #expect(latency.expectedMicroseconds(at: self.now) == nil)
        for _ in 0..<50 { latency.observe(80_000, at: self.now) }
        #expect(latency.expectedMicroseconds(at: self.now) == 80_000)
        #expect(latency.expectedMicroseconds(at: self.now + StoreLatency.freshness) == nil)
    }
}
