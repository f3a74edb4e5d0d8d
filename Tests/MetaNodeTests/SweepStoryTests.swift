import Catalog
import ClusterClient
import Consensus
import MetaNode
import PeerTransport
import Placement
import Primitives
import SimulatedRuntime
import Telemetry
import Testing
import Wire

/// How the leader of a group brings chunks to their end; the test plays the edges and the stores.
struct SweepStoryTests {
    private static let group = GroupID(1)
    private static let chunk = ChunkName(incarnation: 900, counter: 1)

    private static var settings: SweepSettings {
        var settings = SweepSettings()
        settings.grace = .seconds(4)
        settings.period = .milliseconds(500)
        return settings
    }

    private static func bucket() throws -> BucketName {
        for number in 1... {
            let name = try #require(BucketName("bucket-\(number)"))
            if name.slot.rawValue < 8192 { return name }
        }
        throw MetaWorld.Tired(what: "a bucket")
    }

    private static func submit(
        _ operation: CatalogOperation, in world: MetaWorld, through machine: SimulatedNode
    ) async throws -> CommandResult? {
        try await world.ask(machine) { process -> CommandResult? in
            do throws(ClusterFault) {
                return try await process.client.submit(
                    operation, deadline: process.environment.now + .seconds(15))
            } catch {
                Issue.record(error)
                return nil
            }
        } ?? nil
    }

    private static func propose(
        _ operation: CatalogOperation, in world: MetaWorld, through machine: SimulatedNode,
        within span: Duration = .seconds(15)
    ) async throws -> Result<CommandResult, ClusterFault>? {
        try await world.ask(machine) { process in
            do throws(ClusterFault) {
                return .success(
                    try await process.client.propose(
                        operation, in: Self.group, deadline: process.environment.now + span))
            } catch { return .failure(error) }
        }
    }

    private static func query(
        _ query: CatalogQuery, in world: MetaWorld, through machine: SimulatedNode
    ) async throws -> CatalogAnswer? {
        try await world.ask(machine) { process -> CatalogAnswer? in
            do throws(ClusterFault) {
                return try await process.client.query(
                    query, in: Self.group, freshness: .linearizable,
                    deadline: process.environment.now + .seconds(15))
            } catch {
                Issue.record(error)
                return nil
            }
        } ?? nil
    }

    /// What the group says of the chunk; nil where it has no row.
    private static func life(
        of key: ChunkKey, in world: MetaWorld, through machine: SimulatedNode
    ) async throws -> ChunkLife? {
        let answer = try await Self.query(.chunkStates([key]), in: world, through: machine)
        guard case .chunkStates(let states) = answer, case .present(let row) = states.first else {
            return nil
        }
        return row.life
    }

    private static func wait(
        until holds: (ChunkLife?) -> Bool, of key: ChunkKey, in world: MetaWorld,
        through machine: SimulatedNode
    ) async throws {
        for _ in 0..<200 {
            if holds(try await Self.life(of: key, in: world, through: machine)) { return }
            try await world.simulator.loop.sleep(for: .milliseconds(100))
        }
        throw MetaWorld.Tired(what: "the chunk's next stage")
    }

    /// Stores an object of one chunk and overwrites it; the key of the chunk that nobody names.
    private static func makeGarbage(
        in world: MetaWorld, through machine: SimulatedNode
    ) async throws -> ChunkKey {
        try await Self.makeChunk(in: world, through: machine, isOverwritten: true)
    }

    private static func makeChunk(
        in world: MetaWorld, through machine: SimulatedNode, isOverwritten: Bool = false
    ) async throws -> ChunkKey {
        let bucket = try Self.bucket()
        _ = try await Self.submit(
            .createBucket(
                CreateBucket(
                    name: bucket, owner: try #require(OwnerID("root")), wrappedKey: [1])),
            in: world, through: machine)
        let answer = try await Self.query(.bucket(bucket), in: world, through: machine)
        guard case .bucket(let made) = answer else { throw MetaWorld.Tired(what: "the bucket") }
        let reference = ChunkReference(name: Self.chunk, plainLength: 100, sealedLength: 116)
        for manifest in [Manifest.chunks([reference]), .chunks([])].prefix(isOverwritten ? 2 : 1) {
            let put = PutObject(
                bucket: bucket, key: try #require(ObjectKey("a")),
                size: manifest == .chunks([]) ? 0 : 100,
                entityTag: try #require(EntityTag("t")),
                content: ObjectContent(
                    manifest, placedBy: LayoutVersion(1), sealedFor: made.version,
                    oldestSealed: machine.environment.wallClock))
            let result = try await Self.submit(.putObject(put), in: world, through: machine)
            guard case .stored = result else { throw MetaWorld.Tired(what: "the object") }
        }
        return ChunkKey(slot: bucket.slot, name: Self.chunk)
    }

    private static func leader(in world: MetaWorld) async throws -> SimulatedNode {
        for _ in 0..<200 {
            for machine in world.machines {
                let statuses = try await world.ask(machine) { await $0.meta.groupStatuses() }
                if (statuses ?? []).contains(where: {
                    $0.group == Self.group && $0.status.role == .leader
                }) {
                    return machine
                }
            }
            try await world.simulator.loop.sleep(for: .milliseconds(50))
        }
        throw MetaWorld.Tired(what: "a leader")
    }

    // MARK: Stories

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `the leader condemns, waits, authorises, and the homes confirm`(seed: UInt64) throws {
        let world = try MetaWorld(seed: seed, sweep: Self.settings)
        try world.tell {
            let machine = world.machines[0]
            let key = try await Self.makeGarbage(in: world, through: machine)
            let garbage = world.simulator.now
            try await Self.wait(
                until: { if case .condemned = $0 { true } else { false } }, of: key, in: world,
                through: machine)
            #expect(world.simulator.now - garbage >= .seconds(2))
            try await Self.wait(
                until: { if case .authorised = $0 { true } else { false } }, of: key, in: world,
                through: machine)
            #expect(world.simulator.now - garbage >= .milliseconds(3_900))
            for machine in world.machines {
                let node = world.nodes[machine.index]
                let list = ListDeletions(node: node, after: nil, limit: 10, isDiskFull: false)
                let told = try await Self.query(.deletions(list), in: world, through: machine)
                #expect(told == .deletions(DeletionPage(chunks: [key], next: nil)))
                let confirm = ConfirmDeletions(node: node, chunks: [key])
                #expect(
                    try await Self.propose(.confirmDeletions(confirm), in: world, through: machine)
                        == .success(.chunks([.done])))
            }
            try await Self.wait(
                until: { if case .deleted = $0 { true } else { false } }, of: key, in: world,
                through: machine)
        }
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `the next leader goes on where the last one died`(seed: UInt64) throws {
        let world = try MetaWorld(seed: seed, sweep: Self.settings)
        try world.tell {
            let key = try await Self.makeGarbage(in: world, through: world.machines[0])
            let leader = try await Self.leader(in: world)
            let other = try #require(world.machines.first { $0 !== leader })
            try await Self.wait(
                until: { if case .condemned = $0 { true } else { false } }, of: key, in: world,
                through: other)
            leader.crash()
            try await Self.wait(
                until: { if case .authorised = $0 { true } else { false } }, of: key, in: world,
                through: other)
            world.restart(leader)
            try await world.allJoin()
        }
    }

    @Test func `a store without room makes the leader wait less`() throws {
        var settings = Self.settings
        settings.grace = .seconds(3_600)
        settings.graceWhenFull = .seconds(2)
        let world = try MetaWorld(sweep: settings)
        try world.tell {
            let machine = world.machines[0]
            let key = try await Self.makeGarbage(in: world, through: machine)
            try await world.simulator.loop.sleep(for: .seconds(5))
            guard case .unreferenced = try await Self.life(of: key, in: world, through: machine)
            else {
                Issue.record("condemned too early")
                return
            }
            let list = ListDeletions(
                node: world.nodes[0], after: nil, limit: 10, isDiskFull: true)
            _ = try await Self.query(.deletions(list), in: world, through: machine)
            try await Self.wait(
                until: { if case .authorised = $0 { true } else { false } }, of: key, in: world,
                through: machine)
        }
    }

    /// Makes a count wrong, as no call may: through the leader's own mouth.
    private static func miscount(
        _ key: ChunkKey, by delta: Int64, in world: MetaWorld
    ) async throws {
        for _ in 0..<20 {
            let leader = try await Self.leader(in: world)
            let answer = try await world.ask(leader) { process -> ProposeAnswer? in
                let asOf = await process.meta.groupStatuses().first { $0.group == Self.group }?
                    .status.applied
                let correct = CorrectReferences(
                    asOf: asOf ?? .zero,
                    chunks: [.init(key: key, delta: delta, sealedLength: 116)])
                let command = CatalogCommand(operation: .correctReferences(correct))
                return await process.meta.propose(
                    ProposeRequest(group: Self.group, commands: [command.encoded]))
            }
            if case .applied(_, [.chunks([.done])]) = answer ?? nil { return }
        }
        throw MetaWorld.Tired(what: "a wrong count")
    }

    @Test(arguments: [3, -1] as [Int64])
    func `an audit puts a wrong count right, in time to save the chunk`(delta: Int64) throws {
        var settings = Self.settings
        settings.auditPeriod = .seconds(1)
        let world = try MetaWorld(sweep: settings)
        try world.tell {
            let machine = world.machines[0]
            let key = try await Self.makeChunk(in: world, through: machine)
            try await Self.miscount(key, by: delta, in: world)
            try await Self.wait(
                until: { $0 == .referenced(1) }, of: key, in: world, through: machine)
            // Longer than the grace: nothing comes of the wrong count any more.
            try await world.simulator.loop.sleep(for: .seconds(6))
            #expect(
                try await Self.life(of: key, in: world, through: machine) == .referenced(1))
            var corrected: UInt64 = 0
            for machine in world.machines {
                corrected += world.process(machine)?.meta.auditCounters.corrected.value ?? 0
            }
            #expect(corrected == 1)
        }
    }

    @Test func `no node may have deleted what is not its own, and none may say so for another`()
        throws
    {
        let world = try MetaWorld(sweep: Self.settings)
        try world.tell {
            let key = ChunkKey(slot: try Self.bucket().slot, name: Self.chunk)
            let other = world.nodes[1]
            let foreign: [CatalogOperation] = [
                .condemnChunks(CondemnChunks(chunks: [key])),
                .condemnChunks(CondemnChunks(holder: other, chunks: [key])),
                .authoriseDeletions(
                    AuthoriseDeletions(grace: .zero, chunks: [.init(key: key, homes: [other])])),
                .confirmDeletions(ConfirmDeletions(node: other, chunks: [key])),
                .forgetChunks([key]),
                .correctReferences(
                    CorrectReferences(
                        asOf: LogIndex(1), chunks: [.init(key: key, delta: -1, sealedLength: 1)])),
            ]
            for operation in foreign {
                // Through each machine: one of them is the leader's own.
                for machine in world.machines where machine.index != 1 {
                    let answer = try await Self.propose(
                        operation, in: world, through: machine, within: .seconds(1))
                    guard case .failure = answer else {
                        Issue.record("\(operation) was answered with \(String(describing: answer))")
                        continue
                    }
                }
            }
            #expect(try await Self.life(of: key, in: world, through: world.machines[0]) == nil)
        }
    }
}
