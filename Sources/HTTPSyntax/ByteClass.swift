/// The character classes of RFC 9110 §5.5 and §5.6.2 and RFC 3986, as bit sets over ASCII.
enum ByteClass {
    static let space = UInt8(ascii: " ")
    static let tab = UInt8(ascii: "\t")
    static let carriageReturn = UInt8(ascii: "\r")
    static let lineFeed = UInt8(ascii: "\n")
    static let colon = UInt8(ascii: ":")
    static let comma = UInt8(ascii: ",")
    static let slash = UInt8(ascii: "/")
    static let quote = UInt8(ascii: "\"")

    /// `tchar`: what methods and field names are made of (RFC 9110 §5.6.2).
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        Self.contains(byte, low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
    }

    /// The bytes that a host with a port may hold (RFC 3986 §3.2.2); user names are not among them.
    @inline(__always)
    static func isHost(_ byte: UInt8) -> Bool {
        Self.contains(byte, low: 0x2fff_7ff2_0000_0000, high: 0x47ff_fffe_afff_fffe)
    }

    /// Visible ASCII, space, tab and the bytes above ASCII that old texts hold (RFC 9110 §5.5).
    @inline(__always)
    static func isFieldValue(_ byte: UInt8) -> Bool {
        (byte >= 0x20 && byte != 0x7f) || byte == Self.tab
    }

    /// What a request target may hold: visible bytes. Bytes above ASCII are let through, because
    /// clients send them raw and they cannot change where the target ends; `#` has no place here.
    @inline(__always)
    static func isTarget(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != 0x7f && byte != UInt8(ascii: "#")
    }

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == Self.space || byte == Self.tab }

    /// The value of a decimal digit; above 9 for anything else.
    @inline(__always)
    static func digit(_ byte: UInt8) -> UInt8 { byte &- UInt8(ascii: "0") }

    /// ASCII letters in lower case; every other byte as it is.
    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 {
        byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }

    @inline(__always)
    private static func contains(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
        byte < 64
            ? low &>> UInt64(byte) & 1 == 1
            : byte < 128 && high &>> UInt64(byte & 63) & 1 == 1
    }
}

extension UnsafeRawBufferPointer {
    /// The first line feed at or after `start`, eight bytes a step (the zero-byte test of Mycroft,
    /// 1987).
    func firstLineFeed(from start: Int, to end: Int) -> Int? {
        var position = start
        let ones: UInt64 = 0x0101_0101_0101_0101
        let wanted = ones &* UInt64(ByteClass.lineFeed)
        while position &+ 8 <= end {
            let word = self.loadUnaligned(fromByteOffset: position, as: UInt64.self).littleEndian
            let difference = word ^ wanted
            let zeros = (difference &- ones) & ~difference & (ones &<< 7)
            if zeros != 0 { return position &+ zeros.trailingZeroBitCount &>> 3 }
            position &+= 8
        }
        while position < end {
            if self[position] == ByteClass.lineFeed { return position }
            position &+= 1
        }
        return nil
    }

    /// Whether all bytes of `range` may stand in a field value. Eight bytes a step are looked at for
    /// one below 0x20 or equal to 0x7f; only where there is one, a tab perhaps, byte by byte.
    func isFieldValue(_ range: Range<Int>) -> Bool {
        var position = range.lowerBound
        let ones: UInt64 = 0x0101_0101_0101_0101
        let signs = ones &<< 7
        while position &+ 8 <= range.upperBound {
            let word = self.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            let delete = word ^ (ones &* 0x7f)
            let low = (word &- ones &* 0x20) & ~word
            let suspicious = (low | ((delete &- ones) & ~delete)) & signs
            if suspicious != 0 {
                for offset in position..<position &+ 8
                where !ByteClass.isFieldValue(self[offset]) {
                    return false
                }
            }
            position &+= 8
        }
        while position < range.upperBound {
            if !ByteClass.isFieldValue(self[position]) { return false }
            position &+= 1
        }
        return true
    }

    /// Whether the bytes of `range` are `text`, which is in lower case, in any case.
    func equals(_ range: Range<Int>, ignoringCaseOf text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        let wanted = text.utf8Start
        for offset in 0..<range.count
        where ByteClass.lowered(self[range.lowerBound &+ offset]) != wanted[offset] {
            return false
        }
        return true
    }
}
