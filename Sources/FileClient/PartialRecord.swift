import Cryptography
import Primitives

/// Which parts of a download are there, so that the next run finds it again. It lies in the partial
/// file itself, behind the place of the object's last byte, and goes when the file gets its name.
///
/// | bytes | content                                            |
/// |-------|----------------------------------------------------|
/// | 1     | version                                            |
/// | 32    | SHA-256 of the entity tag                          |
/// | 8, 8  | bytes of the object, and of its parts              |
/// | 4     | CRC32C of all before                               |
/// | 1 …   | for each part, 1 when all its bytes are there      |
///
/// A part's byte is written when its bytes are. After a power cut it may stand without them; the
/// check of the whole finds that out, and the download begins anew.
package struct PartialRecord: Equatable, Sendable {
    package let etag: String
    package let plan: PartPlan
    package private(set) var isThere: [Bool]

    private static let version: UInt8 = 1
    static let headBytes = 53
    package static var limitBytes: Int { Self.headBytes + Int(PartPlan.mostParts) }

    package init(etag: String, plan: PartPlan) {
        self.etag = etag
        self.plan = plan
        self.isThere = Array(repeating: false, count: plan.partCount)
    }

    /// Reads the record of this very version of an object; nil for anything else: then the download
    /// begins anew.
    package init?(_ bytes: [UInt8], etag: String, sizeBytes: UInt64) {
        guard bytes.count >= Self.headBytes else { return nil }
        let head = Array(bytes.prefix(Self.headBytes))
        do throws(FormatFault) {
            var reader = ByteReader(head)
            guard try reader.read(UInt8.self) == Self.version,
                try Array(reader.readRaw(32)) == SHA256.hash(Array(etag.utf8)),
                try reader.read(UInt64.self) == sizeBytes
            else { return nil }
            let partBytes = try reader.read(UInt64.self)
            guard try reader.read(UInt32.self) == CRC32C.of(Array(head.dropLast(4))),
                PartPlan.partBytesRange.contains(partBytes)
            else { return nil }
            let plan = PartPlan(sizeBytes: sizeBytes, partBytes: partBytes)
            self.init(etag: etag, plan: plan)
        } catch { return nil }
        let marks = bytes.dropFirst(Self.headBytes)
        guard marks.count == self.plan.partCount, marks.allSatisfy({ $0 <= 1 }) else { return nil }
        self.isThere = marks.map { $0 == 1 }
    }

    package var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.write(Self.version)
        writer.writeRaw(SHA256.hash(Array(self.etag.utf8)))
        writer.write(self.plan.sizeBytes)
        writer.write(self.plan.partBytes)
        writer.write(CRC32C.of(writer.bytes))
        return writer.bytes + self.isThere.map { $0 ? 1 : 0 }
    }

    /// Where in the file the mark of a part stands.
    package func markOffset(_ part: Int) -> UInt64 {
        self.plan.sizeBytes + UInt64(Self.headBytes + part)
    }

    package mutating func arrived(_ part: Int) { self.isThere[part] = true }

    package var missing: [Int] { self.isThere.indices.filter { !self.isThere[$0] } }
}
