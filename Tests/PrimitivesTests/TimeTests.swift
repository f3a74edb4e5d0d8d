import Primitives
import Testing

@Suite struct TimeTests {
    /// Milliseconds, year, month, day, hour, minute, second, millisecond, weekday; from `date -u`.
    @Test(arguments: [
        [0, 1970, 1, 1, 0, 0, 0, 0, 4],
        [-1, 1969, 12, 31, 23, 59, 59, 999, 3],
        [951_782_400_000, 2000, 2, 29, 0, 0, 0, 0, 2],
        [951_868_800_123, 2000, 3, 1, 0, 0, 0, 123, 3],
        [1_709_251_199_999, 2024, 2, 29, 23, 59, 59, 999, 4],
        [1_709_251_200_000, 2024, 3, 1, 0, 0, 0, 0, 5],
        [4_107_542_400_000, 2100, 3, 1, 0, 0, 0, 0, 1],
        [-2_208_988_800_000, 1900, 1, 1, 0, 0, 0, 0, 1],
        [253_402_300_799_000, 9999, 12, 31, 23, 59, 59, 0, 5],
    ])
    func `the calendar agrees with the table`(row: [Int]) {
        let calendar = CalendarTime(Timestamp(milliseconds: Int64(row[0])))
        #expect(
            calendar
                == CalendarTime(
                    year: row[1], month: row[2], day: row[3], hour: row[4], minute: row[5],
                    second: row[6], millisecond: row[7]))
        #expect(calendar.weekday == row[8])
        #expect(calendar.timestamp.milliseconds == Int64(row[0]))
    }

    @Test func `the day after every day is the next day`() {
        var previous = CalendarTime(Timestamp(milliseconds: -800 * 366 * 86_400_000))
        for number in -800 * 366 + 1..<800 * 366 {
            let day = CalendarTime(Timestamp(milliseconds: Int64(number) * 86_400_000))
            let isNextDay = day.month == previous.month && day.day == previous.day + 1
            let isNextMonth = day.day == 1 && day.month == previous.month + 1
            let isNextYear = day.day == 1 && day.month == 1 && day.year == previous.year + 1
            guard isNextDay || isNextMonth || isNextYear, day.dayNumber == number else {
                Issue.record("\(day) does not follow \(previous)")
                return
            }
            previous = day
        }
    }

    @Test func `instants saturate at the ends of their range`() {
        let start = Instant(nanoseconds: 10)
        #expect(start + .nanoseconds(5) == Instant(nanoseconds: 15))
        #expect(start - .nanoseconds(11) == Instant(nanoseconds: 0))
        #expect(start + .seconds(Int64.max) == Instant(nanoseconds: 10 + UInt64(Int64.max)))
        #expect(
            Instant(nanoseconds: .max) + .nanoseconds(1) == Instant(nanoseconds: .max))
        #expect(start - Instant(nanoseconds: 25) == .nanoseconds(-15))
    }

    @Test func `a second before the epoch is second minus one`() {
        #expect(Timestamp(milliseconds: -1).seconds == -1)
        #expect(Timestamp(milliseconds: -1000).seconds == -1)
        #expect(Timestamp(milliseconds: -1001).seconds == -2)
        #expect(Timestamp(milliseconds: 1999).seconds == 1)
    }

    @Test func `a span of time is whole nanoseconds`() {
        #expect(Duration.milliseconds(-3).wholeNanoseconds == -3_000_000)
        #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
        #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
        #expect((Timestamp(milliseconds: 5) + .seconds(2)).milliseconds == 2_005)
        #expect(Timestamp(milliseconds: 5) - Timestamp(milliseconds: 7) == .milliseconds(-2))
    }
}
