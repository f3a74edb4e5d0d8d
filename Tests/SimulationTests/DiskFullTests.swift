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

/// P8: a full disk is a clear error, nothing is lost, and deletes still work.
struct DiskFullTests {
    private static func isFull<Value>(_ answer: SimulatedClient.Answer<Value>) -> Bool {
        guard case .failure(.diskFull) = answer else { return false }
        return true
    }

    @Test func `disks fill, writes are refused, deletes make room, writes go on`() throws {
        var settings = SimulatedClusterSettings()
        settings.diskBytes = 5 << 20
        try Stage(seed: 11, settings).tell { stage in
            let (stored, bodies) = try await Self.fill(stage)
            #expect(stored.count > 20)
            let released = try (0..<5).count {
                try #require(stage.node($0).meta).counters.ballastsReleased.value > 0
            }
            #expect(released >= 3, "a majority without room is enough to refuse")

            // Reads, listings and the door's answer while nothing can be written.
            for key in [stored[0], stored[stored.count - 1]] {
                let found = try await stage.succeed { await $0.get(key, through: stage[2]) }
                #expect(found.body == bodies[key])
            }
            _ = try await stage.succeed { await $0.list(through: stage[3]) }
            let refused = await stage.client.putAtDoor(
                try key("late"), bytes(3000), of: stage[4])
            #expect(Self.isFull(refused), "\(refused as Any)")

            // Deletes go on, and what they free is found without anybody's help.
            let deleted = stored.prefix(stored.count * 3 / 4)
            for (number, key) in deleted.enumerated() {
                try await stage.succeed {
                    await $0.delete(key, through: stage[number % 5])
                }
            }
            let later = try key("later")
            try await stage.succeed { await $0.put(later, bytes(3000, 99), through: stage[1]) }
            for machine in stage.cluster.machines {
                let meta = try #require(stage.cluster.node(on: machine)?.meta)
                try await stage.wait("\(machine.name) has its ballast again") { _ in
                    meta.counters.diskSpace.value == Int64(DiskSpace.ample.rawValue)
                }
            }

            var expected = bodies
            for key in deleted { expected[key] = nil }
            expected[later] = bytes(3000, 99)
            try await stage.expect(expected)
            for machine in stage.cluster.machines { #expect(machine.terminations == []) }
        }
    }

    /// Puts small objects, which rest in metadata, until nothing more is taken for a second.
    private static func fill(
        _ stage: Stage
    ) async throws -> (stored: [ObjectKey], bodies: [ObjectKey: [UInt8]]) {
        var stored: [ObjectKey] = []
        var bodies: [ObjectKey: [UInt8]] = [:]
        var refusedInARow = 0
        for number in 0..<5_000 where refusedInARow < 20 {
            let key = try key("object-\(number)")
            let body = bytes(4000, UInt64(number))
            switch await stage.client.put(key, body, through: stage[number % 5]) {
            case .success:
                stored.append(key)
                bodies[key] = body
                refusedInARow = 0
            case .failure(.diskFull):
                refusedInARow += 1
                try await stage.simulator.loop.sleep(for: .milliseconds(50))
            case let other: Issue.record("a put gave \(other as Any)")
            }
        }
        #expect(refusedInARow == 20, "the disks never filled")
        return (stored, bodies)
    }

    @Test func `one full disk is passed by, and its node leads nothing`() throws {
        try Stage(seed: 12).tell { stage in
            let leader = try await stage.leader()
            // Below the mark of 512 KiB; with what the ballast gives, above the floor of 128 KiB.
            leader.disk.capacityBytes = leader.disk.usedBytes + 300 << 10
            for number in 0..<100 {
                let key = try key("object-\(number)")
                let edge = stage[number % 5]
                try await stage.succeed { await $0.put(key, bytes(4000), through: edge) }
            }
            let meta = try #require(stage.cluster.node(on: leader)?.meta)
            #expect(meta.counters.diskSpace.value == Int64(DiskSpace.exhausted.rawValue))
            let after = try await stage.leader()
            #expect(after !== leader)
            #expect(leader.terminations == [])
            // It takes entries again, and answers as everybody, once there is room.
            leader.disk.capacityBytes = 64 << 30
            let last = try key("object-99")
            try await stage.wait("the node catches up") { _ in
                stage.cluster.running.count == 5
            }
            let found = try await stage.succeed { await $0.get(last, through: leader) }
            #expect(found.body == bytes(4000))
        }
    }

    @Test func `chunks that too few stores have room for are refused as such`() throws {
        try Stage(seed: 13).tell { stage in
            let first = try key("first")
            try await stage.succeed { await $0.put(first, bytes(600_000), through: stage[0]) }
            // Room for metadata, and none for another segment of chunks.
            for machine in stage.cluster.machines.prefix(3) {
                machine.disk.capacityBytes = machine.disk.usedBytes + 900 << 10
            }
            let large = try key("large")
            let refused = await stage.client.put(large, bytes(600_000), through: stage[4])
            #expect(Self.isFull(refused), "\(refused as Any)")
            #expect(try stage.node(4).access.counters.refusedFull.value > 0)
            let small = try key("small")
            try await stage.succeed { await $0.put(small, bytes(3000), through: stage[4]) }
            let found = try await stage.succeed { await $0.get(first, through: stage[2]) }
            #expect(found.body == bytes(600_000))
            for machine in stage.cluster.machines { machine.disk.capacityBytes = 64 << 30 }
            try await stage.succeed { await $0.put(large, bytes(600_000), through: stage[4]) }
        }
    }
}
