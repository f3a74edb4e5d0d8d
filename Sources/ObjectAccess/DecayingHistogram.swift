/// How long something took lately, in classes that grow by about a fifth: enough to name a quantile
/// within that error, in 200 bytes and without keeping samples.
///
/// It forgets by halves: whenever `windowCount` observations are in, all counts are halved, so that
/// what was usual yesterday does not outweigh today. (P², Jain and Chlamtac 1985, needs less memory
/// for one quantile, but never forgets and gives only the quantile it was made for.)
struct DecayingHistogram: Sendable {
    /// Observations at which the counts are halved: the 99th percentile then rests on five at least.
    static let windowCount = 1024
    /// Four classes to each doubling, up to 2^25 µs: half a minute.
    private static let classesPerDoubling = 4
    private static let doublings = 25

    private var counts = [UInt16](repeating: 0, count: Self.doublings * Self.classesPerDoubling)
    private(set) var count = 0

    mutating func observe(_ microseconds: Int) {
        self.counts[Self.place(of: microseconds)] += 1
        self.count += 1
        if self.count >= Self.windowCount { self.halve() }
    }

    private mutating func halve() {
        self.count = 0
        for place in self.counts.indices {
            self.counts[place] /= 2
            self.count += Int(self.counts[place])
        }
    }

    /// A bound that this share of the observations did not exceed; nil while there are none.
    func quantile(percent: Int) -> Int? {
        guard self.count > 0 else { return nil }
        let rank = (self.count * percent + 99) / 100
        var seen = 0
        for (place, count) in self.counts.enumerated() {
            seen += Int(count)
            if seen >= rank { return Self.upperBound(of: place) }
        }
        return nil
    }

    /// The class of a value: its leading bit and the two bits behind it.
    private static func place(of microseconds: Int) -> Int {
        let value = max(microseconds, 1)
        let doubling = Int.bitWidth - 1 - value.leadingZeroBitCount
        let quarter = doubling >= 2 ? (value >> (doubling - 2)) & 3 : (value << (2 - doubling)) & 3
        return min(doubling * Self.classesPerDoubling + quarter, Self.lastPlace)
    }

    private static let lastPlace = Self.doublings * Self.classesPerDoubling - 1

    private static func upperBound(of place: Int) -> Int {
        let (doubling, quarter) = place.quotientAndRemainder(dividingBy: Self.classesPerDoubling)
        return ((quarter + 5) << doubling) / 4
    }
}
