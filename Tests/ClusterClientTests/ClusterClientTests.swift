import Catalog
import ClusterClient
import IORuntime
import PeerTransport
import Placement
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing
import Wire

@Suite struct ClusterClientTests {
    private static let data = GroupID(1)
    private static let lost = CallFault.connectionLost(mayHaveRun: true)

    private func isCreate(_ operation: CatalogOperation) -> Bool {
        if case .createBucket = operation { true } else { false }
    }

    private func isOpening(_ operation: CatalogOperation) -> Bool {
        if case .openSession = operation { true } else { false }
    }

    @Test func `a start ends with an incarnation, the layout and the table`() throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(world.client.incarnation == 1)
        #expect(world.client.layout?.version.rawValue == 1)
        #expect(world.client.dataGroups == [GroupID(1), GroupID(2)])
        let names = try [world.client.makeChunkName(), world.client.makeChunkName()]
        #expect(names.map(\.counter) == [0, 1] && names.map(\.incarnation) == [1, 1])
    }

    @Test func `newer tables are asked for by one question a period`() throws {
        let world = try PlayedWorld()
        try world.start()
        let before = world.client.counters.queries.value
        world.simulator.spawn("wait", on: world.loop) { [loop = world.loop] in
            do { try await loop.sleep(for: .seconds(16)) } catch { Issue.record(error) }
        }
        #expect(world.simulator.run(for: .seconds(20)).ending == .finished)
        #expect(world.client.counters.queries.value - before == 3)
    }

    @Test func `a start waits for a cluster that begins later`() throws {
        let world = try PlayedWorld(bootstrapped: false)
        world.simulator.spawn("start", on: world.loop) { [client = world.client] in
            do throws(ClusterFault) { try await client.start() } catch {
                Issue.record("it tries until it has them: \(error)")
            }
        }
        #expect(world.simulator.run(for: .seconds(30)).ending == .timeLimit)
        #expect(world.client.incarnation == nil)
        #expect(world.cluster.calls.count < 2_000, "attempts are spread")
        try world.cluster.bootstrap()
        _ = world.simulator.run(for: .seconds(1), until: { world.client.incarnation != nil })
        #expect(world.client.incarnation == 1)
    }

    @Test func `a start finds a leader that came while this process was away`() throws {
        let world = try PlayedWorld(knowing: [NodeID(2), NodeID(3)])
        try world.start()
        #expect(world.client.incarnation == 1)
        #expect(world.client.nodes.map(\.id) == PlayedCluster.nodes)
    }

    @Test func `a start that is cancelled ends`() throws {
        let world = try PlayedWorld(bootstrapped: false)
        let fault = Mutex<ClusterFault?>(nil)
        let task = world.simulator.spawn("start", on: world.loop) { [client = world.client] in
            do throws(ClusterFault) { try await client.start() } catch {
                fault.withLock { $0 = error }
            }
        }
        _ = world.simulator.run(for: .seconds(2))
        task.cancel()
        #expect(world.simulator.run(for: .seconds(1)).ending == .finished)
        #expect(fault.withLock { $0 } == .unavailable("stopped while starting"))
    }

    @Test func `a hint of the leader is followed at once`() throws {
        let world = try PlayedWorld()
        try world.start()
        world.cluster.state.withLock { $0.leaders[Self.data] = NodeID(3) }
        let (result, took) = try world.createBucket()
        #expect(result == .success(.bucketCreated))
        #expect(world.cluster.calls.map(\.node) == [NodeID(1), NodeID(3), NodeID(3)])
        #expect(took < .milliseconds(5), "without a pause")
    }

    @Test func `two nodes that name each other are not asked without a pause`() throws {
        let world = try PlayedWorld()
        try world.start()
        world.cluster.state.withLock { state in
            state.leaders[Self.data] = nil
            state.hints[Self.data] = NodeID(2)
        }
        let (result, took) = try world.createBucket(within: .seconds(2))
        #expect(result == .failure(.unavailable("no answer before the deadline")))
        #expect(took <= .seconds(2))
        #expect(world.cluster.calls.count < 800)
    }

    @Test func `a retry after a lost connection has the same identity and is applied once`() throws
    {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.state.withLock { $0.calls = [] }
        world.cluster.bend(Self.data, [.failsAfterRunning(Self.lost), .fails(Self.lost)])
        #expect(try world.createBucket().value == .success(.bucketCreated))
        let attempts = world.cluster.attempts(self.isCreate)
        // Two that failed, one that heard who leads, and the one that was decided.
        #expect(attempts.count == 4)
        #expect(Set(attempts.map(\.command?.identity?.sequence)).count == 1)
        #expect(try world.createBucket("later").value == .success(.bucketCreated))
        let sequences = world.cluster.attempts(self.isCreate).compactMap {
            $0.command?.identity?.sequence
        }
        #expect(sequences[4] == sequences[0] + 1)
    }

    // MARK: What is told at the deadline

    @Test(arguments: [
        CallFault.unreachable(NodeID(1)), .overloaded, .shuttingDown,
        .deadlineExceeded(mayHaveRun: false), .connectionLost(mayHaveRun: false),
        .refused(code: 0x0001, message: "no such role"),
        .refused(code: MetaCallRefusal.unknownKind, message: "unknown"),
    ])
    func `a command that certainly did not run is unavailable`(fault: CallFault) throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.bend(Self.data, Array(repeating: .fails(fault), count: 1_000))
        let (result, took) = try world.createBucket(within: .seconds(3))
        #expect(result == .failure(.unavailable("no answer before the deadline")))
        #expect(took <= .seconds(3))
        #expect(world.client.counters.outcomesUnknown.value == 0)
    }

    @Test(arguments: [
        CallFault.deadlineExceeded(mayHaveRun: true), .connectionLost(mayHaveRun: true),
        .malformed(.truncated(offset: 0)),
        .refused(code: MetaCallRefusal.outcomeUnknown, message: "gave up"),
    ])
    func `a command that may have run is unknown, however certain the last attempt was`(
        fault: CallFault
    ) throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        let certain = PlayedCluster.Fate.fails(.unreachable(NodeID(1)))
        world.cluster.bend(
            Self.data, [certain, .fails(fault)] + Array(repeating: certain, count: 1_000))
        let (result, took) = try world.createBucket(within: .seconds(3))
        #expect(result == .failure(.outcomeUnknown("no answer before the deadline")))
        #expect(took <= .seconds(3))
        #expect(world.client.counters.outcomesUnknown.value == 1)
    }

    @Test func `an answer that cannot be read leaves the outcome unknown`() throws {
        for bytes in [[], [9, 9], ProposeAnswer.applied(at: LogIndex(1), results: []).encoded] {
            let world = try PlayedWorld()
            try world.start()
            #expect(try world.createBucket("warm").value == .success(.bucketCreated))
            world.cluster.bend(Self.data, [.answersBytes(bytes)])
            guard case .failure(.outcomeUnknown) = try world.createBucket().value else {
                Issue.record("\(bytes) says nothing of the command")
                continue
            }
        }
    }

    @Test func `refusals of a group leave a command certainly not done`() throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        let refusals: [GroupRefusal] = [
            .overloaded, .noSuchGroup, .tooLate, .notLeader(hint: nil),
            .notLeader(hint: NodeID(77)),
        ]
        for refusal in refusals {
            world.cluster.bend(
                Self.data, Array(repeating: .answers(refusal), count: 1_000))
            #expect(
                try world.createBucket(within: .seconds(1)).value
                    == .failure(.unavailable("no answer before the deadline")))
            world.cluster.bend(Self.data, [.answers(refusal)])
            #expect(try world.createBucket("b-\(refusals.count)").value.isDecided)
        }
    }

    @Test func `a silent node costs one attempt, and the caller's deadline holds`() throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.bend(Self.data, [.isSilent])
        let (result, took) = try world.createBucket(within: .seconds(5))
        #expect(result == .success(.bucketCreated))
        let attempt = ClusterClientSettings(metaNodes: []).attemptTimeout
        #expect(took >= attempt && took < attempt * 2)
        world.cluster.bend(Self.data, Array(repeating: .isSilent, count: 10))
        let (late, tookLate) = try world.createBucket("late", within: .milliseconds(500))
        #expect(late == .failure(.outcomeUnknown("no answer before the deadline")))
        #expect(tookLate <= .milliseconds(501))
    }

    @Test func `a deadline that has passed asks nobody`() throws {
        let world = try PlayedWorld()
        try world.start()
        let (result, _) = try world.createBucket(within: .zero)
        #expect(result == .failure(.unavailable("no answer before the deadline")))
        #expect(world.cluster.calls.isEmpty)
    }

    @Test func `a cancelled command ends at once`() throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.bend(Self.data, [.isSilent])
        let outcome = Mutex<Result<CommandResult, ClusterFault>?>(nil)
        let operation = try PlayedWorld.create("photos")
        let task = world.simulator.spawn("test", on: world.loop) {
            [client = world.client, environment = world.environment] in
            let result = await client.tried(
                operation, deadline: environment.now + .seconds(60))
            outcome.withLock { $0 = result }
        }
        _ = world.simulator.run(for: .milliseconds(100))
        task.cancel()
        _ = world.simulator.run(for: .milliseconds(1))
        #expect(
            outcome.withLock { $0 } == .failure(.outcomeUnknown("the request was given up")))
    }

    // MARK: Sessions

    @Test func `many first commands share one opening of a session`() throws {
        let world = try PlayedWorld()
        try world.start()
        let operations = try (0..<20).map { try PlayedWorld.create("bucket-\($0)") }
        let results = try world.run { [environment = world.environment] client, _ in
            await withTaskGroup(of: Result<CommandResult, ClusterFault>.self) { group in
                for operation in operations {
                    group.addTask {
                        await client.tried(operation, deadline: environment.now + .seconds(5))
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }.value
        #expect(results == Array(repeating: .success(.bucketCreated), count: 20))
        #expect(world.cluster.attempts(self.isOpening).count == 1)
        let sequences = world.cluster.attempts(self.isCreate).compactMap {
            $0.command?.identity?.sequence
        }
        #expect(Set(sequences).count == 20)
    }

    @Test func `an opening that failed is tried again by the next command`() throws {
        let world = try PlayedWorld()
        try world.start()
        world.cluster.bend(Self.data, Array(repeating: .fails(Self.lost), count: 1_000))
        #expect(
            try world.createBucket(within: .seconds(1)).value
                == .failure(.unavailable("no answer before the deadline")),
            "the command itself never left, though the opening may have run")
        world.cluster.bend(Self.data, [])
        #expect(try world.createBucket().value == .success(.bucketCreated))
    }

    @Test func `a session that is gone is opened anew where no attempt is in doubt`() throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.pass(.seconds(4_000))
        #expect(try world.createBucket().value == .success(.bucketCreated))
        #expect(world.cluster.attempts(self.isOpening).count == 2)
        let sequences = world.cluster.attempts(self.isCreate).compactMap {
            $0.command?.identity?.sequence
        }
        #expect(sequences.count == 3 && sequences[2] > sequences[1])
    }

    @Test func `a session that is gone behind a doubtful attempt leaves the outcome unknown`()
        throws
    {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.pass(.seconds(4_000))
        world.cluster.bend(Self.data, [.fails(Self.lost)])
        guard case .failure(.outcomeUnknown) = try world.createBucket().value else {
            Issue.record("nobody can say")
            return
        }
        #expect(try world.createBucket("next").value == .success(.bucketCreated))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `commands in flight while sessions are lost and openings meet are applied at most once`(
        seed: UInt64
    ) throws {
        let world = try PlayedWorld(seed: seed)
        try world.start()
        let operations = try (0..<60).map { try PlayedWorld.create("bucket-\($0)") }
        let results = try world.run { [environment = world.environment] client, cluster in
            await withTaskGroup(of: Result<CommandResult, ClusterFault>.self) { group in
                for (number, operation) in operations.enumerated() {
                    if number % 15 == 14 { cluster.pass(.seconds(4_000)) }
                    if number % 7 == 3 { cluster.bend(Self.data, [.failsAfterRunning(Self.lost)]) }
                    group.addTask {
                        await client.tried(operation, deadline: environment.now + .seconds(20))
                    }
                    do { try await environment.loops[0].sleep(for: .milliseconds(1)) } catch {}
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }.value
        // Each name is created by one command alone: any other answer is another command's result,
        // or a second application.
        for result in results {
            switch result {
            case .success(.bucketCreated), .failure(.outcomeUnknown): break
            default: Issue.record("\(result)")
            }
        }
        let numbered = world.cluster.attempts(self.isCreate).compactMap(\.command)
        let byNumber = Dictionary(grouping: numbered) { $0.identity?.sequence ?? 0 }
        for (_, commands) in byNumber {
            #expect(
                Set(commands.map { "\($0.operation)" }).count == 1, "a number is of one command")
        }
    }

    // MARK: Tables

    @Test func `a slot that moved is found with a fresh table`() throws {
        let world = try PlayedWorld()
        try world.start()
        #expect(try world.createBucket("warm").value == .success(.bucketCreated))
        world.cluster.moveSlots()
        #expect(try world.createBucket().value == .success(.bucketCreated))
        #expect(world.client.group(owning: Slot(rawValue: 0)) == GroupID(2))
        #expect(world.client.counters.staleSlots.value == 1)
    }

    @Test func `a query and a bucket's key are found after their slot moved`() throws {
        let world = try PlayedWorld()
        try world.start()
        world.cluster.moveSlots()
        let name = try #require(BucketName("photos"))
        let isAbsent = try world.run { [environment = world.environment] client, _ in
            do throws(ClusterFault) {
                return try await client.bucketWithKey(
                    name, deadline: environment.now + .seconds(2)) == nil
            } catch { return false }
        }.value
        #expect(isAbsent)
        #expect(world.client.group(owning: name.slot) == GroupID(2))
    }

    @Test func `a slot on its way between groups is waited for until the deadline`() throws {
        let world = try PlayedWorld()
        try world.start()
        world.cluster.releaseSlots()
        let (result, took) = try world.createBucket(within: .seconds(2))
        #expect(result == .failure(.unavailable("no answer before the deadline")))
        #expect(took <= .seconds(2))
    }

    @Test func `a table that cannot be had holds nobody past the deadline`() throws {
        let world = try PlayedWorld()
        try world.start()
        world.cluster.moveSlots()
        world.cluster.bend(.system, Array(repeating: .isSilent, count: 1_000))
        let (result, took) = try world.createBucket(within: .seconds(1))
        #expect(result == .failure(.unavailable("no answer before the deadline")))
        #expect(took <= .milliseconds(1_001))
    }

    @Test func `a node is believed gone until it is heard again`() throws {
        let client = try PlayedWorld().client
        #expect(client.isLive(NodeID(2)))
        client.peerChanged(.lost(NodeID(2)))
        #expect(client.isLive(NodeID(2)))
        client.peerChanged(.gone(NodeID(2)))
        #expect(!client.isLive(NodeID(2)) && client.isLive(NodeID(3)))
        client.peerChanged(.up(NodeID(2)))
        #expect(client.isLive(NodeID(2)))
    }
}

extension Result<CommandResult, ClusterFault> {
    /// The group gave a result.
    fileprivate var isDecided: Bool {
        if case .success = self { true } else { false }
    }
}
