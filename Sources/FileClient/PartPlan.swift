import Primitives

/// How a large object is cut into parts: all of one size, but for the last.
package struct PartPlan: Equatable, Sendable {
    /// Objects up to this size travel in one request.
    package static let wholeLimitBytes: UInt64 = 32 << 20
    /// S3's least for any part but the last, and its greatest.
    package static let partBytesRange: ClosedRange<UInt64> = 5 << 20...5 << 30
    package static let mostParts: UInt64 = 10_000
    /// Two chunks of the store: large enough that a part's own cost does not show, small enough that
    /// little is lost with a connection.
    private static let usualPartBytes: UInt64 = 16 << 20
    /// Where an object that we uploaded says of what size its parts are: without that nobody could
    /// check its bytes against its checksum.
    package static let metadataField: StaticString = "x-amz-meta-holdfast-part-bytes"

    package let sizeBytes: UInt64
    package let partBytes: UInt64

    /// Parts of the usual size, doubled until there are no more than can be.
    package init(sizeBytes: UInt64) {
        var partBytes = Self.usualPartBytes
        while Self.count(sizeBytes, partBytes) > Self.mostParts { partBytes *= 2 }
        self.init(sizeBytes: sizeBytes, partBytes: partBytes)
    }

    /// Parts of a size that somebody wants; of a larger one where there would be too many.
    package init(sizeBytes: UInt64, wanted: UInt64?) {
        guard let wanted, Self.count(sizeBytes, wanted) <= Self.mostParts else {
            self.init(sizeBytes: sizeBytes)
            return
        }
        self.init(sizeBytes: sizeBytes, partBytes: wanted)
    }

    package init(sizeBytes: UInt64, partBytes: UInt64) {
        invariant(partBytes > 0, "a part has bytes")
        self.sizeBytes = sizeBytes
        self.partBytes = partBytes
    }

    package var partCount: Int { Int(Self.count(self.sizeBytes, self.partBytes)) }

    /// The bytes of the part `index`, counted from 0.
    package func range(_ index: Int) -> Range<UInt64> {
        let start = UInt64(index) * self.partBytes
        return start..<min(start + self.partBytes, self.sizeBytes)
    }

    private static func count(_ sizeBytes: UInt64, _ partBytes: UInt64) -> UInt64 {
        sizeBytes / partBytes + (sizeBytes % partBytes == 0 ? 0 : 1)
    }
}
