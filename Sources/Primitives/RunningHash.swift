/// A hash of what is taken in, in order, eight bytes a step: for comparing what should be equal, not
/// against an adversary. Its values are on disks and wires: the function never changes.
public struct RunningHash: Sendable {
    private var state: UInt64

    /// Goes on from the value of an earlier hash.
    public init(from value: UInt64) {
        self.state = StableHash.mix(value ^ 0x9e37_79b9_7f4a_7c15)
    }

    public var value: UInt64 { StableHash.mix(self.state) }

    public mutating func absorb(_ word: UInt64) {
        let product = (self.state ^ word) &* 0x9fb2_1c65_1e98_df25
        self.state = product << 31 | product >> 33
    }

    /// Takes in the number of the bytes, too, so that no two sequences of byte strings are alike.
    public mutating func absorb(_ bytes: [UInt8]) {
        self.absorb(UInt64(bytes.count))
        bytes.withUnsafeBytes { bytes in
            let whole = bytes.count & ~7
            for offset in stride(from: 0, to: whole, by: 8) {
                self.absorb(
                    UInt64(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            }
            guard whole < bytes.count else { return }
            var last: UInt64 = 0
            for offset in (whole..<bytes.count).reversed() {
                last = last << 8 | UInt64(bytes[offset])
            }
            self.absorb(last)
        }
    }
}
