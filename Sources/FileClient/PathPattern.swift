/// A pattern over paths with `/` between their parts, as `--include` and `--exclude` take it.
///
/// | in the pattern   | stands for                                                      |
/// |------------------|-----------------------------------------------------------------|
/// | `?`, `[a-z]`     | one character but `/`; `[!a-z]` any but those                   |
/// | `*`              | any number of characters but `/`                                |
/// | `**`             | any number of characters; `**/` any number of folders, or none  |
/// | `{jpg,png}`      | one of these                                                    |
/// | `\`              | takes the next character as it is                               |
/// | `/` at the start | the top; without it a pattern may begin behind any `/`          |
/// | `/` at the end   | folders only                                                    |
///
/// A pattern that matches a folder matches all that is in it.
package struct PathPattern: Sendable {
    package enum Fault: Error, Equatable, Sendable {
        case empty
        case tooLong(limitCharacters: Int)
        /// `[` without `]`, `{` without `}`, or `\` at the end.
        case unfinished(String)
        case tooManyAlternatives(limit: Int)
    }

    /// Matching takes time in proportion to the path's length times the pattern's.
    package static let limitCharacters = 1024
    package static let mostAlternatives = 64

    private enum Step: Sendable {
        case one(Unicode.Scalar)
        case anyInPart
        case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
        /// `*`: stays for anything but a slash.
        case runInPart
        /// `**`: stays for anything.
        case run
        /// The next so many steps may be left out.
        case mayLeaveOut(Int)
    }

    private struct Alternative: Sendable {
        var steps: [Step] = []
        var isFolderOnly = false
    }

    package let text: String
    private let alternatives: [Alternative]

    package init(_ text: String) throws(Fault) {
        self.text = text
        let scalars = Array(text.unicodeScalars)
        guard !scalars.isEmpty else { throw .empty }
        guard scalars.count <= Self.limitCharacters else {
            throw .tooLong(limitCharacters: Self.limitCharacters)
        }
        var alternatives: [Alternative] = []
        for expanded in try Self.expanded(scalars, text) {
            alternatives.append(try Self.alternative(expanded, text))
        }
        self.alternatives = alternatives
    }

    /// Whether the path, or a folder that it lies in, is matched. A path of a folder ends in `/`.
    package func matches(_ path: String) -> Bool {
        let scalars = Array(path.unicodeScalars)
        return self.alternatives.contains { Self.matches($0, scalars) }
    }

    // MARK: Matching

    /// Walks all ways through the steps at once (Thompson, "Regular Expression Search Algorithm",
    /// 1968), so that no pattern makes it slow.
    private static func matches(_ alternative: Alternative, _ path: [Unicode.Scalar]) -> Bool {
        let steps = alternative.steps
        var here = [Bool](repeating: false, count: steps.count + 1)
        Self.reach(0, steps, &here)
        for scalar in path {
            // A folder's name ends here, and all that follows is in the folder.
            if scalar == "/", here[steps.count] { return true }
            var next = [Bool](repeating: false, count: steps.count + 1)
            for index in steps.indices where here[index] {
                switch steps[index] {
                case .one(let wanted) where scalar == wanted: Self.reach(index + 1, steps, &next)
                case .anyInPart where scalar != "/": Self.reach(index + 1, steps, &next)
                case .set(let ranges, let isNegated)
                where scalar != "/" && ranges.contains { $0.contains(scalar) } != isNegated:
                    Self.reach(index + 1, steps, &next)
                case .runInPart where scalar != "/": Self.reach(index, steps, &next)
                case .run: Self.reach(index, steps, &next)
                case .one, .anyInPart, .set, .runInPart, .mayLeaveOut: break
                }
            }
            here = next
        }
        return here[steps.count] && !alternative.isFolderOnly
    }

    /// Marks a place and those that need no further character.
    private static func reach(_ place: Int, _ steps: [Step], _ places: inout [Bool]) {
        guard !places[place] else { return }
        places[place] = true
        guard place < steps.count else { return }
        switch steps[place] {
        case .runInPart, .run: Self.reach(place + 1, steps, &places)
        case .mayLeaveOut(let count):
            Self.reach(place + 1, steps, &places)
            Self.reach(place + 1 + count, steps, &places)
        case .one, .anyInPart, .set: break
        }
    }

    // MARK: Reading

    private static let anyFolders: [Step] = [.mayLeaveOut(2), .run, .one("/")]

    private static func alternative(
        _ scalars: [Unicode.Scalar], _ text: String
    ) throws(Fault) -> Alternative {
        var rest = scalars[...]
        var alternative = Alternative()
        if rest.first == "/" { rest.removeFirst() } else { alternative.steps = Self.anyFolders }
        if rest.last == "/", rest.dropLast().last != "\\" {
            rest.removeLast()
            alternative.isFolderOnly = true
        }
        guard !rest.isEmpty else { throw .empty }
        var isAtStartOfPart = true
        while let scalar = rest.popFirst() {
            let wasAtStart = isAtStartOfPart
            isAtStartOfPart = scalar == "/"
            switch scalar {
            case "?": alternative.steps.append(.anyInPart)
            case "*" where rest.first == "*":
                while rest.first == "*" { rest.removeFirst() }
                if wasAtStart, rest.first == "/" {
                    rest.removeFirst()
                    alternative.steps += Self.anyFolders
                    isAtStartOfPart = true
                } else {
                    alternative.steps.append(.run)
                }
            case "*": alternative.steps.append(.runInPart)
            case "[": alternative.steps.append(try Self.set(&rest, text))
            case "\\":
                guard let escaped = rest.popFirst() else { throw .unfinished(text) }
                alternative.steps.append(.one(escaped))
            default: alternative.steps.append(.one(scalar))
            }
        }
        return alternative
    }

    /// What follows a `[`; a `]` that comes first is one of the characters.
    private static func set(
        _ rest: inout ArraySlice<Unicode.Scalar>, _ text: String
    ) throws(Fault) -> Step {
        var isNegated = false
        if rest.first == "!" || rest.first == "^" {
            isNegated = true
            rest.removeFirst()
        }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while let scalar = rest.popFirst() {
            if scalar == "]", !ranges.isEmpty { return .set(ranges, isNegated: isNegated) }
            var lower = scalar
            if scalar == "\\" {
                guard let escaped = rest.popFirst() else { throw .unfinished(text) }
                lower = escaped
            }
            var upper = lower
            if rest.first == "-", let end = rest.dropFirst().first, end != "]" {
                rest.removeFirst(2)
                upper = end
            }
            ranges.append(min(lower, upper)...max(lower, upper))
        }
        throw .unfinished(text)
    }

    /// The patterns that braces stand for, the first brace first.
    private static func expanded(
        _ scalars: [Unicode.Scalar], _ text: String
    ) throws(Fault) -> [[Unicode.Scalar]] {
        var open = [scalars]
        var done: [[Unicode.Scalar]] = []
        while let pattern = open.popLast() {
            guard let braces = try Self.firstBraces(pattern, text) else {
                done.append(pattern)
                continue
            }
            let (before, after) = (pattern[..<braces.start], pattern[braces.end...])
            open += braces.choices.reversed().map { Array(before) + $0 + Array(after) }
            guard open.count + done.count <= Self.mostAlternatives else {
                throw .tooManyAlternatives(limit: Self.mostAlternatives)
            }
        }
        return done
    }

    /// The first `{…}` that is not escaped and in no set, with what its commas divide.
    private static func firstBraces(
        _ pattern: [Unicode.Scalar], _ text: String
    ) throws(Fault) -> (start: Int, end: Int, choices: [[Unicode.Scalar]])? {
        var (start, depth): (Int?, Int) = (nil, 0)
        var choices: [[Unicode.Scalar]] = [[]]
        var index = 0
        while index < pattern.count {
            let scalar = pattern[index]
            var taken = pattern[index...index]
            switch scalar {
            case "\\": taken = pattern[index..<min(index + 2, pattern.count)]
            case "[":
                var rest = pattern[(index + 1)...]
                _ = try Self.set(&rest, text)
                taken = pattern[index..<rest.startIndex]
            case "{": depth += 1
            case "}" where depth > 0: depth -= 1
            default: break
            }
            defer { index += taken.count }
            if scalar == "{", depth == 1 {
                start = index
            } else if let start, scalar == "}", depth == 0 {
                return (start, index + 1, choices)
            } else if start != nil, scalar == ",", depth == 1 {
                choices.append([])
            } else if start != nil {
                choices[choices.count - 1] += taken
            }
        }
        if start != nil { throw .unfinished(text) }
        return nil
    }
}

extension PathPattern.Fault: CustomStringConvertible {
    package var description: String {
        switch self {
        case .empty: "an empty pattern matches nothing"
        case .tooLong(let limit): "a pattern has at most \(limit) characters"
        case .unfinished(let text):
            "\(text): a [ without its ], a { without its }, or a \\ at the end"
        case .tooManyAlternatives(let limit):
            "the braces stand for more than \(limit) patterns"
        }
    }
}
