import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Clocks that lie, in a world of five: what the time of the logs does, and who leads.
struct ClockStoryTests {
    private static func leader(_ group: GroupID, in world: MetaWorld) async throws
        -> SimulatedNode?
    {
        for machine in world.machines {
            let statuses = try await world.ask(machine) { await $0.meta.groupStatuses() } ?? []
            if statuses.contains(where: { $0.group == group && $0.status.role == .leader }) {
                return machine
            }
        }
        return nil
    }

    /// The latest time of a group's log on any replica.
    private static func logTime(_ group: GroupID, in world: MetaWorld) async throws -> Timestamp {
        var times: [Timestamp] = []
        for machine in world.machines {
            let time = try await world.ask(machine) { process -> Timestamp? in
                guard let state = process.meta.states[group] else { return nil }
                return await process.environment.blocking(.metadata) {
                    do { return try CatalogView(state.store).applied()?.time } catch { return nil }
                }
            }
            if let time = time ?? nil { times.append(time) }
        }
        return try #require(times.max())
    }

    /// The names of buckets whose slots the group owns, by number.
    private static func name(_ number: Int) throws -> BucketName {
        let names = (0...).lazy.compactMap { BucketName("bucket-\($0)") }
            .filter { $0.slot.rawValue < 8192 }
        return try #require(names.dropFirst(number).first { _ in true })
    }

    /// Writes something through a node, and looks at what time the log says it was.
    private static func write(
        _ number: Int, in world: MetaWorld, through machine: SimulatedNode, right: SimulatedNode
    ) async throws {
        let name = try Self.name(number)
        let create = CreateBucket(
            name: name, owner: try #require(OwnerID("root")), wrappedKey: [1])
        let result = try await world.ask(machine) { process -> CommandResult? in
            do throws(ClusterFault) {
                return try await process.client.submit(
                    .createBucket(create), deadline: process.environment.now + .seconds(15))
            } catch {
                Issue.record(error)
                return nil
            }
        }
        #expect(result == .bucketCreated, "through \(machine.name)")
        let time = try await Self.logTime(GroupID(1), in: world)
        let now = right.environment.wallClock
        #expect(time <= now + .milliseconds(520), "the log is \(time - now) ahead")
        #expect(time >= now + .milliseconds(-2_000), "the log is \(time - now) behind")
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `a leader whose clock jumps hands over, and the log keeps the others' time`(
        seed: UInt64
    ) throws {
        let world = try MetaWorld(seed: seed, nodes: 5)
        try world.tell {
            var leader: SimulatedNode?
            try await world.waitAsync("a leader") {
                leader = try await Self.leader(GroupID(1), in: world)
                return leader != nil
            }
            let jumping = try #require(leader)
            let others = world.machines.filter { $0 !== jumping }
            let right = others[3]
            try await Self.write(1, in: world, through: right, right: right)
            others[0].jumpWallClock(by: .seconds(3_600))
            others[1].jumpWallClock(by: .seconds(-3_600))
            jumping.jumpWallClock(by: .seconds(1_800))
            for number in 2..<20 {
                let machine = world.machines[number % 5]
                try await Self.write(number, in: world, through: machine, right: right)
                try await world.simulator.loop.sleep(for: .milliseconds(200))
            }
            let handovers = world.process(jumping)?.meta.counters.clockHandovers.value
            #expect(try #require(handovers) > 0)
            for group in MetaWorld.groups {
                let now = try await Self.leader(group, in: world)
                #expect(now === others[2] || now === others[3], "group \(group)")
            }
            for machine in world.machines {
                let client = try #require(world.process(machine)?.client)
                #expect(client.counters.outcomesUnknown.value == 0)
                let verdict = client.clock.verdict
                let isRight = machine === others[2] || machine === right
                #expect(verdict.mustNotLead == !isRight)
                #expect(verdict.isUnfitForEdges == !isRight)
            }
        }
    }

    @Test func `where only wrong clocks are left, one of them leads by the median all the same`()
        throws
    {
        let world = try MetaWorld(seed: 5, nodes: 3)
        try world.tell {
            let right = world.machines[2]
            try await Self.write(1, in: world, through: right, right: right)
            // Long enough for everybody to have heard from everybody.
            try await world.simulator.loop.sleep(for: .seconds(1))
            world.machines[0].jumpWallClock(by: .seconds(3_600))
            world.machines[1].jumpWallClock(by: .seconds(-3_600))
            try await world.simulator.loop.sleep(for: .seconds(3))
            right.crash()
            try await Self.write(2, in: world, through: world.machines[0], right: right)
            world.restart(right)
            try await world.allJoin()
            try await world.waitAsync("the right clock leads again") {
                try await Self.leader(GroupID(1), in: world) === right
            }
        }
    }
}
