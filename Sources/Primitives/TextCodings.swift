/// Base 16 (RFC 4648 §8).
public enum Hex {
    /// Two lower-case digits a byte.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        Self.encode(Array(bytes))
    }

    /// The same without generics, which nothing specialises across modules: signed requests and
    /// their answers are full of hashes.
    public static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: 2 * bytes.count) { digits in
            for (place, byte) in bytes.enumerated() {
                digits[2 * place] = Self.lowerDigit(byte >> 4)
                digits[2 * place + 1] = Self.lowerDigit(byte & 15)
            }
            return 2 * bytes.count
        }
    }

    private static func lowerDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
    }

    /// Nil for an odd number of digits or anything that is not a digit; both cases are read.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        Self.decode(String(text))
    }

    public static func decode(_ text: String) -> [UInt8]? {
        var text = text
        return text.withUTF8 { digits in
            guard digits.count.isMultiple(of: 2) else { return nil }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(digits.count / 2)
            for place in stride(from: 0, to: digits.count, by: 2) {
                guard let high = Self.digit(digits[place]), let low = Self.digit(digits[place + 1])
                else { return nil }
                bytes.append(high << 4 | low)
            }
            return bytes
        }
    }

    /// The value of one digit, either case.
    public static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Base 64 (RFC 4648 §4, padded) and its form for URLs (§5, not padded).
public enum Base64 {
    private static let standard = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let forURL = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    public static func encode(_ bytes: [UInt8]) -> String {
        Self.encode(bytes, alphabet: Self.standard, padded: true)
    }

    public static func encodeForURL(_ bytes: [UInt8]) -> String {
        Self.encode(bytes, alphabet: Self.forURL, padded: false)
    }

    /// Nil unless `text` is the one canonical encoding of some bytes.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.count % 4 == 0 else { return nil }
        var digits = Array(text.utf8)
        while digits.last == UInt8(ascii: "="), text.utf8.count - digits.count < 2 {
            digits.removeLast()
        }
        return Self.decode(digits, sixtyTwo: UInt8(ascii: "+"), sixtyThree: UInt8(ascii: "/"))
    }

    /// Nil unless `text` is the one canonical encoding of some bytes.
    public static func decodeForURL(_ text: some StringProtocol) -> [UInt8]? {
        Self.decode(Array(text.utf8), sixtyTwo: UInt8(ascii: "-"), sixtyThree: UInt8(ascii: "_"))
    }

    private static func encode(_ bytes: [UInt8], alphabet: [UInt8], padded: Bool) -> String {
        var digits: [UInt8] = []
        digits.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var value: UInt32 = 0
            for byte in group { value = value << 8 | UInt32(byte) }
            value <<= UInt32(8 * (3 - group.count))
            for position in 0...group.count {
                digits.append(alphabet[Int(value >> UInt32(18 - 6 * position) & 63)])
            }
            if padded {
                for _ in group.count..<3 { digits.append(UInt8(ascii: "=")) }
            }
        }
        return String(decoding: digits, as: UTF8.self)
    }

    private static func decode(
        _ digits: [UInt8], sixtyTwo: UInt8, sixtyThree: UInt8
    ) -> [UInt8]? {
        guard digits.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3 + 2)
        var value: UInt32 = 0
        var bits = 0
        for digit in digits {
            let six: UInt8
            switch digit {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): six = digit - UInt8(ascii: "A")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): six = digit - UInt8(ascii: "a") + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): six = digit - UInt8(ascii: "0") + 52
            case sixtyTwo: six = 62
            case sixtyThree: six = 63
            default: return nil
            }
            value = value << 6 | UInt32(six)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(bits)))
            }
        }
        // Bits that no byte uses must be zero, else two texts would mean the same bytes.
        guard value & (1 << UInt32(bits) - 1) == 0 else { return nil }
        return bytes
    }
}
