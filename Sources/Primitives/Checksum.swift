internal import CChecksum

/// CRC-32C (Castagnoli; RFC 3720 appendix B.4), by the processor's instruction where it has one.
public enum CRC32C {
    /// The checksum of `bytes`, going on from `previous` when they continue what it covered.
    public static func of(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
        holdfast_crc32c(previous, bytes.baseAddress, bytes.count)
    }

    public static func of(_ bytes: [UInt8], after previous: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { Self.of($0, after: previous) }
    }

    public static func of(_ bytes: ArraySlice<UInt8>, after previous: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { Self.of($0, after: previous) }
    }
}

/// CRC-32 (ISO 3309; the one of zlib and of S3's `x-amz-checksum-crc32`).
public enum CRC32 {
    /// The checksum of `bytes`, going on from `previous` when they continue what it covered.
    public static func of(_ bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
        holdfast_crc32(previous, bytes.baseAddress, bytes.count)
    }

    public static func of(_ bytes: [UInt8], after previous: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { Self.of($0, after: previous) }
    }
}
