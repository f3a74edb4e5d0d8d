import Primitives

/// The escapes of RFC 3986 §2.1.
package enum PercentCoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Escapes every byte but letters, digits, `-`, `_`, `.` and `~`, with upper-case digits: the
    /// form that signatures are made over. A path keeps its slashes.
    package static func encode(
        _ bytes: some Sequence<UInt8>, keepingSlashes: Bool = false
    ) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(bytes.underestimatedCount)
        for byte in bytes {
            if ByteClass.isUnreserved(byte) || keepingSlashes && byte == ByteClass.slash {
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
    package static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
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
}

/// One parameter of a query, with nothing decoded.
package struct QueryParameter: Equatable, Sendable {
    package let name: ArraySlice<UInt8>
    /// Nil when there is no equals sign, as in `?delete`.
    package let value: ArraySlice<UInt8>?

    /// The parameters in the order they were sent; empty pieces between ampersands are left out.
    package static func split(_ query: ArraySlice<UInt8>) -> [QueryParameter] {
        query.split(separator: UInt8(ascii: "&")).map { piece in
            guard let equals = piece.firstIndex(of: UInt8(ascii: "=")) else {
                return QueryParameter(name: piece, value: nil)
            }
            return QueryParameter(name: piece[..<equals], value: piece[(equals + 1)...])
        }
    }
}
