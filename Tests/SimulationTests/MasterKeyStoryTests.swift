import Catalog
import Cryptography
import IORuntime
import MetaNode
import Node
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// The rotation of the master key on five production nodes, with crashes between its steps.
struct MasterKeyStoryTests {
    private func newKey(_ byte: UInt8) throws -> MasterKey {
        MasterKey(try #require(SymmetricKey(bytes: [UInt8](repeating: byte, count: 32))))
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a new master key comes into force and the old one goes, whatever crashes between`(
        seed: UInt64
    ) throws {
        let new = try self.newKey(UInt8(seed))
        try Stage(seed: seed).tell(within: .seconds(600)) { stage in
            let small = try key("small")
            try await stage.succeed { await $0.put(small, bytes(3000), through: stage[0]) }
            let old = try #require(try await stage.report(0).system.wrapping)
            let first = try #require(stage.ring(0))
            let both = try #require(first.adding(new))

            // Four of five hold it, a leader dies over it, all power goes: nothing changes yet.
            for index in 0..<4 { try await stage.write(both, to: index) }
            let leader = try await stage.leader()
            leader.crash()
            try await stage.simulator.loop.sleep(for: .seconds(12))
            stage.cluster.restart(leader)
            try await stage.allJoin()
            for machine in stage.cluster.machines { machine.powerCut() }
            for machine in stage.cluster.machines { stage.cluster.restart(machine) }
            try await stage.allJoin()
            try await stage.simulator.loop.sleep(for: .seconds(12))
            #expect(try await stage.report(0).system.wrapping == old)

            // The fifth holds it: group 0 chooses, and the others follow, over another crash.
            try await stage.write(both, to: 4)
            try await stage.until("the new key is in force") { $0.system.wrapping == new.id }
            let next = try await stage.leader()
            next.crash()
            try await stage.simulator.loop.sleep(for: .seconds(1))
            stage.cluster.restart(next)
            try await stage.allJoin()
            try await stage.until("the old key is retired") { $0.system.retired == [old] }
            let report = try await stage.report(1)
            #expect(report.waiting.allSatisfy { $0.secrets == 0 })
            #expect(report.system.former == [])

            // Without the old key, and over a restart, all opens: signatures, buckets, objects.
            let alone = try #require(both.dropping(old))
            for index in 0..<5 { try await stage.write(alone, to: index) }
            try await stage.untilHeld([new.id])
            for machine in stage.cluster.machines { machine.crash() }
            for machine in stage.cluster.machines { stage.cluster.restart(machine) }
            try await stage.allJoin()
            try await stage.untilHeld([new.id])
            try await stage.expect([small: bytes(3000)])
            let late = try key("late")
            try await stage.succeed { await $0.putAtDoor(late, bytes(100), of: stage[3]) }
            let found = try await stage.succeed { await $0.getAtDoor(late, of: stage[2]) }
            #expect(found == bytes(100))
        }
    }

    @Test func `every secret is wrapped anew, once`() throws {
        let new = try self.newKey(8)
        try Stage(seed: 6).tell { stage in
            let old = try #require(stage.ring(0)?.newest.id)
            let both = try #require(stage.ring(0)?.adding(new))
            for index in 0..<5 { try await stage.write(both, to: index) }
            try await stage.until("the old key is retired") { $0.system.retired == [old] }
            // The bucket's key, the access key's secret, the link key's private half.
            let counts = (0..<5).compactMap { stage.meta($0)?.counters.secretsRewrapped.value }
            #expect(counts.reduce(0, +) == 3)
        }
    }

    @Test func `a key that is still needed is kept though its file has lost it`() throws {
        let new = try self.newKey(9)
        try Stage(seed: 5).tell { stage in
            let old = try #require(stage.ring(0)?.newest.id)
            try await stage.write(MasterKeyRing(new), to: 0)
            try await stage.wait("the file is looked at") {
                $0.ring(0)?.ids == [old, new.id]
            }
        }
    }
}

extension Stage {
    fileprivate func meta(_ index: Int) -> MetaNode? { self.cluster.node(on: self[index])?.meta }

    /// What a node was given when the cluster was made, or holds now.
    fileprivate func ring(_ index: Int) -> MasterKeyRing? { self.meta(index)?.masterKeys }

    fileprivate func report(_ index: Int) async throws -> MasterKeyReport {
        try await #require(self.meta(index)).masterKeyReport()
    }

    fileprivate func write(_ ring: MasterKeyRing, to index: Int) async throws {
        let environment = self[index].environment
        let files = environment.files
        try await environment.blocking(.disk) {
            try files.replace("/identity/master.keys", with: Array(ring.text.utf8))
        }
    }

    fileprivate func allJoin() async throws {
        try await self.wait("all nodes join again") { $0.cluster.running.count == 5 }
    }

    /// Waits until every node's report says something.
    fileprivate func until(
        _ what: String, _ holds: (MasterKeyReport) -> Bool
    ) async throws {
        let end = self.simulator.now + .seconds(90)
        while true {
            var count = 0
            for index in 0..<5 {
                if let meta = self.meta(index), holds(await meta.masterKeyReport()) { count += 1 }
            }
            if count == 5 { return }
            guard self.simulator.now < end else { throw Tired(reason: what) }
            try await self.simulator.loop.sleep(for: .milliseconds(200))
        }
    }

    fileprivate func untilHeld(_ ids: [MasterKeyID]) async throws {
        try await self.wait("all nodes hold just these keys") { stage in
            (0..<5).allSatisfy { stage.ring($0)?.ids == ids }
        }
    }
}
