import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// Who is asked to take over, in a world of three whose third node is to lead.
struct HandoverStoryTests {
    private static let group = GroupID(1)

    private static func status(
        of machine: SimulatedNode, in world: MetaWorld
    ) async throws -> RaftStatus? {
        try await world.ask(machine) { process in
            await process.meta.groupStatuses().first { $0.group == Self.group }?.status
        } ?? nil
    }

    private static func waitForLeader(
        in world: MetaWorld, _ isWanted: (SimulatedNode) -> Bool
    ) async throws -> SimulatedNode {
        var leader: SimulatedNode?
        try await world.waitAsync("a leader") {
            for machine in world.machines where isWanted(machine) {
                let status = try await Self.status(of: machine, in: world)
                if status?.role == .leader { leader = machine }
            }
            return leader != nil
        }
        return try #require(leader)
    }

    private static func create(
        _ count: Int, in world: MetaWorld, through machine: SimulatedNode
    ) async throws {
        let names = (0...).lazy.compactMap { BucketName("bucket-\($0)") }
            .filter { $0.slot.rawValue < 8192 }
        let owner = try #require(OwnerID("root"))
        for name in names.prefix(count) {
            let create = CreateBucket(
                name: name, owner: owner, wrappedKey: [UInt8](repeating: 5, count: 1000))
            let result = try await world.ask(machine) { process -> CommandResult? in
                do throws(ClusterFault) {
                    return try await process.client.submit(
                        .createBucket(create), deadline: process.environment.now + .seconds(15))
                } catch { return nil }
            }
            #expect(result == .bucketCreated)
        }
    }

    @Test func `a voter whose state is being fetched is handed nothing before it has it`() throws {
        let world = try MetaWorld(
            seed: 51, nodes: 3, preferredLeaders: [Self.group: NodeID(3)]
        ) { log in
            log.snapshots.pieceBytes = 2 << 10
            log.snapshots.bytesPerSecond = 6 << 10
        }
        try world.tell {
            let preferred = world.machines[2]
            _ = try await Self.waitForLeader(in: world) { $0 === preferred }
            try await Self.create(40, in: world, through: world.machines[0])
            _ = try await world.ask(preferred) {
                await $0.meta.refetchState(of: Self.group, because: "this is a test")
            }
            let leader = try await Self.waitForLeader(in: world) { $0 !== preferred }
            let meta = try #require(world.process(preferred)?.meta)
            // A preferred voter that keeps up is waited for ten seconds.
            let end = world.simulator.now + .seconds(13)
            var handovers = 0
            while world.simulator.now < end {
                let status = try #require(try await Self.status(of: leader, in: world))
                #expect(status.role == .leader)
                handovers += status.handingOverTo == nil ? 0 : 1
                try await world.simulator.loop.sleep(for: .milliseconds(100))
            }
            #expect(handovers == 0)
            let known = try #require(try await Self.status(of: leader, in: world))
            #expect(known.peers.map(\.isRecentlyActive) == [true, true])
            #expect(
                known.peers.map(\.mayTakeOver) == known.peers.map { $0.node != NodeID(3) })
            #expect(meta.counters.snapshots.installed.value == 0, "it was still being fetched")

            try await world.wait("it has a state", for: .seconds(120)) {
                meta.counters.snapshots.installed.value == 1
            }
            _ = try await Self.waitForLeader(in: world) { $0 === preferred }
        }
    }
}
