/// What of a segment is still wanted. All sizes in bytes.
package struct SegmentUsage: Equatable, Sendable {
    package let segment: UInt64
    /// Where the last record ends.
    package var endBytes: UInt64 = 0
    /// Records that the index names, with their padding.
    package var liveBytes: UInt64 = 0
    /// Void records whose room on the disk was not given back yet.
    package var deadBytes: UInt64 = 0
    /// Records of tombstones.
    package var tombstones: UInt32 = 0
    /// Nothing in it is wanted: its file goes, or has gone.
    package var isLeaving = false

    /// A segment of which no more than this part is live is copied together with others, in
    /// percent. Its holes have given their room back before, so what is won is the room of
    /// tombstones, and files and extents that the file system keeps track of: that can wait.
    package static let sparsePercent: UInt64 = 25

    package var isSparse: Bool { self.liveBytes * 100 <= self.endBytes * Self.sparsePercent }

    /// Whether this one is emptied before the other: the smaller part live first, then the older.
    func goesBefore(_ other: SegmentUsage) -> Bool {
        let mine = self.liveBytes.multipliedFullWidth(by: max(other.endBytes, 1))
        let theirs = other.liveBytes.multipliedFullWidth(by: max(self.endBytes, 1))
        if mine == theirs { return self.segment < other.segment }
        return (mine.high, mine.low) < (theirs.high, theirs.low)
    }
}
