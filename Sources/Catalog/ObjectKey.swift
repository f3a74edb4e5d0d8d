package import Primitives
internal import Wire

/// The key of an object: 1 to 1,024 bytes of UTF-8.
///
/// Kept as bytes, never as `String`: keys order and differ by their bytes, while two strings with
/// the same characters in different Unicode forms are equal.
package struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let utf8: [UInt8]

    /// Nil when the key is empty, too long or not UTF-8.
    package init?(utf8: [UInt8]) {
        guard CatalogLimits.objectKeyBytes.contains(utf8.count),
            Self.isWellFormed(utf8)
        else { return nil }
        self.utf8 = utf8
    }

    package init?(_ text: String) { self.init(utf8: Array(text.utf8)) }

    /// A key that a row's own key carries, checked when the row was written.
    init(stored utf8: [UInt8]) { self.utf8 = utf8 }

    package static func < (a: Self, b: Self) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
    package var description: String { String(decoding: self.utf8, as: UTF8.self) }

    static func isWellFormed(_ bytes: [UInt8]) -> Bool {
        // Most keys are ASCII; only the others pay for a String.
        bytes.allSatisfy { $0 < 0x80 } || String(validating: bytes, as: UTF8.self) != nil
    }
}

extension ObjectKey: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.writeBytes(self.utf8) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let utf8 = try reader.readBytes(
            field: "object key", limit: CatalogLimits.objectKeyBytes.upperBound)
        guard let key = Self(utf8: Array(utf8)) else {
            throw .invalid(field: "object key", offset: at)
        }
        self = key
    }
}
