import Primitives

/// How much room there is on the disk that the metadata rests on, in the only terms that decide
/// anything. Raw values are for ever: nodes tell each other.
package enum DiskSpace: UInt8, Hashable, Sendable {
    /// Everything is taken.
    case ample = 1
    /// Less free than the mark: commands that make the state grow are refused, and the ballast is
    /// given back so that deletes, sessions and Raft itself go on.
    case low = 2
    /// What the ballast gave is nearly used up as well: nothing more is entered into the log. The
    /// node goes on answering and voting, and takes entries again when there is room.
    case exhausted = 3
}

/// When a meta node gives its ballast back, when it makes it again, and what that means for others:
/// a pure decision, fed with what was measured.
///
/// RocksDB stays failed after its first write that finds no room, and the process must end over it.
/// So the state is entered before: at the *mark*, above what can be under way at that moment
/// (unflushed rows of all groups, the log's preallocation). It is left only when the ballast can be
/// made again and a quarter of the mark is free beyond it, so that it does not flutter.
package struct DiskSpaceRule: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        case releaseBallast
        case makeBallast
    }

    package let settings: DiskSpaceSettings
    package private(set) var space: DiskSpace
    package private(set) var holdsBallast: Bool
    /// The file system cannot reserve space, so there is nothing to give back.
    package private(set) var isBallastImpossible = false
    package private(set) var freeBytes: UInt64 = 0

    /// - Parameter holdsBallast: whether an earlier process has left one. Without it the node has to
    ///   make room for one first.
    package init(_ settings: DiskSpaceSettings, holdsBallast: Bool) {
        self.settings = settings
        self.holdsBallast = holdsBallast
        self.space = holdsBallast || settings.ballastBytes == 0 ? .ample : .low
    }

    /// When to measure again: soon where the disk could fill meanwhile, even by the chunks of the
    /// fastest disk there is, and now and then where there is plenty.
    package var pause: Duration {
        let spareBytes = self.freeBytes - min(self.freeBytes, self.settings.markBytes)
        let filling = Duration.milliseconds(Int64(spareBytes / Self.fastestBytesPerMillisecond))
        return max(self.settings.period, min(filling, Self.longestPause))
    }

    private static let fastestBytesPerMillisecond: UInt64 = 4 << 20
    private static let longestPause: Duration = .seconds(2)

    /// What must be free for things to be well again: the ballast, where it has to be made, and
    /// some more than the mark.
    package var recoveryBytes: UInt64 {
        // One that is still held on a low disk is about to be given back.
        let isNeeded = !(self.holdsBallast && self.space == .ample) && !self.isBallastImpossible
        let ballast = isNeeded ? self.settings.ballastBytes : 0
        return self.settings.markBytes + self.settings.markBytes / 4 + ballast
    }

    /// Below this nothing is entered into the log any more.
    package var floorBytes: UInt64 { self.settings.markBytes / 4 }

    /// Takes a measurement. What it asks for is to be done before the next one.
    package mutating func measured(freeBytes: UInt64) -> Action? {
        self.freeBytes = freeBytes
        if freeBytes < self.settings.markBytes {
            // From exhausted it goes back at twice the floor.
            let floor = self.space == .exhausted ? 2 * self.floorBytes : self.floorBytes
            self.space = freeBytes < floor && !self.holdsBallast ? .exhausted : .low
            return self.holdsBallast ? .releaseBallast : nil
        }
        if self.space == .exhausted { self.space = .low }
        guard self.space == .low, freeBytes >= self.recoveryBytes else { return nil }
        if self.holdsBallast || self.isBallastImpossible || self.settings.ballastBytes == 0 {
            self.space = .ample
            return nil
        }
        return .makeBallast
    }

    package mutating func ballastReleased() { self.holdsBallast = false }

    /// The ballast stands, so what is free is free beyond it.
    package mutating func ballastMade() {
        self.holdsBallast = true
        self.space = .ample
    }

    /// The ballast could not be made for want of room: somebody was faster.
    package mutating func ballastDidNotFit() { self.holdsBallast = false }

    /// The ballast cannot be made at all. The node goes on without one.
    package mutating func ballastFailed() {
        self.holdsBallast = false
        self.isBallastImpossible = true
        self.space = .ample
    }
}

/// How the disk below the metadata is watched.
package struct DiskSpaceSettings: Equatable, Sendable {
    /// What is kept aside, to be given back when space runs out; 0: nothing.
    package var ballastBytes: UInt64 = 128 << 20
    /// Free space below which commands that grow are refused.
    package var markBytes: UInt64 = 256 << 20
    /// How often free space is asked for; besides that whenever an eighth of the mark was written.
    package var period: Duration = .milliseconds(250)

    package static let ballastRange: ClosedRange<UInt64> = 0...64 << 30
    package static let markRange: ClosedRange<UInt64> = 64 << 10...64 << 30

    package init() {}

    /// What must stay free of chunks, or a disk full of them would stop the metadata as well.
    package var leastReserveBytes: UInt64 {
        self.ballastBytes + self.markBytes + self.markBytes / 4
    }
}
