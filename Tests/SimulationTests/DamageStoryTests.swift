import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import Node
import OrderedStorage
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// P1, P3 and P8 where disks give back something else than they were given.
struct DamageStoryTests {
    /// Puts objects one after the other, through any node that runs, until it is told to stop.
    private final class Load: Sendable {
        private let stage: Stage
        private let promise: Notes = Notes()

        /// `@unchecked Sendable`: the simulator runs every job on one thread, and nobody else sees it.
        private final class Notes: @unchecked Sendable {
            var bodies: [ObjectKey: [UInt8]] = [:]
            var isOver = false
            var hasEnded = false
            var fault: (any Error)?
        }

        init(_ stage: Stage) {
            self.stage = stage
            stage.simulator.spawn("load") {
                do {
                    var number = 0
                    while !self.promise.isOver {
                        number += 1
                        let (key, body) = (try key("load-\(number)"), bytes(2000, UInt64(number)))
                        let turn = number
                        try await stage.succeed { client in
                            // Chosen for each try: the node of the last one may have died.
                            let edges = stage.cluster.running
                            let edge = edges.isEmpty ? stage[0] : edges[turn % edges.count]
                            return await client.put(key, body, through: edge)
                        }
                        self.promise.bodies[key] = body
                        try await stage.simulator.loop.sleep(for: .milliseconds(10))
                    }
                } catch { self.promise.fault = error }
                self.promise.hasEnded = true
            }
        }

        var count: Int { self.promise.bodies.count }

        /// Waits until so many more objects are acknowledged: the cluster goes on.
        func goesOn(by more: Int) async throws {
            let goal = self.count + more
            try await self.stage.wait("writes go on") { _ in
                self.count >= goal || self.promise.fault != nil
            }
            if let fault = self.promise.fault { throw fault }
        }

        /// Ends the load; what was acknowledged.
        func end() async throws -> [ObjectKey: [UInt8]] {
            self.promise.isOver = true
            try await self.stage.wait("the load ends") { _ in self.promise.hasEnded }
            if let fault = self.promise.fault { throw fault }
            return self.promise.bodies
        }
    }

    private static let raftDirectory = "/data/meta/raft"

    /// Changes a stopped node's Raft log where it rests, and starts the node again.
    private static func damage(
        _ machine: SimulatedNode, in stage: Stage,
        _ fill: @escaping @Sendable (RaftLogTables, inout WriteBatch) throws -> Void
    ) async throws {
        machine.restart()
        let environment = machine.environment
        try await environment.blocking(.disk) {
            let store = try SimulatedStoreFactory(machine).open(
                Self.raftDirectory, RaftLogTables.options)
            var batch = WriteBatch()
            try fill(RaftLogTables(store: store), &batch)
            #expect(!batch.isEmpty)
            try store.write(batch, .synced)
            store.close()
        }
        stage.cluster.start(machine)
    }

    /// Loses the last entries of each group, as many as are not part of the state.
    private static func loseEnds(_ tables: RaftLogTables, _ batch: inout WriteBatch) throws {
        for (group, standing) in try tables.standings().sorted(by: { $0.key < $1.key }) {
            let last = standing.last.index.rawValue
            let first = max(standing.truncated.index.rawValue, last - min(last, 4)) + 1
            guard first <= last else { continue }
            for index in first...last {
                batch.delete(RaftLogTables.log, RaftLogTables.key(group, LogIndex(index)))
            }
        }
    }

    /// Flips a byte of every third entry of each group.
    private static func flipBytes(_ tables: RaftLogTables, _ batch: inout WriteBatch) throws {
        let cursor = tables.store.scan(RaftLogTables.log, .all)
        var number = 0
        while let pair = try cursor.next() {
            number += 1
            guard number % 3 == 0 else { continue }
            var value = pair.value
            value[number % value.count] ^= 0x10
            batch.put(RaftLogTables.log, pair.key, value)
        }
    }

    private static func isWhole(_ machine: SimulatedNode, in stage: Stage) -> Bool {
        guard let node = stage.cluster.node(on: machine), let meta = node.meta else { return false }
        return node.cluster.incarnation != nil && meta.counters.logsRecovering.value == 0
    }

    private static func damages(_ machine: SimulatedNode, in stage: Stage) throws -> UInt64 {
        try #require(stage.cluster.node(on: machine)?.meta).counters.damagesFound.value
    }

    @Test func `a node whose logs have lost their ends recovers from the others under load`() {
        do {
            try Stage(seed: 21).tell { stage in
                let load = Load(stage)
                try await load.goesOn(by: 20)
                // A leader, so that what it lost is what everybody counts on.
                let machine = try await stage.leader()
                machine.crash()
                try await load.goesOn(by: 10)
                try await Self.damage(machine, in: stage, Self.loseEnds)
                try await load.goesOn(by: 20)
                try await stage.wait("the node recovers") { Self.isWhole(machine, in: $0) }
                #expect(try Self.damages(machine, in: stage) > 0)
                #expect(
                    try #require(stage.cluster.node(on: machine)?.meta).counters.logsRecovered
                        .value > 0)
                try await stage.expect(try await load.end())
            }
        } catch { Issue.record(error) }
    }

    @Test func `two nodes with bad bytes in their logs recover, and nothing acknowledged is lost`()
    {
        do {
            try Stage(seed: 22).tell { stage in
                let load = Load(stage)
                try await load.goesOn(by: 20)
                for index in [1, 3] { stage[index].crash() }
                try await load.goesOn(by: 5)
                for index in [1, 3] {
                    try await Self.damage(stage[index], in: stage, Self.flipBytes)
                }
                try await load.goesOn(by: 20)
                for index in [1, 3] {
                    try await stage.wait("node \(index + 1) recovers") {
                        Self.isWhole($0[index], in: $0)
                    }
                    #expect(try Self.damages(stage[index], in: stage) > 0)
                }
                // What they hold now carries the cluster: the two that were never touched may go.
                for index in [0, 2] { stage[index].crash() }
                try await load.goesOn(by: 10)
                for index in [0, 2] { stage.cluster.restart(stage[index]) }
                try await stage.expect(try await load.end())
            }
        } catch { Issue.record(error) }
    }

    @Test func `a node that has lost its logs whole begins anew with the leader's state`() {
        do {
            try Stage(seed: 31).tell { stage in
                let load = Load(stage)
                try await load.goesOn(by: 60)
                stage[4].crash()
                try await load.goesOn(by: 5)
                try await Self.damage(stage[4], in: stage) { tables, batch in
                    for group in try tables.standings().keys.sorted() {
                        batch.delete(
                            RaftLogTables.log, in: KeyRange(prefix: RaftLogTables.key(group)))
                    }
                }
                try await load.goesOn(by: 20)
                try await stage.wait("the node recovers") { Self.isWhole(stage[4], in: $0) }
                let meta = try #require(stage.cluster.node(on: stage[4])?.meta)
                #expect(meta.counters.damagesFound.value > 0)
                #expect(meta.counters.snapshots.installed.value > 0)
                try await stage.expect(try await load.end())
            }
        } catch { Issue.record(error) }
    }

    @Test func `a node that may have forgotten a vote does not start, and the others go on`() {
        do {
            try Stage(seed: 23).tell { stage in
                let load = Load(stage)
                try await load.goesOn(by: 5)
                stage[2].crash()
                try await Self.damage(stage[2], in: stage) { _, batch in
                    batch.delete(RaftLogTables.hard, RaftLogTables.key(GroupID(1)))
                }
                try await stage.wait("the start is refused") {
                    $0.cluster.startFault(on: $0[2]) != nil
                }
                let fault = try #require(stage.cluster.startFault(on: stage[2]))
                guard case .damaged = fault else {
                    Issue.record(fault)
                    return
                }
                #expect(fault.description.contains("holdfast node remove ID --lost"))
                try await load.goesOn(by: 10)
                try await stage.expect(try await load.end())
            }
        } catch { Issue.record(error) }
    }

    /// As a log file makes it do that is cut short at its end, which nothing on the disk can tell
    /// from a write that was never synced.
    @Test func `a node whose log went back whole is found out by its leader, and stays away`() {
        do {
            try Stage(seed: 33).tell { stage in
                stage.simulator.allowsTermination = true
                let load = Load(stage)
                try await load.goesOn(by: 10)
                let leader = try await stage.leader()
                let machine = stage.others(than: leader)[1]
                machine.crash()
                try await Self.damage(machine, in: stage) { tables, batch in
                    try Self.goBack(tables, &batch)
                }
                try await stage.wait("the leader finds it out") { _ in
                    machine.terminations.count == 1
                }
                #expect(machine.terminations.map(\.status) == [MetaSettings.forgottenStatus])
                stage.cluster.restart(machine)
                try await stage.wait("the start is refused") {
                    $0.cluster.startFault(on: machine) != nil
                }
                guard case .damaged? = stage.cluster.startFault(on: machine) else {
                    Issue.record("\(stage.cluster.startFault(on: machine) as Any)")
                    return
                }
                try await stage.expect(try await load.end())
            }
        } catch { Issue.record(error) }
    }

    /// Has each log end two entries earlier, and its row say so.
    private static func goBack(_ tables: RaftLogTables, _ batch: inout WriteBatch) throws {
        for (group, standing) in try tables.standings().sorted(by: { $0.key < $1.key }) {
            let last = standing.last.index.rawValue
            guard last > standing.truncated.index.rawValue + 3,
                let end = try tables.anchor(of: LogIndex(last - 2), in: group)
            else { continue }
            for index in [last - 1, last] {
                batch.delete(RaftLogTables.log, RaftLogTables.key(group, LogIndex(index)))
            }
            var earlier = standing
            earlier.last = end
            let state = standing.hardState
            earlier.hardState = HardState(
                term: state.term, vote: state.vote, commit: min(state.commit, end.index))
            RaftLogTables.put(earlier, of: group, to: &batch)
        }
    }

    @Test(arguments: [0, 1, 2, 3, 5])
    func `a node whose disk failed a sync goes on by itself, once`(after syncs: Int) {
        do {
            try Stage(seed: 24 + UInt64(syncs)).tell { stage in
                stage.simulator.allowsTermination = true
                let load = Load(stage)
                try await load.goesOn(by: 10)
                let machine = try await stage.leader()
                machine.disk.failingSync = syncs
                try await stage.wait("the process ends") { _ in machine.terminations.count == 1 }
                #expect(machine.terminations.map(\.status) == [MetaSettings.logFailureStatus])
                try await load.goesOn(by: 5)
                stage.cluster.restart(machine)
                try await stage.wait("the node comes back") { Self.isWhole(machine, in: $0) }
                let node = try #require(stage.cluster.node(on: machine))
                #expect(node.diskFailuresTaken.value == 1)
                // And what it holds now is on its disk.
                machine.powerCut()
                stage.cluster.restart(machine)
                try await stage.wait("the node comes back") { Self.isWhole(machine, in: $0) }
                try await load.goesOn(by: 5)

                machine.disk.failingSync = 0
                try await stage.wait("the process ends") { _ in machine.terminations.count == 2 }
                stage.cluster.restart(machine)
                try await stage.wait("the start is refused") {
                    $0.cluster.startFault(on: machine) != nil
                }
                guard case .diskFailing? = stage.cluster.startFault(on: machine) else {
                    Issue.record("\(stage.cluster.startFault(on: machine) as Any)")
                    return
                }
                try await stage.expect(try await load.end())
            }
        } catch { Issue.record(error) }
    }
}
