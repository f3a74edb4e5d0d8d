import Primitives

/// A file of settings: `name = value` lines, empty lines, and comments that begin with `#`.
package struct SettingsFile: Equatable, Sendable {
    package enum Fault: Error, Equatable, Sendable {
        case notText
        case malformed(line: Int)
        case repeated(String, line: Int)
        /// A name that means nothing would otherwise be a setting that silently does not hold.
        case unknown(String, line: Int)
    }

    package let path: String
    private let values: [String: String]

    /// The most that a file of settings may hold.
    package static let limitBytes = 1 << 20

    /// - Parameters:
    ///   - path: for messages.
    ///   - known: the names that may stand in the file.
    package init(_ bytes: [UInt8], path: String, known: [String]) throws(Fault) {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notText }
        var values: [String: String] = [:]
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let trimmed = Self.trim(line)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            guard let equals = trimmed.firstIndex(of: "=") else {
                throw .malformed(line: index + 1)
            }
            let name = String(Self.trim(trimmed[..<equals]))
            let value = String(Self.trim(trimmed[trimmed.index(after: equals)...]))
            guard !name.isEmpty, !value.isEmpty else { throw .malformed(line: index + 1) }
            guard known.contains(name) else { throw .unknown(name, line: index + 1) }
            guard values[name] == nil else { throw .repeated(name, line: index + 1) }
            values[name] = value
        }
        self.path = path
        self.values = values
    }

    package subscript(_ name: String) -> String? { self.values[name] }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

extension SettingsFile.Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notText: "is not UTF-8 text"
        case .malformed(let line): "line \(line) is not of the form name = value"
        case .repeated(let name, let line): "line \(line) sets \(name) a second time"
        case .unknown(let name, let line): "line \(line) sets \(name), which is not a setting here"
        }
    }
}
