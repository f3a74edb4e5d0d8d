/// How a disk fares: its speed and its faults.
package struct DiskConditions: Sendable, Equatable {
    /// What one read or write costs beside its bytes, drawn anew for each.
    package var accessTime: ClosedRange<Duration> = .microseconds(5)...(.microseconds(40))
    /// What one sync costs beside its bytes.
    package var syncTime: ClosedRange<Duration> = .microseconds(100)...(.milliseconds(2))
    package var bytesPerSecond = 1_000_000_000
    /// How long work waits for a free thread of the pool.
    package var queueingDelay: ClosedRange<Duration> = .microseconds(5)...(.microseconds(200))
    /// Multiplies all times of the disk: 1 is a healthy disk, 10 to 100 a limping one.
    package var slowdown = 1.0

    /// How often a sync fails with EIO (0...1). What it should have made durable is then durable or
    /// not, by seed, and a later sync that succeeds does not make up for it, as on Linux.
    package var syncFailureProbability = 0.0
    /// How often a read fails with EIO (0...1).
    package var readFailureProbability = 0.0
    /// How often a write fails with EIO, having changed nothing (0...1).
    package var writeFailureProbability = 0.0
    /// How often a read comes back with one bit changed that the disk has right (0...1).
    package var bitFlipOnReadProbability = 0.0
    /// How often a write lands on another block of the same file (0...1).
    package var misdirectedWriteProbability = 0.0
    /// How often `OrderedStore.getIfCached` does not know (0...1).
    package var uncachedLookupProbability = 0.2

    package init() {}
}
