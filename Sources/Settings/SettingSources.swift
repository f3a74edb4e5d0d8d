import IORuntime
import Primitives

/// Where settings come from, the strongest first: an option on the command line, a variable of the
/// environment, a line of a file. One name serves all three: `edges` is `--edges`,
/// `HOLDFAST_EDGES` and `edges = …`.
package struct SettingSources: Sendable {
    private let options: ParsedOptions
    private let variables: [String: String]
    private let file: SettingsFile?

    package init(
        options: ParsedOptions, variables: [String: String] = [:], file: SettingsFile? = nil
    ) {
        self.options = options
        self.variables = variables
        self.file = file
    }

    /// A setting that was found, and where, for messages.
    package struct Found: Equatable, Sendable {
        package let value: String
        package let origin: String
        package let strength: Strength
    }

    /// The strongest is the largest.
    package enum Strength: Int, Comparable, Sendable {
        case file
        case variable
        case option
        package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    /// Nil when no source has it. A variable that is set to nothing counts as not set.
    package func find(_ name: String) -> Found? {
        if self.options.declares(name), let value = self.options.value(name) {
            return Found(value: value, origin: "--\(name)", strength: .option)
        }
        let variable = Self.variable(for: name)
        if let value = self.variables[variable], !value.isEmpty {
            return Found(value: value, origin: variable, strength: .variable)
        }
        if let file = self.file, let value = file[name] {
            return Found(value: value, origin: "\(name) in \(file.path)", strength: .file)
        }
        return nil
    }

    package func require(_ name: String) throws(SettingsFault) -> Found {
        guard let found = self.find(name) else {
            throw .missing(
                name, option: self.options.declares(name), variable: Self.variable(for: name))
        }
        return found
    }

    /// A whole number within bounds; nil when no source has it.
    package func number(
        _ name: String, in range: ClosedRange<Int>
    ) throws(SettingsFault) -> Int? {
        guard let found = self.find(name) else { return nil }
        guard let number = Int(found.value), range.contains(number) else {
            throw .notANumber(found.origin, value: found.value, range: range)
        }
        return number
    }

    /// `on` or `off`; nil when no source has it.
    package func isOn(_ name: String) throws(SettingsFault) -> Bool? {
        guard let found = self.find(name) else { return nil }
        switch found.value {
        case "on": return true
        case "off": return false
        default:
            throw .malformed(found.origin, value: found.value, wanted: "on or off")
        }
    }

    /// A span of time such as `90s`, `15m`, `1h`, `7d`; nil when no source has it.
    package func seconds(
        _ name: String, in range: ClosedRange<Int64>
    ) throws(SettingsFault) -> Int64? {
        guard let found = self.find(name) else { return nil }
        guard let seconds = Self.seconds(found.value) else {
            throw .notASpan(found.origin, value: found.value)
        }
        guard range.contains(seconds) else {
            throw .spanOutOfRange(found.origin, value: found.value, seconds: range)
        }
        return seconds
    }

    /// Comma-separated items, blanks around them dropped; never empty when there is any text.
    package static func list(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { item in
            String(
                item.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        }
    }

    package static func variable(for name: String) -> String {
        "HOLDFAST_" + String(name.map { $0 == "-" ? "_" : $0 }).uppercased()
    }

    private static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let last = text.last, let unit = units[last], let count = Int64(text.dropLast()),
            count > 0
        else { return nil }
        let (seconds, overflows) = count.multipliedReportingOverflow(by: unit)
        return overflows ? nil : seconds
    }
}

/// Why settings cannot be used. Never carries a secret.
package enum SettingsFault: Error, Equatable, Sendable {
    case missing(String, option: Bool, variable: String)
    case notANumber(String, value: String, range: ClosedRange<Int>)
    case notASpan(String, value: String)
    case spanOutOfRange(String, value: String, seconds: ClosedRange<Int64>)
    /// The value is not of the form that the setting has.
    case malformed(String, value: String, wanted: String)
    /// A file that a setting names cannot be read.
    case unreadable(String, path: String)
    case file(SettingsFile.Fault, path: String)
}

extension SettingsFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let name, let option, let variable):
            "\(name) is not set: "
                + (option ? "give --\(name) or set \(variable)" : "set \(variable)")
        case .notANumber(let origin, let value, let range):
            "\(origin): \(value) is not a whole number from \(range.lowerBound) to "
                + "\(range.upperBound)"
        case .notASpan(let origin, let value):
            "\(origin): \(value) is not a span of time such as 90s, 15m, 1h or 7d"
        case .spanOutOfRange(let origin, let value, let range):
            "\(origin): \(value) is not between \(range.lowerBound) and \(range.upperBound) seconds"
        case .malformed(let origin, let value, let wanted):
            "\(origin): \(value) is not \(wanted)"
        case .unreadable(let origin, let path): "\(origin): \(path) cannot be read"
        case .file(let fault, let path): "\(path): \(fault)"
        }
    }
}
