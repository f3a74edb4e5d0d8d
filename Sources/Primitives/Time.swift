/// A reading of a clock that only goes forward, in nanoseconds since an arbitrary start.
/// Readings of two processes, or of one process before and after a restart, cannot be compared.
public struct Instant: Hashable, Comparable, Sendable {
    public let nanoseconds: UInt64
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Later by `span`; saturates at the ends of the range.
    public static func + (instant: Self, span: Duration) -> Self {
        let step = span.wholeNanoseconds
        if step >= 0 {
            let (sum, over) = instant.nanoseconds.addingReportingOverflow(UInt64(step))
            return Self(nanoseconds: over ? .max : sum)
        }
        let back = step.magnitude
        return Self(nanoseconds: instant.nanoseconds > back ? instant.nanoseconds - back : 0)
    }

    public static func - (instant: Self, span: Duration) -> Self { instant + (.zero - span) }

    /// How much later `later` is than `earlier`; negative when it is not.
    public static func - (later: Self, earlier: Self) -> Duration {
        .nanoseconds(Int64(bitPattern: later.nanoseconds &- earlier.nanoseconds))
    }
}

/// A wall-clock time in whole milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
public struct Timestamp: Hashable, Comparable, Sendable {
    public let milliseconds: Int64
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }
    public var seconds: Int64 {
        self.milliseconds >= 0 ? self.milliseconds / 1000 : (self.milliseconds - 999) / 1000
    }
    public static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }
    public static func + (time: Self, span: Duration) -> Self {
        Self(milliseconds: time.milliseconds + span.wholeNanoseconds / 1_000_000)
    }
    public static func - (later: Self, earlier: Self) -> Duration {
        .milliseconds(later.milliseconds - earlier.milliseconds)
    }
}

extension Duration {
    /// In nanoseconds, cut at the ends of `Int64` (292 years).
    public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (scaled, over) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !over else { return seconds < 0 ? .min : .max }
        let (sum, over2) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        guard !over2 else { return seconds < 0 ? .min : .max }
        return sum
    }
}

/// A date and a time of day in UTC, in the proleptic Gregorian calendar, for the text forms that
/// protocols use. (Days from and to civil dates after Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", 2013.)
public struct CalendarTime: Hashable, Sendable {
    public var year: Int
    /// 1...12
    public var month: Int
    /// 1...31
    public var day: Int
    public var hour: Int
    public var minute: Int
    public var second: Int
    public var millisecond: Int

    public init(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0,
        millisecond: Int = 0
    ) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.millisecond = millisecond
    }

    public init(_ time: Timestamp) {
        let seconds = time.seconds
        let days = Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
        let rest = Int(seconds) - days * 86_400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        self.day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        self.month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
        self.hour = rest / 3600
        self.minute = rest / 60 % 60
        self.second = rest % 60
        self.millisecond = Int(time.milliseconds - seconds * 1000)
    }

    /// Days since 1970-01-01.
    public var dayNumber: Int {
        let year = self.month <= 2 ? self.year - 1 : self.year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let monthFromMarch = self.month > 2 ? self.month - 3 : self.month + 9
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + self.day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// 0 is Sunday.
    public var weekday: Int { ((self.dayNumber + 4) % 7 + 7) % 7 }

    public var timestamp: Timestamp {
        let seconds =
            self.dayNumber * 86_400 + self.hour * 3600 + self.minute * 60 + self.second
        return Timestamp(milliseconds: Int64(seconds) * 1000 + Int64(self.millisecond))
    }
}
