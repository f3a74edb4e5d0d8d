import Primitives

/// The date format of HTTP fields (RFC 9110 §5.6.7), in seconds.
package enum HTTPDate {
    private static let weekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// As in `Sun, 06 Nov 1994 08:49:37 GMT`.
    package static func text(_ time: Timestamp) -> String {
        let date = CalendarTime(time)
        return self.weekdays[date.weekday].prefix(3) + ", " + Self.padded(date.day, 2) + " "
            + self.months[date.month - 1] + " " + Self.padded(date.year, 4) + " "
            + Self.padded(date.hour, 2) + ":" + Self.padded(date.minute, 2) + ":"
            + Self.padded(date.second, 2) + " GMT"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Reads the preferred form and the two obsolete ones, which RFC 9110 asks to go on reading.
    /// Nil for anything else, and for days that are not in the calendar. The weekday is not held
    /// against the date. A year of two digits below 70 is in this century.
    package static func parse(_ text: ArraySlice<UInt8>) -> Timestamp? {
        var words = Scanner(text)
        guard let weekday = words.word(separators: [ByteClass.space, ByteClass.comma]),
            let place = self.weekdays.firstIndex(where: {
                $0.utf8.elementsEqual(weekday) || $0.prefix(3).utf8.elementsEqual(weekday)
            })
        else { return nil }
        if words.take(ByteClass.comma) {
            guard words.take(ByteClass.space) else { return nil }
            let isFull = weekday.count == self.weekdays[place].utf8.count
            return isFull
                ? Self.parseDayMonthYear(&words, separator: UInt8(ascii: "-"), yearDigits: 2)
                : Self.parseDayMonthYear(&words, separator: ByteClass.space, yearDigits: 4)
        }
        return Self.parseAscTime(&words)
    }

    /// `06 Nov 1994 08:49:37 GMT` or `06-Nov-94 08:49:37 GMT`.
    private static func parseDayMonthYear(
        _ words: inout Scanner, separator: UInt8, yearDigits: Int
    ) -> Timestamp? {
        guard let day = words.number(digits: 2), words.take(separator),
            let month = words.month(Self.months), words.take(separator),
            let year = words.number(digits: yearDigits), words.take(ByteClass.space),
            let time = words.timeOfDay(), words.take(ByteClass.space),
            words.rest.elementsEqual("GMT".utf8)
        else { return nil }
        let fullYear = yearDigits == 4 ? year : year < 70 ? 2000 + year : 1900 + year
        return Self.moment(fullYear, month, day, time)
    }

    /// `Nov  6 08:49:37 1994`, behind the weekday.
    private static func parseAscTime(_ words: inout Scanner) -> Timestamp? {
        guard words.take(ByteClass.space), let month = words.month(Self.months),
            words.take(ByteClass.space)
        else { return nil }
        let dayDigits = words.take(ByteClass.space) ? 1 : 2
        guard let day = words.number(digits: dayDigits), words.take(ByteClass.space),
            let time = words.timeOfDay(), words.take(ByteClass.space),
            let year = words.number(digits: 4), words.rest.isEmpty
        else { return nil }
        return Self.moment(year, month, day, time)
    }

    private static func moment(
        _ year: Int, _ month: Int, _ day: Int, _ time: (Int, Int, Int)
    ) -> Timestamp? {
        // A leap second is read as the second after it.
        guard 1...31 ~= day, time.0 < 24, time.1 < 60, time.2 <= 60 else { return nil }
        let date = CalendarTime(
            year: year, month: month, day: day, hour: time.0, minute: time.1, second: time.2)
        let start = CalendarTime(year: year, month: month, day: day)
        guard CalendarTime(start.timestamp) == start else { return nil }
        return date.timestamp
    }

    private struct Scanner {
        private(set) var rest: ArraySlice<UInt8>

        init(_ text: ArraySlice<UInt8>) { self.rest = text }

        mutating func take(_ byte: UInt8) -> Bool {
            guard self.rest.first == byte else { return false }
            self.rest.removeFirst()
            return true
        }

        mutating func word(separators: [UInt8]) -> ArraySlice<UInt8>? {
            guard let end = self.rest.firstIndex(where: separators.contains) else { return nil }
            defer { self.rest = self.rest[end...] }
            return self.rest[..<end]
        }

        mutating func number(digits: Int) -> Int? {
            guard self.rest.count >= digits else { return nil }
            var number = 0
            for byte in self.rest.prefix(digits) {
                guard ByteClass.digit(byte) <= 9 else { return nil }
                number = number * 10 + Int(ByteClass.digit(byte))
            }
            self.rest.removeFirst(digits)
            return number
        }

        mutating func month(_ names: [String]) -> Int? {
            guard let place = names.firstIndex(where: { self.rest.starts(with: $0.utf8) }) else {
                return nil
            }
            self.rest.removeFirst(3)
            return place + 1
        }

        mutating func timeOfDay() -> (Int, Int, Int)? {
            guard let hour = self.number(digits: 2), self.take(ByteClass.colon),
                let minute = self.number(digits: 2), self.take(ByteClass.colon),
                let second = self.number(digits: 2)
            else { return nil }
            return (hour, minute, second)
        }
    }
}
