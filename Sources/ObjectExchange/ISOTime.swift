import Primitives

/// Times in the form of ISO 8601 that S3's documents use, in UTC.
package enum ISOTime {
    /// `2026-11-20T09:00:00.000Z`.
    package static func text(_ time: Timestamp) -> String {
        let at = CalendarTime(time)
        return "\(Self.seconds(at)).\(Self.padded(at.millisecond, 3))Z"
    }

    /// `2026-11-20T09:00:00Z`.
    package static func textInSeconds(_ time: Timestamp) -> String {
        "\(Self.seconds(CalendarTime(time)))Z"
    }

    private static func seconds(_ at: CalendarTime) -> String {
        "\(Self.padded(at.year, 4))-\(Self.padded(at.month, 2))-\(Self.padded(at.day, 2))T"
            + "\(Self.padded(at.hour, 2)):\(Self.padded(at.minute, 2)):\(Self.padded(at.second, 2))"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
