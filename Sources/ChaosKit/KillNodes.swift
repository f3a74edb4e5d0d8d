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
        do throws(ProcessClusterFault) { try await self.cluster.startAll() } catch {
            throw .cluster(error)
        }
        do throws(FileClientFault) { try await Workload.makeBuckets(in: self.cluster) } catch {
            throw .client(error)
        }
        let began = loop.now
        let history = ChaosHistory(bucketCount: Workload.bucketCount, on: loop)
        let workload = Workload(self.cluster, history, seed: self.plan.seed)
        async let load: Void = workload.run()
        let result: Result<Void, ProcessClusterFault>
        do throws(ProcessClusterFault) {
            try await self.disturb(history)
            result = .success(())
        } catch { result = .failure(error) }
        await history.end()
        await load
        let ended = loop.now
        if case .failure(let fault) = result { throw .cluster(fault) }
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
            try await self.pause(for: Self.calm)
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
        let leaders = await self.leaders()
        await history.killing(victims, leaders: leaders)
        try await self.cluster.kill(victims)
        let deadline = self.cluster.loop.now + Self.recoveryTimeout
        while await !history.hasRecovered, self.cluster.loop.now < deadline {
            try await self.cluster.checkThatAllRun()
            try await self.pause(for: Self.lookPause)
        }
        if let kill = await history.kills.last { self.report(ChaosReport.line(of: kill)) }
        try await self.pause(for: Self.timeWithoutNodes)
        for node in victims { try await self.cluster.start(node) }
        try await self.cluster.awaitReady(victims)
    }

    /// The leader of each group, as the leaders themselves say.
    private func leaders() async -> [UInt32: NodeID] {
        let nodes = self.cluster.nodes
        var leaders: [UInt32: NodeID] = [:]
        for (node, status) in zip(nodes, await self.cluster.statuses(of: nodes)) {
            for group in status?.groups ?? [] where group.role == "leader" {
                leaders[group.group] = node
            }
        }
        return leaders
    }

    private func pause(for span: Duration) async throws(ProcessClusterFault) {
        do { try await self.cluster.loop.sleep(for: span) } catch { throw .cancelled }
    }
}

/// Why a scenario could not be carried to its end.
package enum ChaosFault: Error, Equatable, Sendable, CustomStringConvertible {
    case cluster(ProcessClusterFault)
    case client(FileClientFault)

    package var description: String {
        switch self {
        case .cluster(let fault): fault.description
        case .client(let fault): fault.description
        }
    }
}
