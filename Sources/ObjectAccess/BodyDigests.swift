import Catalog
import Cryptography
import Primitives

/// What a client stated of a body; all of it is checked before anything becomes visible.
package struct StatedBody: Equatable, Sendable {
    package var sizeBytes: UInt64?
    package var sha256: [UInt8]?
    package var md5: [UInt8]?
    /// Big-endian, as `x-amz-checksum-crc32` carries it.
    package var crc32: [UInt8]?
    package var crc32c: [UInt8]?

    package init(
        sizeBytes: UInt64? = nil, sha256: [UInt8]? = nil, md5: [UInt8]? = nil,
        crc32: [UInt8]? = nil, crc32c: [UInt8]? = nil
    ) {
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
        self.md5 = md5
        self.crc32 = crc32
        self.crc32c = crc32c
    }
}

/// One pass over a body that feeds every digest somebody wants.
struct BodyDigests: Sendable {
    private var whole = TwinDigest()
    private var crc32: UInt32 = 0
    private var crc32c: UInt32 = 0
    private let wantsCRC32: Bool
    private let wantsCRC32C: Bool
    private(set) var sizeBytes: UInt64 = 0

    init(for stated: StatedBody) {
        self.wantsCRC32 = stated.crc32 != nil
        self.wantsCRC32C = stated.crc32c != nil
    }

    mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { self.update($0) } }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        self.whole.update(bytes)
        if self.wantsCRC32 { self.crc32 = CRC32.of(bytes, after: self.crc32) }
        if self.wantsCRC32C { self.crc32c = CRC32C.of(bytes, after: self.crc32c) }
        self.sizeBytes += UInt64(bytes.count)
    }

    struct Finished: Sendable {
        let sha256: [UInt8]
        /// In hexadecimal: what S3 clients expect as the entity tag of a plain PUT.
        let entityTag: EntityTag
        let checksums: [ObjectChecksum]
        let sizeBytes: UInt64
    }

    /// The digests, if all that was stated holds.
    func finish(_ stated: StatedBody) throws(AccessFault) -> Finished {
        if let size = stated.sizeBytes, size != self.sizeBytes { throw .bodyIncomplete }
        let (md5, sha256) = self.whole.finish()
        if let wanted = stated.sha256, wanted != sha256 { throw .bodyMismatch(.sha256) }
        if let wanted = stated.md5, wanted != md5 { throw .bodyMismatch(.md5) }
        var checksums: [ObjectChecksum] = []
        if let wanted = stated.crc32 {
            guard wanted == Self.bigEndian(self.crc32) else { throw .bodyMismatch(.crc32) }
            checksums.append(ObjectChecksum(algorithm: .crc32, value: wanted))
        }
        if let wanted = stated.crc32c {
            guard wanted == Self.bigEndian(self.crc32c) else { throw .bodyMismatch(.crc32c) }
            checksums.append(ObjectChecksum(algorithm: .crc32c, value: wanted))
        }
        guard let tag = EntityTag(Hex.encode(md5)) else {
            throw .broken("a digest in hexadecimal is no entity tag")
        }
        return Finished(
            sha256: sha256, entityTag: tag, checksums: checksums, sizeBytes: self.sizeBytes)
    }

    private static func bigEndian(_ value: UInt32) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
