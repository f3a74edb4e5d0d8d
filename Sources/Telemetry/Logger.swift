import Primitives

/// How much a log line matters, and to whom.
package enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    /// For who hunts a defect.
    case debug
    /// What an operator reads afterwards: changes of state, in the order they happened.
    case info
    /// Something was wrong and was dealt with.
    case warning
    /// Something is wrong and needs a person.
    case error

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }
}

/// Writes structured log lines of one component:
///
///     time=2026-11-20T10:22:03.123Z level=info component=raft message="became leader" group=3 term=5
///
/// One line an event, fields sorted by key, values quoted where they must be (the logfmt
/// convention). A value: where the lines go and what time it is are closures given at the start.
package struct Logger: Sendable {
    /// A field's text is cut at so many bytes of UTF-8.
    package static let fieldLimitBytes = 4_096

    private let component: String
    private let minimum: LogLevel
    private let clock: @Sendable () -> Timestamp
    private let sink: @Sendable (String) -> Void
    private let fields: [(key: String, value: String)]

    /// - Parameters:
    ///   - minimum: lines below this level are not written, and their message is not made.
    ///   - sink: takes each line, without a newline at its end.
    package init(
        component: String, minimum: LogLevel = .info, clock: @escaping @Sendable () -> Timestamp,
        sink: @escaping @Sendable (String) -> Void
    ) {
        self.init(component, minimum, clock, sink, [])
    }

    private init(
        _ component: String, _ minimum: LogLevel, _ clock: @escaping @Sendable () -> Timestamp,
        _ sink: @escaping @Sendable (String) -> Void, _ fields: [(key: String, value: String)]
    ) {
        self.component = component
        self.minimum = minimum
        self.clock = clock
        self.sink = sink
        self.fields = fields
    }

    /// A logger whose lines go nowhere.
    package static let silent = Logger(
        component: "", minimum: .error, clock: { Timestamp(milliseconds: 0) }, sink: { _ in })

    /// The same log, for another component.
    package func component(_ name: String) -> Logger {
        Logger(name, self.minimum, self.clock, self.sink, self.fields)
    }

    /// The same log, with fields that every line then has.
    package func with(_ fields: KeyValuePairs<String, any CustomStringConvertible>) -> Logger {
        Logger(
            self.component, self.minimum, self.clock, self.sink,
            self.fields + fields.map { ($0.key, $0.value.description) })
    }

    package func debug(
        _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> KeyValuePairs<String, any CustomStringConvertible> = [:]
    ) {
        self.log(.debug, message(), fields())
    }

    package func info(
        _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> KeyValuePairs<String, any CustomStringConvertible> = [:]
    ) {
        self.log(.info, message(), fields())
    }

    package func warning(
        _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> KeyValuePairs<String, any CustomStringConvertible> = [:]
    ) {
        self.log(.warning, message(), fields())
    }

    package func error(
        _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> KeyValuePairs<String, any CustomStringConvertible> = [:]
    ) {
        self.log(.error, message(), fields())
    }

    package func log(
        _ level: LogLevel, _ message: @autoclosure () -> String,
        _ fields: @autoclosure () -> KeyValuePairs<String, any CustomStringConvertible> = [:]
    ) {
        guard level >= self.minimum else { return }
        var line = "time=\(Self.text(self.clock())) level=\(level.name) component="
        Self.append(self.component, to: &line)
        line += " message="
        Self.append(message(), to: &line)
        let all = self.fields + fields().map { ($0.key, $0.value.description) }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " "
            line += String(String.UnicodeScalarView(key.unicodeScalars.map(Self.keyScalar)))
            line += "="
            Self.append(value, to: &line)
        }
        self.sink(line)
    }

    /// What cannot stand in a bare key stands as an underscore.
    private static func keyScalar(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        scalar.value > 0x20 && scalar.value < 0x7f && scalar != "=" && scalar != "\"" ? scalar : "_"
    }

    /// The value bare when it is plain, else in quotes with everything escaped that could end the
    /// line, the quotes, or a terminal's patience.
    private static func append(_ value: String, to line: inout String) {
        let cut = Self.cut(value)
        let isPlain =
            !cut.isEmpty
            && cut.unicodeScalars.allSatisfy {
                $0.value > 0x20 && $0.value < 0x7f && $0 != "=" && $0 != "\"" && $0 != "\\"
            }
        if isPlain {
            line += cut
            return
        }
        line += "\""
        for scalar in cut.unicodeScalars {
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case _
            where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                || scalar.value == 0x2028 || scalar.value == 0x2029:
                line += "\\u{\(String(scalar.value, radix: 16))}"
            default: line.unicodeScalars.append(scalar)
            }
        }
        line += "\""
    }

    private static func cut(_ value: String) -> String {
        guard value.utf8.count > Self.fieldLimitBytes else { return value }
        return String(decoding: value.utf8.prefix(Self.fieldLimitBytes), as: UTF8.self) + "..."
    }

    /// RFC 3339, UTC, milliseconds.
    private static func text(_ time: Timestamp) -> String {
        let calendar = CalendarTime(time)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        let date = [
            padded(calendar.year, 4), padded(calendar.month, 2), padded(calendar.day, 2),
        ].joined(separator: "-")
        let clock = [
            padded(calendar.hour, 2), padded(calendar.minute, 2), padded(calendar.second, 2),
        ].joined(separator: ":")
        return "\(date)T\(clock).\(padded(calendar.millisecond, 3))Z"
    }
}
