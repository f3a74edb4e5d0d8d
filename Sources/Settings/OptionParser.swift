import Primitives

/// What a command understands: long options (`--name value`, `--name=value`, flags) and operands.
package struct OptionParser: Sendable {
    package enum Kind: Equatable, Sendable {
        case flag
        /// Takes one value.
        case value
        /// Takes one value, and may be given again.
        case list
    }

    private let kinds: [String: Kind]
    private let operandCounts: ClosedRange<Int>
    /// What operands are called in messages: `BUCKET/KEY`.
    private let operandName: String

    /// - Parameters:
    ///   - flags: names of options without a value.
    ///   - values: names of options with one.
    ///   - lists: names of options with one that may be given more than once.
    ///   - operands: how many words that are not options belong to the command.
    ///   - operandName: what they are, for messages.
    package init(
        flags: [String] = [], values: [String] = [], lists: [String] = [],
        operands: ClosedRange<Int> = 0...0, operandName: String = ""
    ) {
        var kinds: [String: Kind] = [:]
        for name in flags { kinds[name] = .flag }
        for name in values { kinds[name] = .value }
        for name in lists { kinds[name] = .list }
        invariant(
            kinds.count == flags.count + values.count + lists.count, "an option is declared once")
        self.kinds = kinds
        self.operandCounts = operands
        self.operandName = operandName
    }

    /// All options in the order of their names, without their dashes, and whether a value follows.
    package var options: [(name: String, takesValue: Bool)] {
        self.kinds.keys.sorted().map { ($0, self.kinds[$0] != .flag) }
    }

    /// Whether words belong to the command that are not options.
    package var takesOperands: Bool { self.operandCounts.upperBound > 0 }

    /// Reads the words behind the command's name. `--` makes operands of all that follows.
    /// `--help` and `-h` anywhere before it throw `.helpWanted`.
    package func parse(_ words: [String]) throws(OptionFault) -> ParsedOptions {
        var parsed = ParsedOptions(declared: self.kinds)
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                parsed.operands += rest
                break
            }
            if word == "--help" || word == "-h" { throw .helpWanted }
            guard word.hasPrefix("-"), word != "-" else {
                parsed.operands.append(word)
                continue
            }
            guard word.hasPrefix("--") else { throw .unknown(word, nearest: nil) }
            try self.take(word.dropFirst(2), &rest, into: &parsed)
        }
        try self.checkCount(of: parsed.operands)
        return parsed
    }

    private func take(
        _ word: Substring, _ rest: inout ArraySlice<String>, into parsed: inout ParsedOptions
    ) throws(OptionFault) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        guard let kind = self.kinds[name] else {
            throw .unknown("--" + name, nearest: self.nearest(to: name).map { "--" + $0 })
        }
        guard kind == .list || !parsed.isGiven(name) else { throw .repeated("--" + name) }
        switch kind {
        case .flag:
            guard parts.count == 1 else { throw .unexpectedValue("--" + name) }
            parsed.flags.insert(name)
        case .value:
            let value = parts.count > 1 ? String(parts[1]) : rest.popFirst()
            guard let value, parts.count > 1 || !value.hasPrefix("--") else {
                throw .missingValue("--" + name)
            }
            parsed.values[name] = value
        case .list:
            let value = parts.count > 1 ? String(parts[1]) : rest.popFirst()
            guard let value else { throw .missingValue("--" + name) }
            parsed.repeated.append((name, value))
        }
    }

    private func checkCount(of operands: [String]) throws(OptionFault) {
        if operands.count < self.operandCounts.lowerBound {
            throw .missingOperand(self.operandName)
        }
        if operands.count > self.operandCounts.upperBound {
            throw .unexpectedOperand(operands[self.operandCounts.upperBound])
        }
    }

    /// A declared name that differs by two letters at most, the first in the order of names.
    private func nearest(to name: String) -> String? {
        let distances = self.kinds.keys.sorted().map { ($0, Self.distance($0, name)) }
        return distances.filter { $0.1 <= 2 }.min { $0.1 < $1.1 }?.0
    }

    /// Letters to insert, remove or replace (Levenshtein 1966).
    private static func distance(_ a: String, _ b: String) -> Int {
        let b = Array(b)
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let replaced = diagonal + (letter == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }
}

/// The words of one command line, taken apart.
package struct ParsedOptions: Sendable {
    fileprivate let declared: [String: OptionParser.Kind]
    fileprivate var flags: Set<String> = []
    fileprivate var values: [String: String] = [:]
    /// Options that may be given more than once, with their values, in the order of the words.
    package fileprivate(set) var repeated: [(name: String, value: String)] = []
    package fileprivate(set) var operands: [String] = []

    fileprivate init(declared: [String: OptionParser.Kind]) { self.declared = declared }

    package func isGiven(_ name: String) -> Bool {
        self.flags.contains(name) || self.values[name] != nil
            || self.repeated.contains { $0.name == name }
    }

    package func flag(_ name: String) -> Bool {
        invariant(self.declared[name] == .flag, "--\(name) is declared as a flag")
        return self.flags.contains(name)
    }

    /// Nil when the option was not given.
    package func value(_ name: String) -> String? {
        invariant(self.declared[name] == .value, "--\(name) is declared with a value")
        return self.values[name]
    }

    /// Whether the command has an option of this name at all.
    package func declares(_ name: String) -> Bool { self.declared[name] != nil }
}

/// Why a command line cannot be understood.
package enum OptionFault: Error, Equatable, Sendable {
    /// Not a mistake: the text of `--help` is wanted.
    case helpWanted
    case unknown(String, nearest: String?)
    case repeated(String)
    case missingValue(String)
    case unexpectedValue(String)
    case missingOperand(String)
    case unexpectedOperand(String)
}

extension OptionFault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .helpWanted: "help is wanted"
        case .unknown(let option, let nearest):
            "unknown option \(option)" + (nearest.map { "; did you mean \($0)?" } ?? "")
        case .repeated(let option): "\(option) is given twice"
        case .missingValue(let option): "\(option) needs a value"
        case .unexpectedValue(let option): "\(option) takes no value"
        case .missingOperand(let name): "\(name) is missing"
        case .unexpectedOperand(let word): "\(word) is one word too many"
        }
    }
}
