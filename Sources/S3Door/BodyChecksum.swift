import Catalog
import Cryptography
import Primitives

/// A checksum of `x-amz-checksum-…`, over bytes that come piece by piece.
package struct BodyChecksum: Sendable {
    private enum State: Sendable {
        case crc32(UInt32)
        case crc32c(UInt32)
        case crc64nvme(UInt64)
        case sha1(SHA1Digest)
        case sha256(SHA256Digest)
    }

    private var state: State

    package init(_ algorithm: ChecksumAlgorithm) {
        switch algorithm {
        case .crc32: self.state = .crc32(0)
        case .crc32c: self.state = .crc32c(0)
        case .crc64nvme: self.state = .crc64nvme(0)
        case .sha1: self.state = .sha1(SHA1Digest())
        case .sha256: self.state = .sha256(SHA256Digest())
        }
    }

    package static func of(_ bytes: [UInt8], _ algorithm: ChecksumAlgorithm) -> [UInt8] {
        var checksum = Self(algorithm)
        checksum.update(bytes)
        return checksum.finish()
    }

    package mutating func update(_ bytes: [UInt8]) { self.update(bytes[...]) }

    package mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { buffer in
            switch self.state {
            case .crc32(let before): self.state = .crc32(CRC32.of(buffer, after: before))
            case .crc32c(let before): self.state = .crc32c(CRC32C.of(buffer, after: before))
            case .crc64nvme(let before):
                self.state = .crc64nvme(CRC64NVME.of(buffer, after: before))
            case .sha1(var digest):
                digest.update(buffer)
                self.state = .sha1(digest)
            case .sha256(var digest):
                digest.update(buffer)
                self.state = .sha256(digest)
            }
        }
    }

    /// In the byte order in which S3 encodes it.
    package func finish() -> [UInt8] {
        switch self.state {
        case .crc32(let value), .crc32c(let value):
            withUnsafeBytes(of: value.bigEndian) { Array($0) }
        case .crc64nvme(let value): withUnsafeBytes(of: value.bigEndian) { Array($0) }
        case .sha1(let digest): digest.finish()
        case .sha256(let digest): digest.finish()
        }
    }
}

extension ChecksumAlgorithm {
    package var sizeBytes: Int {
        switch self {
        case .crc32, .crc32c: 4
        case .crc64nvme: 8
        case .sha1: 20
        case .sha256: 32
        }
    }
}

/// CRC-64/NVME (NVM Express, "NVM Command Set", 64b CRC): reflected, polynomial
/// 0xad93d23594c93659, all ones before and after.
enum CRC64NVME {
    private static let reflectedPolynomial: UInt64 = 0x9a6c_9329_ac4b_c9b5

    /// Eight tables, for eight bytes at a time (Kounavis and Berry, "A Systematic Approach to
    /// Building High Performance Software-based CRC Generators", 2005).
    private static let tables: [UInt64] = {
        var tables = [UInt64](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var value = UInt64(byte)
            for _ in 0..<8 {
                value = value & 1 == 1 ? value >> 1 ^ Self.reflectedPolynomial : value >> 1
            }
            tables[byte] = value
        }
        for index in 256..<8 * 256 {
            let before = tables[index - 256]
            tables[index] = before >> 8 ^ tables[Int(before & 255)]
        }
        return tables
    }()

    static func of(_ bytes: UnsafeRawBufferPointer, after previous: UInt64) -> UInt64 {
        Self.tables.withUnsafeBufferPointer { tables in
            var value = ~previous
            var position = 0
            while bytes.count - position >= 8 {
                let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
                value ^= UInt64(littleEndian: word)
                var next: UInt64 = 0
                for place in 0..<8 {
                    let byte = Int(value >> UInt64(8 * place) & 255)
                    next ^= tables[(7 - place) * 256 + byte]
                }
                value = next
                position += 8
            }
            while position < bytes.count {
                value = value >> 8 ^ tables[Int((value ^ UInt64(bytes[position])) & 255)]
                position += 1
            }
            return ~value
        }
    }
}
