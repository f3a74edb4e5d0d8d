import FileClient
import IORuntime
import Primitives

/// The scenario `failover`: small writes trickle into all groups while the leader of one group after
/// the other is struck, and what is measured is the time from the blow to the first write that was
/// begun behind it and acknowledged, in the bucket that had to wait longest. Checks P4.
package struct Failover: Sendable {
    /// What becomes of a leader.
    package enum Blow: String, Sendable, CaseIterable {
        /// SIGKILL: its kernel resets what it had, and refuses who comes back.
        case killed
        /// SIGSTOP: it is silent, and nobody refuses anything. Only a timeout tells.
        case paused
    }

    package struct Plan: Sendable {
        package var kills: Int
        package var pauses: Int

        package init(kills: Int, pauses: Int) {
            self.kills = kills
            self.pauses = pauses
        }
    }

    /// One leader that was struck.
    package struct Outage: Sendable {
        package let blow: Blow
        package let node: NodeID
        package let ledGroups: [UInt32]
        /// Until every bucket had taken a write; nil when one took none in `recoveryTimeout`.
        package let recovery: Duration?

        package init(blow: Blow, node: NodeID, ledGroups: [UInt32], recovery: Duration?) {
            self.blow = blow
            self.node = node
            self.ledGroups = ledGroups
            self.recovery = recovery
        }
    }

    /// Between two blows, with all nodes back.
    private static let calm: Duration = .seconds(2)
    /// After which writes that do not go on are taken for a broken promise.
    private static let recoveryTimeout: Duration = .seconds(30)
    private static let lookPause: Duration = .milliseconds(5)

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
    package func run() async throws(ChaosFault) -> FailoverReport {
        let trickle = Trickle(on: self.cluster)
        let outages = try await self.cluster.run(
            preparing: { () throws(FileClientFault) in try await trickle.makeBuckets() },
            under: { await trickle.run() }, endedBy: { await trickle.end() }
        ) { () throws(ProcessClusterFault) in try await self.strike(under: trickle) }
        return FailoverReport(outages: outages)
    }

    private func strike(under trickle: Trickle) async throws(ProcessClusterFault) -> [Outage] {
        let blows =
            [Blow](repeating: .killed, count: self.plan.kills)
            + [Blow](repeating: .paused, count: self.plan.pauses)
        var outages: [Outage] = []
        for (number, blow) in blows.enumerated() {
            try await self.cluster.wait(for: Self.calm)
            try await self.cluster.checkThatAllRun()
            let leaders = await self.cluster.leaders()
            // The system group leads nothing that writes wait for.
            let groups = leaders.keys.filter { $0 != 0 }.sorted()
            guard !groups.isEmpty, let victim = leaders[groups[number % groups.count]] else {
                throw .notReady(self.cluster.nodes, log: "no data group has a leader")
            }
            let led = leaders.filter { $0.value == victim }.map(\.key).sorted()
            let recovery = try await self.recovery(of: victim, from: blow, under: trickle)
            let outage = Outage(blow: blow, node: victim, ledGroups: led, recovery: recovery)
            outages.append(outage)
            self.report("\(number + 1) of \(blows.count): " + FailoverReport.line(of: outage))
        }
        return outages
    }

    private func recovery(
        of victim: NodeID, from blow: Blow, under trickle: Trickle
    ) async throws(ProcessClusterFault) -> Duration? {
        // A client of a silent edge waits for its own timeouts, which are not what is measured.
        if blow == .paused { await trickle.avoid(victim) }
        await trickle.struck()
        switch blow {
        case .killed: try await self.cluster.kill([victim])
        case .paused: try await self.cluster.pause(victim)
        }
        _ = try await self.cluster.wait(
            within: Self.recoveryTimeout, lookingEvery: Self.lookPause
        ) { await trickle.recovery != nil }
        let recovery = await trickle.recovery
        switch blow {
        case .killed: try await self.cluster.start(victim)
        case .paused: try await self.cluster.resume(victim)
        }
        try await self.cluster.awaitReady(self.cluster.nodes)
        await trickle.avoid(nil)
        return recovery
    }
}
