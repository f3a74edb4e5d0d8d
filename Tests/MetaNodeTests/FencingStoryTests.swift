import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import PeerTransport
import Primitives
import SimulatedRuntime
import Telemetry
import Testing
import Wire

/// What a majority's contradiction does to a replica, by claims that come as heartbeats bring them.
struct FencingStoryTests {
    private static let group = GroupID(1)

    private static func create(
        _ numbers: Range<Int>, in world: MetaWorld, through machine: SimulatedNode
    ) async throws {
        let names = (0...).lazy.compactMap { BucketName("bucket-\($0)") }
            .filter { $0.slot.rawValue < 8192 }
        let owner = try #require(OwnerID("root"))
        for name in names.dropFirst(numbers.lowerBound).prefix(numbers.count) {
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

    private static func status(of meta: MetaNode) async -> RaftStatus? {
        await meta.groupStatuses().first { $0.group == Self.group }?.status
    }

    /// The replica that does not lead, and has applied all that was created.
    private static func follower(in world: MetaWorld) async throws -> SimulatedNode {
        for machine in world.machines {
            let status = try await world.ask(machine) { await Self.status(of: $0.meta) } ?? nil
            if let status, status.role == .follower { return machine }
        }
        return try #require(nil)
    }

    /// The last entry, once it is applied.
    private static func anchor(
        on machine: SimulatedNode, in world: MetaWorld
    ) async throws -> LogAnchor {
        while true {
            let status = try await world.ask(machine) { await Self.status(of: $0.meta) } ?? nil
            if let status, status.applied == status.last.index { return status.last }
            try await world.simulator.loop.sleep(for: .milliseconds(5))
        }
    }

    /// All others say of what the replica has applied that it is something else.
    private static func contradict(
        _ process: MetaWorld.Process, by others: [NodeID], at index: LogIndex, _ mark: StateMark
    ) {
        let claim = StateClaim(group: Self.group, applied: index, mark: mark)
        let envelope = RaftEnvelope(items: [], claims: [claim]).encoded
        for other in others {
            process.meta.receive(envelope, kind: RaftEnvelope.heartbeatsKind, from: other)
        }
    }

    @Test func `a fenced replica tells nobody what it holds`() throws {
        let world = try MetaWorld(seed: 41, nodes: 3)
        try world.tell {
            try await Self.create(1..<4, in: world, through: world.machines[0])
            let wrong = try await Self.follower(in: world)
            let others = world.nodes.filter { $0 != world.nodes[wrong.index] }
            let end = try await Self.anchor(on: wrong, in: world)
            let own = world.nodes[wrong.index]
            let name = try #require(BucketName("bucket-0"))
            let heard = try await world.ask(wrong) { process -> [Bool] in
                let meta = process.meta
                func follow() async -> FollowAnswer? {
                    do throws(CallFault) {
                        return try await process.client.follow(
                            Self.group, after: .zero, at: own,
                            deadline: process.environment.now + .seconds(5))
                    } catch { return nil }
                }
                let answeredBefore =
                    await meta.answerNow(.bucket(name), in: Self.group) != nil
                var followedBefore = false
                if case .news = await follow() { followedBefore = true }
                Self.contradict(
                    process, by: others, at: end.index, StateMark(digest: 1, chain: end.chain))
                let followed = await follow()
                return [
                    answeredBefore, followedBefore, meta.counters.fences.value == 1,
                    followed == .refused(.notLeader(hint: nil)),
                    meta.answerNow(.bucket(name), in: Self.group) == nil,
                ]
            }
            #expect(heard == [Bool](repeating: true, count: 5))
            // What the others truly claim puts it right.
            let meta = try #require(world.process(wrong)?.meta)
            try await world.waitAsync("it answers again") {
                try await world.ask(wrong) { _ in
                    await meta.auditStandings().allSatisfy { !$0.isFenced }
                } ?? false
            }
        }
    }

    @Test func `fencing leaves alone who waits for the group to stand still`() throws {
        let world = try MetaWorld(seed: 42, nodes: 3)
        try world.tell {
            try await Self.create(1..<4, in: world, through: world.machines[0])
            let wrong = try await Self.follower(in: world)
            let others = world.nodes.filter { $0 != world.nodes[wrong.index] }
            let end = try await Self.anchor(on: wrong, in: world)
            async let created: Void = Self.create(4..<16, in: world, through: world.machines[0])
            let outcome = try await world.ask(wrong) { process -> [Bool] in
                let loop = process.environment.loops[0]
                do {
                    // A write is under way: the group does not stand still yet.
                    while let status = await Self.status(of: process.meta),
                        status.last.index == status.persisted
                    { try await loop.sleep(for: .microseconds(20)) }
                    async let removed: Void = process.meta.removeGroup(Self.group)
                    try await loop.sleep(for: .nanoseconds(1))
                    Self.contradict(
                        process, by: others, at: end.index,
                        StateMark(digest: 1, chain: end.chain))
                    await removed
                    let isGone = await Self.status(of: process.meta) == nil
                    let isFenced = process.meta.counters.fences.value == 1
                    try await process.meta.addGroup(Self.group)
                    return [isFenced, isGone]
                } catch { return [] }
            }
            #expect(outcome == [true, true])
            try await created
            let meta = try #require(world.process(wrong)?.meta)
            try await world.wait("it is whole again") { meta.counters.logsRecovered.value == 1 }
        }
    }

    @Test func `a replica whose log a majority contradicts begins anew and recovers`() throws {
        let world = try MetaWorld(seed: 43, nodes: 3)
        try world.tell {
            try await Self.create(1..<8, in: world, through: world.machines[0])
            let wrong = try await Self.follower(in: world)
            let others = world.nodes.filter { $0 != world.nodes[wrong.index] }
            let end = try await Self.anchor(on: wrong, in: world)
            let process = try #require(world.process(wrong))
            let meta = process.meta
            let before = try await world.ask(wrong) { await Self.status(of: $0.meta) } ?? nil
            Self.contradict(
                process, by: others, at: end.index, StateMark(digest: 1, chain: ~end.chain))
            try await world.wait("it is whole again", for: .seconds(20)) {
                meta.counters.logsRecovered.value == 1
            }
            let after = try await world.ask(wrong) { await Self.status(of: $0.meta) } ?? nil
            let (former, now) = (try #require(before), try #require(after))
            #expect(now.term >= former.term)
            #expect(now.last.position >= former.last.position)
            #expect(await meta.auditStandings().allSatisfy { !$0.isFenced })
            try await Self.create(8..<10, in: world, through: wrong)
        }
    }
}
