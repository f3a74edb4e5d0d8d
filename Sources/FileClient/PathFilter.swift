/// Which of many paths are wanted: rules that are tried in their order, and the first that matches
/// decides. A path that none matches is wanted, unless there is a rule that includes.
package struct PathFilter: Sendable {
    package struct Rule: Sendable {
        package let pattern: PathPattern
        package let includes: Bool

        package init(_ pattern: PathPattern, includes: Bool) {
            self.pattern = pattern
            self.includes = includes
        }
    }

    /// Wants everything.
    package static let all = PathFilter([])

    private let rules: [Rule]
    private let hasInclude: Bool

    package init(_ rules: [Rule]) {
        self.rules = rules
        self.hasInclude = rules.contains { $0.includes }
    }

    package var wantsAll: Bool { self.rules.isEmpty }

    /// - Parameter path: below the folder that was named; the path of a folder ends in `/`.
    package func wants(_ path: String) -> Bool {
        self.rules.first { $0.pattern.matches(path) }?.includes ?? !self.hasInclude
    }

    /// Whether nothing in the folder can be wanted, so that it need not be looked into.
    package func leavesOut(folder: String) -> Bool {
        !self.hasInclude && !self.wants(folder)
    }
}
