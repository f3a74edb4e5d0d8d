/// The escapes of RFC 3986 §2.1, in the form that signatures are made over: upper-case digits, and
/// every byte escaped but the unreserved ones.
public enum PercentCoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Escapes every byte but letters, digits, `-`, `_`, `.` and `~`. A path keeps its slashes.
    public static func encode(
        _ bytes: some Sequence<UInt8>, keepingSlashes: Bool = false
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.underestimatedCount)
        for byte in bytes {
            if Self.isUnreserved(byte) || keepingSlashes && byte == UInt8(ascii: "/") {
                text.append(byte)
            } else {
                text.append(UInt8(ascii: "%"))
                text.append(Self.digits[Int(byte >> 4)])
                text.append(Self.digits[Int(byte & 15)])
            }
        }
        return text
    }

    /// Resolves each escape once. A plus sign stays a plus sign. Nil when a `%` is not followed by
    /// two hexadecimal digits.
    public static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var position = text.startIndex
        while position < text.endIndex {
            guard text[position] == UInt8(ascii: "%") else {
                bytes.append(text[position])
                position += 1
                continue
            }
            guard position + 2 < text.endIndex, let high = Hex.digit(text[position + 1]),
                let low = Hex.digit(text[position + 2])
            else { return nil }
            bytes.append(high << 4 | low)
            position += 3
        }
        return bytes
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
