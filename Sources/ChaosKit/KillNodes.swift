import FileClient
import IORuntime
import Primitives

/// The scenario `kill-nodes`: uploads and downloads go on through all edges while one node after
/// another is killed (SIGKILL), then any two at once, and started again. Checks P1 and P4, and P2
/// and P3 where the workload reads.
package struct KillNodes: Sendable {
    package struct Plan: Sendable {
        package var seed: UInt64
        package var span: Duration

        package init(seed: UInt64, span: Duration) {
            self.seed = seed
            self.span = span
        }
    }

    /// Between two kills, with all nodes up.
    private static let calm: Duration = .seconds(3)
    /// After writes go on, with nodes still down.
    private static let timeWithoutNodes: Duration = .seconds(3)
    /// After which writes that do not go on are taken for a broken promise.
    package static let recoveryTimeout: Duration = .seconds(30)
    private static let lookPause: Duration = .milliseconds(20)

    private let plan: Plan
    private let cluster: ProcessCluster
    private let report: @Sendable (String) -> Void

    /// - Parameter report: is told what happens, line by line.
    package init(
        _ plan: Plan, on cluster: ProcessCluster, report: @escaping @Sendable (String) -> Void
    ) {
        self.plan = plan
        self.cluster = cluster
        self.report = report
    }

    /// The caller is a task of the cluster's loop.
    package func run() async throws(ChaosFault) -> ChaosReport {
        let loop = self.cluster.loop
        let history = ChaosHistory(bucketCount: Workload.bucketCount, on: loop)
        let workload = Workload(self.cluster, history, seed: self.plan.seed)
        let (began, ended) = try await self.cluster.run(
            preparing: { () throws(FileClientFault) in
                try await Workload.makeBuckets(in: self.cluster)
            },
            under: { await workload.run() }, endedBy: { await history.end() }
        ) { () throws(ProcessClusterFault) in
            let began = loop.now
            try await self.disturb(history)
            return (began, loop.now)
        }
        self.report("reading everything back")
        await workload.readEverything()
        return await ChaosReport(
            history, seed: self.plan.seed, span: ended - began,
            checkSpan: loop.now - ended)
    }

    private func disturb(_ history: ChaosHistory) async throws(ProcessClusterFault) {
        var generator = SeededGenerator(seed: self.plan.seed)
        let end = self.cluster.loop.now + self.plan.span
        var singles: [NodeID] = []
        while self.cluster.loop.now < end {
            try await self.cluster.wait(for: Self.calm)
            try await self.cluster.checkThatAllRun()
            let victims: [NodeID]
            if let single = singles.popLast() {
                victims = [single]
            } else {
                // Every node once by itself, then any two together.
                singles = self.cluster.nodes.shuffled(using: &generator)
                let isFirstRound = await history.kills.isEmpty
                victims =
                    isFirstRound
                    ? [singles.removeLast()]
                    : Array(self.cluster.nodes.shuffled(using: &generator).prefix(2)).sorted()
            }
            try await self.kill(victims, history)
        }
    }

    private func kill(
        _ victims: [NodeID], _ history: ChaosHistory
    ) async throws(ProcessClusterFault) {
        let leaders = await self.cluster.leaders()
        await history.killing(victims, leaders: leaders)
        try await self.cluster.kill(victims)
        _ = try await self.cluster.wait(
            within: Self.recoveryTimeout, lookingEvery: Self.lookPause
        ) { () throws(ProcessClusterFault) in
            try await self.cluster.checkThatAllRun()
            return await history.hasRecovered
        }
        if let kill = await history.kills.last { self.report(ChaosReport.line(of: kill)) }
        try await self.cluster.wait(for: Self.timeWithoutNodes)
        for node in victims { try await self.cluster.start(node) }
        try await self.cluster.awaitReady(victims)
    }
}
