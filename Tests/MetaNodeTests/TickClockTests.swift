import MetaNode
import Primitives
import Testing

struct TickClockTests {
    private typealias Passed = TickClock.Passed

    private static func time(_ milliseconds: UInt64) -> Instant {
        Instant(nanoseconds: milliseconds * 1_000_000)
    }

    /// Ticks of 20 ms, beats of 10 of them; it is 1,000 s and 7 ms past whatever the clock began at.
    private static func clock() -> TickClock {
        TickClock(period: .milliseconds(20), beatTicks: 10, now: Self.time(1_000_007))
    }

    @Test func `ticks pass on the grid, however often one looks`() {
        var clock = Self.clock()
        clock.plan(clock.nextBeat)
        let firstLook = clock.advance(to: Self.time(1_000_019))
        #expect(firstLook == Passed())
        let secondLook = clock.advance(to: Self.time(1_000_020))
        #expect(secondLook == Passed(beforeBeat: 1))
        let thirdLook = clock.advance(to: Self.time(1_000_039))
        #expect(thirdLook == Passed())
        let fourthLook = clock.advance(to: Self.time(1_000_101))
        #expect(fourthLook == Passed(beforeBeat: 4))
    }

    @Test func `a beat stands between the ticks before and behind it`() {
        var clock = Self.clock()
        clock.plan(clock.nextBeat)
        #expect(clock.time(of: clock.nextBeat) == Self.time(1_000_200))
        let firstLook = clock.advance(to: Self.time(1_000_200))
        #expect(firstLook == Passed(beforeBeat: 10, isBeat: true))
        clock.plan(clock.nextBeat)
        // Woken a tick late.
        let secondLook = clock.advance(to: Self.time(1_000_420))
        #expect(secondLook == Passed(beforeBeat: 10, isBeat: true, behindBeat: 1))
        #expect(clock.time(of: clock.nextBeat) == Self.time(1_000_600))
    }

    @Test func `time in which the machine stood still does not pass`() {
        var clock = Self.clock()
        clock.plan(clock.tick + 3)
        let passed = clock.advance(to: Self.time(9_000_000))
        #expect(passed.count == 4)
        #expect(passed.isBeat)
        clock.plan(clock.nextBeat)
        let firstLook = clock.advance(to: Self.time(9_000_020))
        #expect(firstLook == Passed(beforeBeat: 1))
    }

    @Test func `over any sequence of looks the ticks are those of the grid`() {
        var generator = SeededGenerator(seed: 4)
        var clock = Self.clock()
        var now: UInt64 = 1_000_007
        var (ticks, beats) = (0, 0)
        for _ in 0..<5_000 {
            clock.plan(clock.nextBeat)
            let due = clock.time(of: clock.nextBeat).nanoseconds / 1_000_000
            now = min(now + UInt64.random(in: 0...100, using: &generator), due + 19)
            let passed = clock.advance(to: Self.time(now))
            ticks += passed.count
            beats += passed.isBeat ? 1 : 0
        }
        #expect(ticks == Int(now / 20 - 1_000_007 / 20))
        #expect(beats == Int(now / 200 - 1_000_007 / 200))
    }
}
