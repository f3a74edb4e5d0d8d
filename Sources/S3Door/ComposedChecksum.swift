import Catalog
import Cryptography
import Primitives

/// What S3 says of an object that was made of parts, from what it knows of each of them: the bytes
/// are not read again.
package enum ComposedChecksum {
    /// The entity tag: the MD5 of the parts' MD5 digests, and how many parts there are.
    ///
    /// - Parameter digests: 16 bytes each, in the parts' order.
    package static func entityTag(of digests: [[UInt8]]) -> String {
        Hex.encode(MD5.hash(Array(digests.joined()))) + "-\(digests.count)"
    }

    /// The checksum of the parts' checksums (`COMPOSITE`).
    package static func composite(
        of values: [[UInt8]], _ algorithm: ChecksumAlgorithm
    ) -> ObjectChecksum {
        ObjectChecksum(
            algorithm: algorithm, value: BodyChecksum.of(Array(values.joined()), algorithm),
            partCount: UInt16(values.count))
    }

    /// The checksum of the whole object (`FULL_OBJECT`); nil for an algorithm that has no way from
    /// the parts' to the whole's.
    package static func whole(
        of parts: [(value: [UInt8], sizeBytes: UInt64)], _ algorithm: ChecksumAlgorithm
    ) -> ObjectChecksum? {
        guard let check = CyclicCheck(algorithm) else { return nil }
        var joined: UInt64 = 0
        for (position, part) in parts.enumerated() {
            let value = part.value.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            joined =
                position == 0 ? value : check.joining(joined, value, ofBytes: part.sizeBytes)
        }
        let bytes = (0..<algorithm.sizeBytes).reversed().map {
            UInt8(truncatingIfNeeded: joined >> UInt64(8 * $0))
        }
        return ObjectChecksum(algorithm: algorithm, value: bytes)
    }
}

/// A cyclic redundancy check as arithmetic on polynomials over GF(2), reflected: the highest bit is
/// the coefficient of 1.
///
/// The check of `a ‖ b` is that of `a`, multiplied by x to the number of b's bits, plus that of b;
/// the ones before and after cancel out (Adler, `crc32_combine` of zlib, does the same by matrices).
struct CyclicCheck {
    private let width: UInt64
    /// Without the highest power, reflected.
    private let polynomial: UInt64

    init?(_ algorithm: ChecksumAlgorithm) {
        switch algorithm {
        case .crc32: (self.width, self.polynomial) = (32, 0xedb8_8320)
        case .crc32c: (self.width, self.polynomial) = (32, 0x82f6_3b78)
        case .crc64nvme: (self.width, self.polynomial) = (64, 0x9a6c_9329_ac4b_c9b5)
        case .sha1, .sha256: return nil
        }
    }

    func joining(_ first: UInt64, _ second: UInt64, ofBytes sizeBytes: UInt64) -> UInt64 {
        self.product(first, self.powerOfX(8, times: sizeBytes)) ^ second
    }

    private var one: UInt64 { 1 << (self.width - 1) }

    /// x to the power of `exponent * times`, by squaring.
    private func powerOfX(_ exponent: Int, times: UInt64) -> UInt64 {
        var base = self.one >> 1
        for _ in 1..<exponent { base = self.timesX(base) }
        var power = self.one
        var rest = times
        while rest > 0 {
            if rest & 1 == 1 { power = self.product(power, base) }
            base = self.product(base, base)
            rest >>= 1
        }
        return power
    }

    private func timesX(_ value: UInt64) -> UInt64 {
        value & 1 == 1 ? value >> 1 ^ self.polynomial : value >> 1
    }

    private func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        var shifted = b
        for place in 0..<self.width {
            if a & (self.one >> place) != 0 { sum ^= shifted }
            shifted = self.timesX(shifted)
        }
        return sum
    }
}
