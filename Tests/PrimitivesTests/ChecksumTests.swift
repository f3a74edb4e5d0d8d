import Primitives
import Testing

@Suite struct ChecksumTests {
    @Test func `the check values of the catalogue of CRCs hold`() {
        let check = Array("123456789".utf8)
        #expect(CRC32.of(check) == 0xcbf4_3926)
        #expect(CRC32C.of(check) == 0xe306_9283)
        #expect(CRC32.of([UInt8]()) == 0)
        #expect(CRC32C.of([UInt8]()) == 0)
    }

    /// RFC 3720 appendix B.4.
    @Test func `the examples of iSCSI hold`() {
        #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(CRC32C.of([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(CRC32C.of(Array(0..<32)) == 0x46dd_794e)
    }

    @Test func `a checksum goes on where it was left, at every cut and alignment`() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let whole = CRC32C.of(bytes)
        let wholePlain = CRC32.of(bytes)
        for cut in 0...bytes.count {
            #expect(CRC32C.of(bytes[cut...], after: CRC32C.of(bytes[..<cut])) == whole)
            #expect(
                CRC32.of(Array(bytes[cut...]), after: CRC32.of(Array(bytes[..<cut]))) == wholePlain)
        }
    }

    @Test func `a long checksum is that of its short pieces`() {
        var generator = SeededGenerator(seed: 5)
        let bytes = (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        for start in [0, 1, 7, 4_095] {
            for end in [6_143, 6_144, 6_145, 12_288, 18_440, 39_999, 40_000] where end > start {
                var pieces: UInt32 = 0
                for cut in stride(from: start, to: end, by: 100) {
                    pieces = CRC32C.of(bytes[cut..<min(cut + 100, end)], after: pieces)
                }
                #expect(CRC32C.of(bytes[start..<end]) == pieces, "\(start)..<\(end)")
            }
        }
    }

    @Test func `CRC-32C agrees with its definition bit by bit`() {
        func bitwise(_ bytes: ArraySlice<UInt8>) -> UInt32 {
            var crc: UInt32 = .max
            for byte in bytes {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82f6_3b78 : crc >> 1 }
            }
            return ~crc
        }
        let bytes = (0..<600).map { UInt8(truncatingIfNeeded: $0 &* $0) }
        for start in 0..<9 {
            for end in stride(from: start, to: bytes.count, by: 13) {
                #expect(CRC32C.of(bytes[start..<end]) == bitwise(bytes[start..<end]))
            }
        }
    }
}
