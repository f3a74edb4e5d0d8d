import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Buckets stand for any state here: who creates one twice hears that it has it already.
struct GroupStoryTests {
    private static let group = GroupID(1)

    /// The names of buckets whose slots the group owns.
    private static func names(_ count: Int) -> [BucketName] {
        var names: [BucketName] = []
        var number = 0
        while names.count < count {
            number += 1
            guard let name = BucketName("bucket-\(number)"), name.slot.rawValue < 8192 else {
                continue
            }
            names.append(name)
        }
        return names
    }

    private static func create(
        _ name: BucketName, in world: MetaWorld, through machine: SimulatedNode,
        within span: Duration = .seconds(15)
    ) async throws -> Result<CommandResult, ClusterFault>? {
        guard let owner = OwnerID("root") else { return nil }
        let create = CreateBucket(
            name: name, owner: owner, wrappedKey: [UInt8](repeating: 5, count: 1000))
        return try await world.ask(machine) { process in
            do throws(ClusterFault) {
                return .success(
                    try await process.client.submit(
                        .createBucket(create), deadline: process.environment.now + span))
            } catch { return .failure(error) }
        }
    }

    private static func expectCreated(
        _ name: BucketName, in world: MetaWorld, through machine: SimulatedNode
    ) async throws {
        let result = try await Self.create(name, in: world, through: machine)
        #expect(result == .success(.bucketCreated), "\(name) through \(machine.name)")
    }

    private static func has(
        _ name: BucketName, in world: MetaWorld, through machine: SimulatedNode
    ) async throws -> Bool {
        let answer = try await world.ask(machine) { process -> CatalogAnswer? in
            do throws(ClusterFault) {
                return try await process.client.query(
                    .bucket(name), deadline: process.environment.now + .seconds(15))
            } catch {
                Issue.record(error)
                return nil
            }
        }
        guard case .bucket = answer ?? nil else { return false }
        return true
    }

    /// The machine whose replica leads, once there is one.
    private static func leader(in world: MetaWorld) async throws -> SimulatedNode {
        for _ in 0..<100 {
            var found: (term: Term, machine: SimulatedNode)?
            for machine in world.machines {
                let statuses = try await world.ask(machine) { await $0.meta.groupStatuses() }
                for (group, status) in statuses ?? []
                where group == Self.group && status.role == .leader {
                    if found.map({ $0.term < status.term }) ?? true {
                        found = (status.term, machine)
                    }
                }
            }
            if let found { return found.machine }
            try await world.simulator.loop.sleep(for: .milliseconds(50))
        }
        throw MetaWorld.Tired(what: "a leader")
    }

    // MARK: Stories

    @Test(arguments: [1, 3, 5])
    func `groups begin, decide and answer through every node`(nodes: Int) throws {
        let world = try MetaWorld(nodes: nodes)
        try world.tell {
            for (number, name) in Self.names(5).enumerated() {
                let machine = world.machines[number % nodes]
                try await Self.expectCreated(name, in: world, through: machine)
                for reader in world.machines {
                    #expect(try await Self.has(name, in: world, through: reader))
                }
            }
        }
    }

    @Test func `a leader answers from what it has applied without asking the others`() throws {
        let world = try MetaWorld(nodes: 3)
        try world.tell {
            let name = Self.names(1)[0]
            try await Self.expectCreated(name, in: world, through: world.machines[0])
            func rounds() -> UInt64 {
                world.machines.reduce(0) { sum, machine in
                    sum + (world.process(machine)?.meta.counters.readIndexes.value ?? 0)
                }
            }
            let before = rounds()
            // Whoever asks a follower is sent on to the leader.
            for asker in world.machines {
                let answer = try await world.ask(asker) { process -> CatalogAnswer? in
                    do throws(ClusterFault) {
                        return try await process.client.query(
                            .bucket(name), freshness: .led,
                            deadline: process.environment.now + .seconds(15))
                    } catch { return nil }
                }
                guard case .bucket = answer ?? nil else {
                    Issue.record("\(asker.name) hears \(answer as Any)")
                    continue
                }
            }
            #expect(rounds() == before)
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a leader's death costs less than a second and nothing acknowledged`(
        seed: UInt64
    ) throws {
        let world = try MetaWorld(seed: seed)
        try world.tell {
            let names = Self.names(3)
            _ = try await Self.create(names[0], in: world, through: world.machines[0])
            let leader = try await Self.leader(in: world)
            let other = try #require(world.machines.first { $0 !== leader })
            leader.crash()
            let killed = world.simulator.now
            try await Self.expectCreated(names[1], in: world, through: other)
            #expect(world.simulator.now - killed < .seconds(1))
            world.restart(leader)
            try await world.allJoin()
            for name in names[..<2] {
                #expect(try await Self.has(name, in: world, through: leader))
            }
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `a power cut of all nodes takes nothing that was acknowledged`(seed: UInt64) throws {
        let world = try MetaWorld(seed: seed)
        try world.tell {
            let names = Self.names(30)
            for round in 0..<3 {
                for name in names[(round * 10)..<(round * 10 + 10)] {
                    try await Self.expectCreated(name, in: world, through: world.machines[round])
                }
                for machine in world.machines { machine.powerCut() }
                for machine in world.machines { world.restart(machine) }
                try await world.allJoin()
            }
            for name in names {
                #expect(try await Self.has(name, in: world, through: world.machines[0]))
            }
        }
    }

    @Test func `a full disk ends a node, which goes on when there is room again`() throws {
        let world = try MetaWorld(seed: 8)
        world.simulator.allowsTermination = true
        try world.tell {
            let names = Self.names(3)
            try await Self.expectCreated(names[0], in: world, through: world.machines[0])
            let leader = try await Self.leader(in: world)
            let other = try #require(world.machines.first { $0 !== leader })
            let capacityBytes = leader.disk.capacityBytes
            leader.disk.capacityBytes = 0
            try await Self.expectCreated(names[1], in: world, through: other)
            try await world.wait("the full node ends") { !leader.isRunning }
            #expect(leader.terminations.map(\.status) == [MetaSettings.diskFullStatus])
            leader.disk.capacityBytes = capacityBytes
            world.restart(leader)
            try await world.allJoin()
            try await Self.expectCreated(names[2], in: world, through: leader)
            for name in names {
                #expect(try await Self.has(name, in: world, through: leader))
            }
        }
    }

    @Test func `a leader that is cut off decides nothing, and the others do`() throws {
        let world = try MetaWorld(seed: 5)
        try world.tell {
            let names = Self.names(3)
            let leader = try await Self.leader(in: world)
            let other = try #require(world.machines.first { $0 !== leader })
            // With its session open, the next command goes straight into the leader's log.
            try await Self.expectCreated(names[2], in: world, through: leader)
            world.simulator.network.isolate(leader)
            let alone = try await Self.create(
                names[0], in: world, through: leader, within: .seconds(3))
            if case .failure(.outcomeUnknown) = alone {} else { Issue.record("\(alone as Any)") }
            try await Self.expectCreated(names[1], in: world, through: other)
            world.simulator.network.heal()
            #expect(try await Self.has(names[1], in: world, through: leader))
        }
    }

    @Test func `leadership returns to where it is preferred once that node keeps up again`()
        throws
    {
        let world = try MetaWorld(seed: 8, preferredLeaders: [Self.group: NodeID(2)])
        try world.tell {
            let names = Self.names(3)
            let preferred = world.machines[1]
            #expect(try await Self.leader(in: world) === preferred)
            preferred.crash()
            try await Self.expectCreated(names[0], in: world, through: world.machines[0])
            #expect(try await Self.leader(in: world) !== preferred)
            world.restart(preferred)
            try await world.allJoin()
            try await Self.expectCreated(names[1], in: world, through: world.machines[0])
            #expect(try await Self.leader(in: world) !== preferred)
            try await world.simulator.loop.sleep(for: .seconds(15))
            #expect(try await Self.leader(in: world) === preferred)
            try await Self.expectCreated(names[2], in: world, through: world.machines[0])
        }
    }

    @Test func `commands that come together share entries`() throws {
        let world = try MetaWorld(seed: 6)
        try world.tell {
            let names = Self.names(100)
            let leader = try await Self.leader(in: world)
            let first = try #require(Self.names(101).last)
            _ = try await Self.create(first, in: world, through: leader)
            let counters = try #require(world.process(leader)).meta.counters
            let (entries, commands) = (
                counters.entriesProposed.value, counters.commandsProposed.value
            )
            let owner = try #require(OwnerID("root"))
            let results = try await world.ask(leader) { process in
                await withTaskGroup(of: Bool.self) { group in
                    for name in names {
                        let create = CreateBucket(name: name, owner: owner, wrappedKey: [1])
                        group.addTask {
                            do throws(ClusterFault) {
                                return try await process.client.submit(
                                    .createBucket(create),
                                    deadline: process.environment.now + .seconds(15))
                                    == .bucketCreated
                            } catch { return false }
                        }
                    }
                    return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
            }
            #expect(results == names.count)
            #expect(counters.commandsProposed.value - commands >= UInt64(names.count))
            #expect(counters.entriesProposed.value - entries < 50)
        }
    }

    @Test func `logs are cut only below what every voter holds`() throws {
        let world = try MetaWorld(seed: 7)
        try world.tell {
            let names = Self.names(120)
            let leader = try await Self.leader(in: world)
            let away = try #require(world.machines.first { $0 !== leader })
            away.crash()
            for name in names[..<60] {
                _ = try await Self.create(name, in: world, through: leader)
            }
            let counters = try #require(world.process(leader)).meta.counters
            #expect(counters.truncations.value == 0)
            world.restart(away)
            try await world.allJoin()
            for name in names[60...] {
                _ = try await Self.create(name, in: world, through: leader)
            }
            #expect(counters.truncations.value > 0)
            // What was cut is in the states, and a restart needs no more than is left.
            for machine in world.machines { machine.powerCut() }
            for machine in world.machines { world.restart(machine) }
            try await world.allJoin()
            for name in names {
                #expect(try await Self.has(name, in: world, through: away))
            }
        }
    }

    @Test func `a replica leaves a node while the group goes on, and comes back empty`() throws {
        let world = try MetaWorld(seed: 11, preferredLeaders: [Self.group: NodeID(1)])
        try world.tell {
            let names = Self.names(3)
            let machine = world.machines[2]
            try await Self.expectCreated(names[0], in: world, through: world.machines[0])
            _ = try await world.ask(machine) { await $0.meta.removeGroup(Self.group) }
            #expect(world.process(machine)?.meta.states.groups == [.system])
            try await Self.expectCreated(names[1], in: world, through: world.machines[0])
            try await world.simulator.loop.sleep(for: .seconds(1))
            #expect(try await Self.stateDirectories(of: machine) == ["0-0"])
            for machine in world.machines {
                machine.crash()
                world.restart(machine)
            }
            try await world.wait("the roles open") {
                world.machines.allSatisfy { world.process($0) != nil }
            }
            #expect(world.process(machine)?.meta.states.groups == [.system])
            let added = try await world.ask(machine) { process -> [GroupID] in
                do throws(MetaFault) { try await process.meta.addGroup(Self.group) } catch {
                    Issue.record(error)
                }
                return process.meta.states.groups
            }
            #expect(added == MetaWorld.groups)
            try await world.allJoin()
            try await Self.expectCreated(names[2], in: world, through: machine)
            #expect(try await Self.stateDirectories(of: machine) == ["0-0", "1-1"])
        }
    }

    /// The machine is the leader, or a follower that restarts over it.
    @Test(arguments: [(0, false), (2, false), (2, true)])
    func `a state that is given up comes anew from the leader, while the log stays`(
        number: Int, restarts: Bool
    ) throws {
        let world = try MetaWorld(seed: 13, preferredLeaders: [Self.group: NodeID(1)])
        try world.tell {
            let names = Self.names(40)
            let machine = world.machines[number]
            for name in names[..<30] {
                try await Self.expectCreated(name, in: world, through: world.machines[0])
            }
            _ = try await world.ask(machine) { process in
                await process.meta.refetchState(of: Self.group, because: "a test")
                #expect(process.meta.states.groups == [.system])
            }
            if restarts {
                machine.crash()
                world.restart(machine)
            }
            // The log goes on meanwhile, the refused state's among the majority.
            let third = world.machines[number == 2 ? 1 : 2]
            third.crash()
            for name in names[30..<35] {
                try await Self.expectCreated(name, in: world, through: world.machines[0])
            }
            try await world.wait("another state has come") {
                world.process(machine)?.meta.states[Self.group]?.generation == 1
            }
            let counters = try #require(world.process(machine)).meta.counters.snapshots
            #expect(counters.installed.value == 1)
            world.restart(third)
            try await world.allJoin()
            for name in names[35...] {
                try await Self.expectCreated(name, in: world, through: machine)
            }
            for name in names {
                #expect(try await Self.has(name, in: world, through: machine))
            }
        }
    }

    @Test func `a state that no row names is removed at the start`() throws {
        let world = try MetaWorld(seed: 12)
        try world.tell {
            let machine = world.machines[0]
            machine.crash()
            machine.restart()
            let environment = machine.environment
            try await environment.blocking(.disk) {
                for name in ["1-1", "7-0"] {
                    try environment.files.makeDirectoryDurably("/meta/state/\(name)")
                }
            }
            world.start(machine)
            try await world.allJoin()
            #expect(try await Self.stateDirectories(of: machine) == ["0-0", "1-0"])
        }
    }

    private static func stateDirectories(of machine: SimulatedNode) async throws -> [String] {
        let environment = machine.environment
        return try await environment.blocking(.disk) { try environment.files.list("/meta/state") }
    }
}
