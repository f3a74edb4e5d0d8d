import Primitives

extension SeededGenerator {
    /// A number from 0 up to, but not with, `bound`, which is over 0. (Lemire's multiplication,
    /// without the rejection: the bias is under 2^-32 for every bound in use here.)
    package mutating func below(_ bound: Int) -> Int {
        Int(self.next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// True with `probability` (0...1).
    package mutating func chance(_ probability: Double) -> Bool {
        guard probability > 0 else { return false }
        return Double(self.next() >> 11) * 0x1p-53 < probability
    }

    /// A span between the bounds, both possible.
    package mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        let low = range.lowerBound.wholeNanoseconds
        let width = range.upperBound.wholeNanoseconds - low
        guard width > 0 else { return range.lowerBound }
        return .nanoseconds(low + Int64(self.below(Int(width) + 1)))
    }

    package mutating func number(in range: ClosedRange<Double>) -> Double {
        let fraction = Double(self.next() >> 11) * 0x1p-53
        return range.lowerBound + fraction * (range.upperBound - range.lowerBound)
    }

    package mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[self.below(elements.count)]
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: self.next().littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// A generator of its own for one part of the world, so that a draw more in one part does not
    /// change what happens in the others.
    mutating func branch() -> SeededGenerator { SeededGenerator(seed: self.next()) }
}
