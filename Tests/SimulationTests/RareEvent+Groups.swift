import Catalog
import ClusterClient
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing
import Wire

// MARK: Replicas far behind

extension RareEvent {
    static let streamReset = RareEvent(
        "an edge that was told of a newer state drops the names that it remembers",
        "holdfast_stream_resets_total", on: { try Stage.withShortLogs(seed: 19) }
    ) { stage in
        let early = try key("early")
        try await stage.succeed { await $0.put(early, bytes(100), through: stage[0]) }
        let away = try await stage.leaveBehind { machine in
            // What it remembers, and where its stream stands, outlives that it hears of nobody.
            try await stage.succeed { await $0.get(early, through: machine) }
            stage.simulator.network.isolate(machine)
            // Until its connections are given up, what is sent to it only waits.
            try await stage.simulator.loop.sleep(for: .seconds(5))
        }
        try await stage.succeed { await $0.put(early, bytes(100, 2), through: stage[0]) }
        stage.simulator.network.heal()
        try await stage.wait("a snapshot is installed") {
            $0.sum(of: "holdfast_snapshots_installed_total") > 0
        }
        let found = try await stage.succeed { await $0.get(early, through: away) }
        #expect(found.body == bytes(100, 2))
        try await stage.wait("the edge starts over") {
            $0.sum(of: "holdfast_stream_resets_total") > 0
        }
    }
}

extension Stage {
    /// A stage on which a log soon no longer reaches back to what a slow voter lacks.
    fileprivate static func withShortLogs(seed: UInt64) throws -> Stage {
        var settings = SimulatedClusterSettings()
        settings.log.entriesKeptForSlow = 8
        settings.log.bytesKeptForSlow = 4 << 10
        return try Stage(seed: seed, settings)
    }

    /// Takes a node away that leads nothing here, and has so much written that it can catch up by no
    /// log.
    fileprivate func leaveBehind(
        _ takeAway: (SimulatedNode) async throws -> Void
    ) async throws -> SimulatedNode {
        let leader = try await self.leader()
        let away = try #require(self.others(than: leader).last)
        let edge = try #require(self.others(than: leader).first)
        try await takeAway(away)
        for number in 0..<80 {
            let name = try key("object \(number)")
            try await self.succeed {
                await $0.put(name, bytes(2_000, UInt64(number)), through: edge)
            }
        }
        return away
    }
}

// MARK: Clocks

extension RareEvent {
    static let clockHandover = RareEvent(
        "a leader whose clock is wrong hands over to one whose clock is right",
        "holdfast_clock_handovers_total", on: { try Stage(seed: 22) }
    ) { stage in
        try await stage.wait("everybody knows the time") { stage in
            stage.cluster.machines.allSatisfy {
                stage.cluster.node(on: $0)?.cluster.clock.knownClocks == 5
            }
        }
        try await stage.leader().jumpWallClock(by: .seconds(3_600))
        try await stage.wait("it hands over") {
            $0.sum(of: "holdfast_clock_handovers_total") > 0
        }
    }
}

// MARK: Edges that are wrong about a name, or about a group

extension RareEvent {
    static let fillRefused = RareEvent(
        "what was read of an object that changed on the way is not remembered",
        "holdfast_fills_refused_total", on: { try Stage(seed: 20) }
    ) { stage in
        let contended = try key("contended")
        try await stage.succeed { await $0.put(contended, bytes(100), through: stage[0]) }
        let client = stage.client
        await withDiscardingTaskGroup { group in
            for number in 0..<120 {
                let loop = stage.simulator.loop
                group.addTask {
                    do { try await loop.sleep(for: .milliseconds(5 * number)) } catch { return }
                    _ = await client.put(
                        contended, bytes(100, UInt64(number)), through: stage[number % 2])
                }
                group.addTask {
                    do { try await loop.sleep(for: .milliseconds(4 * number)) } catch { return }
                    _ = await client.get(contended, through: stage[2 + number % 3])
                }
            }
        }
        // The last word is everybody's.
        try await stage.succeed { await $0.put(contended, bytes(100, 999), through: stage[0]) }
        try await stage.expect([contended: bytes(100, 999)])
    }
}

extension RareEvent {
    static let staleSlot = RareEvent(
        "a group that a table wrongly names for a slot refuses what is asked of it",
        "holdfast_cluster_stale_slots_total", on: { try Stage(seed: 21) }
    ) { stage in
        let made = SimulatedClient(stage.cluster, bucket: try #require(BucketName("simulated")))
        let right = try await stage.groupTable()
        let wrong = right.slots.map { assignment in
            let isWrong = assignment.slots.contains(made.bucket.slot)
            let stranger = right.slots.first { $0.group != assignment.group }?.group
            return SlotAssignment(
                slots: assignment.slots,
                group: isWrong ? stranger ?? assignment.group : assignment.group)
        }
        try await stage.setGroupTable(
            GroupTable(version: right.version + 1, groups: right.groups, slots: wrong))
        let edge = stage[1]
        let misled = try stage.node(1).cluster
        try await stage.wait("the edge has the wrong table") { _ in
            misled.group(owning: made.bucket.slot) != right.group(owning: made.bucket.slot)
        }
        stage.simulator.loop.spawn {
            do {
                try await stage.wait("a refusal") {
                    $0.sum(of: "holdfast_cluster_stale_slots_total") > 0
                }
                try await stage.setGroupTable(
                    GroupTable(
                        version: right.version + 2, groups: right.groups, slots: right.slots))
            } catch { Issue.record(error) }
        }
        // One request: it is neither lost nor misapplied, and ends with the right group.
        guard case .success = await made.createBucket(through: edge) else {
            Issue.record("the bucket was not made")
            return
        }
        let name = try key("there")
        try await stage.succeed { _ in await made.put(name, bytes(100), through: edge) }
    }
}

extension Stage {
    fileprivate func groupTable() async throws -> GroupTable {
        let node = try self.node(0)
        let environment = self[0].environment
        let answer: CatalogAnswer?? = await self.cluster.ask(self[0]) {
            do throws(ClusterFault) {
                return try await node.cluster.query(
                    .groupTable, in: .system, freshness: .linearizable,
                    deadline: environment.now + .seconds(10))
            } catch { return nil }
        }
        guard case .groupTable(let table) = answer ?? nil else { throw Tired(reason: "no table") }
        return table
    }

    /// Has group 0 take a table, as its leader proposes it.
    fileprivate func setGroupTable(_ table: GroupTable) async throws {
        let leader = try #require(await self.cluster.leader(of: .system))
        let meta = try #require(self.cluster.node(on: leader)?.meta)
        let set = SetGroupTable(expected: table.version - 1, table: table)
        let answer: ProposeAnswer?? = await self.cluster.ask(leader) {
            await meta.propose(
                ProposeRequest(
                    group: .system,
                    commands: [CatalogCommand(operation: .setGroupTable(set)).encoded]))
        }
        guard case .applied(_, [.groupTableSet(version: table.version)]) = answer ?? nil else {
            throw Tired(reason: "\(answer as Any)")
        }
    }
}
