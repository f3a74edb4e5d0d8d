import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import OrderedStorage
import Primitives
import SimulatedRuntime
import Telemetry
import Testing

/// A replica whose state is not what the log makes of it.
struct DivergenceStoryTests {
    private static let group = GroupID(1)

    private static func name(_ number: Int) throws -> BucketName {
        let names = (0...).lazy.compactMap { BucketName("bucket-\($0)") }
            .filter { $0.slot.rawValue < 8192 }
        return try #require(names.dropFirst(number).first { _ in true })
    }

    private static func create(
        _ number: Int, in world: MetaWorld, through machine: SimulatedNode
    ) async throws -> CommandResult? {
        let create = CreateBucket(
            name: try Self.name(number), owner: try #require(OwnerID("root")), wrappedKey: [1])
        return try await world.ask(machine) { process -> CommandResult? in
            do throws(ClusterFault) {
                return try await process.client.submit(
                    .createBucket(create), deadline: process.environment.now + .seconds(15))
            } catch {
                Issue.record(error)
                return nil
            }
        } ?? nil
    }

    private static func leads(_ machine: SimulatedNode, in world: MetaWorld) async throws -> Bool {
        let statuses = try await world.ask(machine) { await $0.meta.groupStatuses() } ?? []
        return statuses.contains { $0.group == Self.group && $0.status.role == .leader }
    }

    /// Takes a row out of one replica's state, so that the next entry that reads it comes to
    /// something else there.
    private static func tamper(_ machine: SimulatedNode, in world: MetaWorld) async throws {
        let name = Array(try Self.name(1).text.utf8)
        let removed = try await world.ask(machine) { process -> Int? in
            guard let state = process.meta.states[Self.group] else { return nil }
            return await process.environment.blocking(.metadata) {
                do {
                    var batch = WriteBatch()
                    let cursor = state.store.scan(CatalogFamilies.rows, .all)
                    while let pair = try cursor.next() {
                        guard pair.key.containsRun(name) else { continue }
                        batch.delete(CatalogFamilies.rows, pair.key)
                    }
                    try state.store.write(batch, .unlogged)
                    return batch.changes.count
                } catch { return nil }
            }
        }
        #expect(try #require(removed ?? nil) > 0)
    }

    @Test(arguments: [true, false])
    func `a replica whose state differs is found within a heartbeat and answers nobody`(
        leads: Bool
    ) throws {
        let world = try MetaWorld(seed: 31, nodes: 5)
        try world.tell {
            #expect(
                try await Self.create(1, in: world, through: world.machines[0]) == .bucketCreated)
            var leader: SimulatedNode?
            for machine in world.machines where try await Self.leads(machine, in: world) {
                leader = machine
            }
            let leading = try #require(leader)
            let wrong = try leads ? leading : #require(world.machines.first { $0 !== leading })
            try await Self.tamper(wrong, in: world)
            // Refused everywhere as taken, but for where the row is gone.
            _ = try await Self.create(1, in: world, through: world.machines[0])
            let meta = try #require(world.process(wrong)?.meta)
            try await world.wait("it is fenced", for: .milliseconds(400)) {
                meta.counters.fences.value == 1
            }
            for machine in world.machines where machine !== wrong {
                let other = try #require(world.process(machine)?.meta)
                try await world.wait("it is seen", for: .milliseconds(400)) {
                    other.counters.divergences.value == 1
                }
                #expect(other.counters.fences.value == 0)
            }
            try await world.wait("it has heard everybody", for: .milliseconds(400)) {
                meta.counters.divergences.value == 4
            }
            // It leads no more, and whoever asks it goes on to another.
            try await world.waitAsync("another leads") {
                try await !Self.leads(wrong, in: world)
            }
            #expect(try await Self.create(2, in: world, through: wrong) == .bucketCreated)
            let name = try Self.name(1)
            let answer = try await world.ask(wrong) { process -> CatalogAnswer? in
                do throws(ClusterFault) {
                    return try await process.client.query(
                        .bucket(name), freshness: .local,
                        deadline: process.environment.now + .seconds(15))
                } catch { return nil }
            }
            guard case .bucket = answer ?? nil else {
                Issue.record("the wrong replica answered, or nobody: \(answer as Any)")
                return
            }
            // Its state comes anew, and then it is a replica as any other.
            try await world.waitAsync("it agrees with everybody") {
                let standings = try await world.ask(wrong) { await $0.meta.auditStandings() } ?? []
                let own = try #require(standings.first { $0.group == Self.group })
                return !own.isFenced && own.differing == []
            }
            #expect(world.process(wrong)?.meta.counters.snapshots.installed.value == 1)
        }
    }

    @Test func `replicas at rest are compared too, and a start forgets nothing`() throws {
        let world = try MetaWorld(seed: 32, nodes: 3)
        try world.tell {
            for number in 1...3 {
                _ = try await Self.create(number, in: world, through: world.machines[0])
            }
            world.machines[1].crash()
            world.restart(world.machines[1])
            try await world.allJoin()
            try await world.simulator.loop.sleep(for: .seconds(2))
            for machine in world.machines {
                let standings = try await world.ask(machine) { await $0.meta.auditStandings() }
                for standing in standings ?? [] {
                    #expect(!standing.isFenced)
                    #expect(standing.differing == [])
                }
                #expect(world.process(machine)?.meta.counters.divergences.value == 0)
            }
        }
    }
}

extension [UInt8] {
    fileprivate func containsRun(_ run: [UInt8]) -> Bool {
        self.indices.contains { self[$0...].starts(with: run) }
    }
}
