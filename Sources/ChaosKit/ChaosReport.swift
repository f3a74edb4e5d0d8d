import FileClient
import Primitives

/// What came out of a scenario, on a page.
package struct ChaosReport: Sendable {
    private let history: Facts
    private let seed: UInt64
    private let span: Duration
    private let checkSpan: Duration

    /// The history at its end.
    private struct Facts: Sendable {
        let ledger: WriteLedger
        let kills: [ChaosHistory.Kill]
        let violations: [ChaosHistory.Violation]
        let reads: Int
        let failures: ChaosHistory.Failures
        let finalReads: Int
        let longestSilence: Duration
    }

    /// Violations that are shown one by one.
    private static let shownViolations = 20

    init(
        _ history: ChaosHistory, seed: UInt64, span: Duration, checkSpan: Duration
    ) async {
        self.history = Facts(
            ledger: await history.ledger, kills: await history.kills,
            violations: await history.violations, reads: await history.reads,
            failures: await history.failures, finalReads: await history.finalReads,
            longestSilence: await history.longestSilence)
        self.seed = seed
        self.span = span
        self.checkSpan = checkSpan
    }

    /// Acknowledged objects that cannot be read back as they were acknowledged.
    package var losses: Int {
        self.history.violations.filter(\.isFinal).count + self.history.failures.finalReads
    }

    package var wrongReads: Int { self.history.violations.filter { !$0.isFinal }.count }

    /// Kills after which writes did not go on in every bucket.
    package var stalls: Int { self.history.kills.filter { $0.everyBucket == nil }.count }

    package var holds: Bool { self.losses == 0 && self.wrongReads == 0 && self.stalls == 0 }

    package var lines: [String] {
        let ledger = self.history.ledger
        let kills = self.history.kills
        var lines = [
            "kill-nodes: seed \(self.seed), \(Self.seconds(self.span)) of load, "
                + "\(Self.seconds(self.checkSpan)) of reading back",
            "",
            "writes acknowledged          \(ledger.acknowledgedWrites) "
                + "(\(ledger.acknowledgedBytes >> 20) MiB, \(ledger.objects.count) objects)",
            "writes nobody heard          \(ledger.unsentWrites) (made at one edge only, and it was down)",
            "writes of unknown outcome    \(ledger.unknownWrites)"
                + Self.example(self.history.failures.lastWrite),
            "reads during the load        \(self.history.reads), "
                + "\(self.history.failures.reads) without an answer"
                + Self.example(self.history.failures.lastRead),
            "reads after it               \(self.history.finalReads)",
            "kills                        \(kills.count), "
                + "\(kills.filter { $0.nodes.count > 1 }.count) of them of two nodes at once, "
                + "\(kills.filter { !$0.ledGroups.isEmpty }.count) of a leader",
            "longest without a write      \(Self.milliseconds(self.history.longestSilence))",
            "kill to first write          " + Self.spread(kills.compactMap(\.firstWrite)),
            "kill to write in all buckets " + Self.spread(kills.compactMap(\.everyBucket)),
            "  when a leader was killed   "
                + Self.spread(
                    kills.filter { !$0.ledGroups.isEmpty }.compactMap(\.everyBucket)),
            "",
            "losses                       \(self.losses)",
            "wrong answers meanwhile      \(self.wrongReads)",
            "kills that stopped writes    \(self.stalls)",
        ]
        for violation in self.history.violations.prefix(Self.shownViolations) {
            lines.append(
                "  \(violation.object): \(violation.verdict), read through \(violation.edge)"
                    + (violation.isFinal ? " at the end" : ""))
        }
        if let failure = self.history.failures.lastFinalRead { lines.append("  \(failure)") }
        lines += ["", self.holds ? "the promises hold" : "PROMISES ARE BROKEN"]
        return lines
    }

    static func line(of kill: ChaosHistory.Kill) -> String {
        let nodes = kill.nodes.map(\.description).joined(separator: " and ")
        let groups = kill.ledGroups.map(\.description).joined(separator: ", ")
        let led = groups.isEmpty ? "no leader" : "led \(groups)"
        let first = kill.firstWrite.map(Self.milliseconds) ?? "never"
        let every = kill.everyBucket.map(Self.milliseconds) ?? "never"
        return "killed node \(nodes) (\(led)): first write after \(first), in every bucket "
            + "after \(every)"
    }

    private static func example(_ text: String?) -> String { text.map { "; last: \($0)" } ?? "" }

    private static func spread(_ spans: [Duration]) -> String {
        let sorted = spans.sorted()
        guard let last = sorted.last else { return "-" }
        return "median \(Self.milliseconds(sorted[sorted.count / 2])), "
            + "longest \(Self.milliseconds(last))"
    }

    private static func milliseconds(_ span: Duration) -> String {
        "\(span.wholeNanoseconds / 1_000_000) ms"
    }

    private static func seconds(_ span: Duration) -> String { "\(span.components.seconds) s" }
}
