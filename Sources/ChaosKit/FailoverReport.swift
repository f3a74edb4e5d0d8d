import Primitives

/// How long writes waited for each leader that was struck.
package struct FailoverReport: Sendable {
    /// What writes may have waited, by the bars of P4.
    package struct Bar: Equatable, Sendable {
        package let median: Duration
        package let p99: Duration
    }

    package let outages: [Failover.Outage]

    package init(outages: [Failover.Outage]) { self.outages = outages }

    /// A dead leader is known from its resets within milliseconds; a silent one only by an election
    /// timeout, which is one to two seconds.
    package static func bar(for blow: Failover.Blow) -> Bar {
        switch blow {
        case .killed: Bar(median: .seconds(1), p99: .seconds(3))
        case .paused: Bar(median: .seconds(2), p99: .seconds(4))
        }
    }

    package var holds: Bool {
        Failover.Blow.allCases.allSatisfy { blow in
            let outages = self.outages.filter { $0.blow == blow }
            let spans = outages.compactMap(\.recovery)
            guard !outages.isEmpty else { return true }
            guard spans.count == outages.count else { return false }
            let bar = Self.bar(for: blow)
            return Self.quantile(50, of: spans) < bar.median
                && Self.quantile(99, of: spans) < bar.p99
        }
    }

    package var lines: [String] {
        var lines: [String] = []
        for blow in Failover.Blow.allCases {
            let outages = self.outages.filter { $0.blow == blow }
            guard !outages.isEmpty else { continue }
            let spans = outages.compactMap(\.recovery)
            let bar = Self.bar(for: blow)
            lines.append(
                "leader \(blow.rawValue) \(outages.count) times: first write in every bucket after "
                    + "\(Self.text(Self.quantile(50, of: spans))) at the median "
                    + "(bar \(Self.text(bar.median))), "
                    + "p99 \(Self.text(Self.quantile(99, of: spans))) "
                    + "(bar \(Self.text(bar.p99))), worst \(Self.text(spans.max() ?? .zero)), "
                    + "best \(Self.text(spans.min() ?? .zero)); "
                    + "never \(outages.count - spans.count) times")
        }
        return lines + [self.holds ? "the promises hold" : "PROMISES ARE BROKEN"]
    }

    static func line(of outage: Failover.Outage) -> String {
        let groups = outage.ledGroups.map(\.description).joined(separator: ", ")
        return "\(outage.blow.rawValue) node \(outage.node) (led \(groups)): writes went on after "
            + (outage.recovery.map(Self.text) ?? "NEVER")
    }

    /// The nearest-rank percentile; zero of nothing.
    package static func quantile(_ percent: Int, of spans: [Duration]) -> Duration {
        guard !spans.isEmpty else { return .zero }
        let rank = (spans.count * percent + 99) / 100
        return spans.sorted()[max(0, rank - 1)]
    }

    private static func text(_ span: Duration) -> String {
        "\(span.wholeNanoseconds / 1_000_000) ms"
    }
}
