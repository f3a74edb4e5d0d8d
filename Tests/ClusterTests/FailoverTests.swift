import ChaosKit
import Primitives
import Testing

extension ClusterTests {
    /// The small form of `chaos/failover`. How long it takes is not this machine's to promise: other
    /// tests share its processors and its disk.
    @Test func `writes go on behind a leader that is killed, and behind one that stands still`()
        async throws
    {
        try await withCluster { fixture in
            let plan = Failover.Plan(kills: 2, pauses: 1)
            let report = try await Failover(plan, on: fixture.cluster, report: { _ in }).run()
            #expect(report.outages.map(\.blow) == [.killed, .killed, .paused])
            #expect(report.outages.allSatisfy { $0.recovery != nil && !$0.ledGroups.isEmpty })
        }
    }
}

/// The judge of failovers, judged.
@Suite struct FailoverReportTests {
    private static func report(
        _ blow: Failover.Blow, _ milliseconds: [Int?]
    ) -> FailoverReport {
        FailoverReport(
            outages: milliseconds.map { span in
                Failover.Outage(
                    blow: blow, node: NodeID(1), ledGroups: [1],
                    recovery: span.map { .milliseconds($0) })
            })
    }

    @Test(arguments: [
        (Failover.Blow.killed, [100, 200, 2_900], true),
        (.killed, [100, 1_000, 1_100], false),
        (.killed, [100, 200, 3_000], false),
        (.killed, [100, 200, nil], false),
        (.paused, [1_500, 1_999, 3_999], true),
        (.paused, [1_500, 2_000, 2_100], false),
        (.paused, [], true),
    ])
    func `the median and the 99th percentile each have a bar, and never is too late`(
        blow: Failover.Blow, spans: [Int?], holds: Bool
    ) {
        #expect(Self.report(blow, spans).holds == holds)
    }

    @Test func `a percentile is the least value that so many do not exceed`() {
        let spans = (1...50).map { Duration.milliseconds($0) }.shuffled()
        #expect(FailoverReport.quantile(50, of: spans) == .milliseconds(25))
        #expect(FailoverReport.quantile(99, of: spans) == .milliseconds(50))
        #expect(FailoverReport.quantile(50, of: [.seconds(7)]) == .seconds(7))
    }
}
