package import Primitives

/// The forms of a time that Signature Version 4 uses.
package enum SigV4Date {
    /// `20130524T000000Z`.
    package static func text(_ time: Timestamp) -> String {
        let at = CalendarTime(time)
        return "\(Self.day(time))T\(Self.padded(at.hour))\(Self.padded(at.minute))"
            + "\(Self.padded(at.second))Z"
    }

    /// `20130524`.
    package static func day(_ time: Timestamp) -> String {
        let at = CalendarTime(time)
        return Self.padded(at.year, width: 4) + Self.padded(at.month) + Self.padded(at.day)
    }

    /// Reads `20130524T000000Z`, and nothing else.
    package static func parse(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count == 16, bytes[8] == UInt8(ascii: "T"), bytes[15] == UInt8(ascii: "Z"),
            let year = Self.number(bytes[0..<4]), let month = Self.number(bytes[4..<6]),
            let day = Self.number(bytes[6..<8]), let hour = Self.number(bytes[9..<11]),
            let minute = Self.number(bytes[11..<13]), let second = Self.number(bytes[13..<15])
        else { return nil }
        return Self.checked(
            CalendarTime(
                year: year, month: month, day: day, hour: hour, minute: minute, second: second))
    }

    /// Reads the preferred form of an HTTP date (RFC 9110 §5.6.7): `Fri, 24 May 2013 00:00:00 GMT`.
    package static func parseHTTP(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count == 29, text.hasSuffix(" GMT"), bytes[3] == UInt8(ascii: ","),
            let day = Self.number(bytes[5..<7]),
            let month = Self.months.firstIndex(of: Array(bytes[8..<11])),
            let year = Self.number(bytes[12..<16]), let hour = Self.number(bytes[17..<19]),
            let minute = Self.number(bytes[20..<22]), let second = Self.number(bytes[23..<25])
        else { return nil }
        return Self.checked(
            CalendarTime(
                year: year, month: month + 1, day: day, hour: hour, minute: minute,
                second: second))
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ].map { Array($0.utf8) }

    /// Nil for a date that no calendar has (a leap second included): the round trip finds it.
    private static func checked(_ time: CalendarTime) -> Timestamp? {
        guard (1...12).contains(time.month), (1...31).contains(time.day), time.year >= 1970 else {
            return nil
        }
        let timestamp = time.timestamp
        return CalendarTime(timestamp) == time ? timestamp : nil
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value
    }

    private static func padded(_ number: Int, width: Int = 2) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
