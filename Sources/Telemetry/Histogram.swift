import Primitives
import Synchronization

/// How long things took: counts in log-linear buckets of microseconds (the scheme of Gil Tene's
/// HdrHistogram), so that a percentile is right to a sixteenth at every scale and a reading of
/// hours costs no more than one of microseconds.
package final class Histogram: Sendable {
    private let state = Mutex(HistogramSnapshot())

    package init() {}

    /// Counts one span, in whole microseconds rounded down. A negative span counts as zero.
    package func record(_ span: Duration) {
        self.record(microseconds: UInt64(max(0, span.wholeNanoseconds / 1_000)))
    }

    package func record(microseconds: UInt64) {
        self.state.withLock { $0.record(microseconds: microseconds) }
    }

    /// All that was recorded so far, at one instant.
    package var snapshot: HistogramSnapshot { self.state.withLock { $0 } }
}

/// What a histogram held at one instant.
package struct HistogramSnapshot: Sendable, Equatable {
    /// Buckets a power of two is split into, and below which every value has a bucket of its own.
    private static let splits = 16
    private static let splitBits = 4
    /// Values from 2^40 microseconds (twelve days) on share the last bucket.
    private static let largestExponent = 39
    private static let bucketCount = (Self.largestExponent - Self.splitBits + 2) * Self.splits

    private var buckets = [UInt64](repeating: 0, count: Self.bucketCount)
    /// How many values were recorded.
    package private(set) var count: UInt64 = 0
    /// Their sum; wraps after half a million years.
    package private(set) var sumMicroseconds: UInt64 = 0
    /// The largest of them, exactly.
    package private(set) var maximumMicroseconds: UInt64 = 0

    package init() {}

    package mutating func record(microseconds: UInt64) {
        self.buckets[Self.bucket(of: microseconds)] += 1
        self.count += 1
        self.sumMicroseconds &+= microseconds
        self.maximumMicroseconds = max(self.maximumMicroseconds, microseconds)
    }

    /// Adds what another histogram has counted.
    package mutating func merge(_ other: HistogramSnapshot) {
        for bucket in 0..<Self.bucketCount { self.buckets[bucket] += other.buckets[bucket] }
        self.count += other.count
        self.sumMicroseconds &+= other.sumMicroseconds
        self.maximumMicroseconds = max(self.maximumMicroseconds, other.maximumMicroseconds)
    }

    /// The least value that at least `fraction` of the recorded values do not exceed, rounded up
    /// by at most a sixteenth and never above the maximum. Nil when nothing was recorded.
    ///
    /// - Parameter fraction: 0...1; 0.99 is the 99th percentile.
    package func percentile(_ fraction: Double) -> UInt64? {
        guard self.count > 0 else { return nil }
        let wanted = max(1, (min(max(fraction, 0), 1) * Double(self.count)).rounded(.up))
        var seen: UInt64 = 0
        for bucket in 0..<Self.bucketCount {
            seen += self.buckets[bucket]
            if Double(seen) >= wanted, bucket < Self.bucketCount - 1 {
                return min(Self.highest(in: bucket), self.maximumMicroseconds)
            }
        }
        return self.maximumMicroseconds
    }

    /// How many recorded values lie below 2^`exponent` microseconds.
    package func count(belowPowerOfTwo exponent: Int) -> UInt64 {
        guard exponent <= Self.largestExponent else { return self.count }
        return self.buckets[..<Self.bucket(of: 1 << UInt64(exponent))].reduce(0, +)
    }

    private static func bucket(of value: UInt64) -> Int {
        if value < UInt64(Self.splits) { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        guard exponent <= Self.largestExponent else { return Self.bucketCount - 1 }
        let shift = exponent - Self.splitBits
        return shift * Self.splits + Int(value >> UInt64(shift))
    }

    private static func highest(in bucket: Int) -> UInt64 {
        if bucket < 2 * Self.splits { return UInt64(bucket) }
        let shift = bucket / Self.splits - 1
        let first = UInt64(bucket - shift * Self.splits) << UInt64(shift)
        return first + (1 << UInt64(shift)) - 1
    }
}
