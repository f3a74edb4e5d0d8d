import Primitives
import Telemetry
import Testing

@Suite struct HistogramTests {
    @Test func `an empty histogram has no percentile`() {
        #expect(HistogramSnapshot().percentile(0.5) == nil)
    }

    @Test func `small values are kept exactly`() {
        var histogram = HistogramSnapshot()
        for value: UInt64 in 1...10 { histogram.record(microseconds: value) }
        #expect(histogram.percentile(0) == 1)
        #expect(histogram.percentile(0.5) == 5)
        #expect(histogram.percentile(0.51) == 6)
        #expect(histogram.percentile(1) == 10)
        #expect(histogram.sumMicroseconds == 55)
    }

    @Test func `a percentile is at most a sixteenth above the value it stands for`() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<2_000 {
            let value = generator.next() >> UInt64.random(in: 25...63, using: &generator)
            var histogram = HistogramSnapshot()
            histogram.record(microseconds: value)
            histogram.record(microseconds: .max)
            let found = try #require(histogram.percentile(0.5))
            #expect(found >= value && found - value <= value / 16, "\(value) became \(found)")
        }
    }

    @Test func `a value beyond the last bucket is counted, and the maximum stays exact`() {
        var histogram = HistogramSnapshot()
        histogram.record(microseconds: .max)
        #expect(histogram.count == 1)
        #expect(histogram.percentile(0.99) == .max)
        #expect(histogram.maximumMicroseconds == .max)
        #expect(histogram.count(belowPowerOfTwo: 39) == 0)
    }

    @Test func `counts below a power of two are exact`() {
        var histogram = HistogramSnapshot()
        for value: UInt64 in [0, 63, 64, 65, 127, 128, 1_000_000] {
            histogram.record(microseconds: value)
        }
        #expect(histogram.count(belowPowerOfTwo: 6) == 2)
        #expect(histogram.count(belowPowerOfTwo: 7) == 5)
        #expect(histogram.count(belowPowerOfTwo: 20) == 7)
    }

    @Test func `merging is the same as recording everything in one`() {
        var first = HistogramSnapshot()
        var second = HistogramSnapshot()
        var both = HistogramSnapshot()
        for value: UInt64 in [3, 900, 77_000] {
            first.record(microseconds: value)
            second.record(microseconds: value * 3)
            both.record(microseconds: value)
            both.record(microseconds: value * 3)
        }
        first.merge(second)
        #expect(first == both)
    }

    @Test func `a span is rounded down to microseconds and never negative`() {
        let histogram = Histogram()
        histogram.record(.nanoseconds(2_999))
        histogram.record(.seconds(-1))
        #expect(histogram.snapshot.sumMicroseconds == 2)
        #expect(histogram.snapshot.count == 2)
    }
}
