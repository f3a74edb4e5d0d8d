package import Primitives
internal import Wire

/// The name of a bucket: 3 to 63 of `a-z 0-9 . -`, beginning and ending with a letter or digit,
/// without two dots in a row (Amazon S3, "Bucket naming rules").
package struct BucketName: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String
    /// Whose owner holds the bucket and all that is in it.
    package let slot: Slot

    /// Nil unless the rules hold.
    package init?(_ text: String) {
        guard Self.isValid(text.utf8) else { return nil }
        self.text = text
        self.slot = Slot(hashing: text.utf8)
    }

    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
    package var description: String { self.text }

    private static func isValid(_ name: String.UTF8View) -> Bool {
        guard CatalogLimits.bucketNameBytes.contains(name.count) else { return false }
        let dot = UInt8(ascii: ".")
        let dash = UInt8(ascii: "-")
        var previous = dot
        for byte in name {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): break
            // Dots stand alone; at the start, `previous` is a dot, and a dash is refused below.
            case dot: if previous == dot { return false }
            case dash: break
            default: return false
            }
            previous = byte
        }
        return name.first != dash && previous != dot && previous != dash
    }
}

extension BucketName: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.writeString(self.text) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let text = try reader.readString(
            field: "bucket name", bounds: CatalogLimits.bucketNameBytes)
        guard let name = Self(text) else { throw .invalid(field: "bucket name", offset: at) }
        self = name
    }
}
