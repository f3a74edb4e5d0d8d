import Catalog
import IORuntime
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Testing

struct StoryTests {
    @Test func `what was acknowledged outlives a leader and a power cut of all nodes`() throws {
        try Stage().tell { stage in
            var objects: [ObjectKey: [UInt8]] = [:]
            objects[try key("small")] = bytes(3000)
            objects[try key("empty")] = []
            // Three chunks, the last one short.
            objects[try key("large")] = bytes(700_000)
            for (number, object) in objects.sorted(by: { $0.key < $1.key }).enumerated() {
                try await stage.succeed {
                    await $0.put(object.key, object.value, through: stage[number])
                }
            }
            try await stage.expect(objects)

            let leader = try await stage.leader()
            leader.crash()
            let late = try key("late")
            let edge = stage.others(than: leader)[0]
            let killed = stage.simulator.now
            try await stage.succeed { await $0.put(late, bytes(500, 2), through: edge) }
            // P4, in virtual time: the first write behind the death of a leader.
            #expect(stage.simulator.now - killed < .seconds(1))
            objects[late] = bytes(500, 2)

            for machine in stage.cluster.machines { machine.powerCut() }
            try await stage.simulator.loop.sleep(for: .seconds(1))
            for machine in stage.cluster.machines { stage.cluster.restart(machine) }
            try await stage.wait("all nodes join again") { $0.cluster.running.count == 5 }
            try await stage.expect(objects)
        }
    }

    @Test func `any two nodes of five may be lost behind an acknowledgement`() throws {
        try Stage(seed: 2).tell { stage in
            let large = try key("large")
            try await stage.succeed { await $0.put(large, bytes(600_000), through: stage[2]) }
            stage[2].crash()
            stage[3].powerCut()
            for index in [0, 1, 4] {
                let found = try await stage.succeed { await $0.get(large, through: stage[index]) }
                #expect(found.body == bytes(600_000))
            }
            let more = try key("more")
            try await stage.succeed { await $0.put(more, bytes(300_000, 3), through: stage[4]) }
            let found = try await stage.succeed { await $0.get(more, through: stage[0]) }
            #expect(found.body == bytes(300_000, 3))
        }
    }

    @Test func `a range has just its bytes, whatever chunks and frames it touches`() throws {
        try Stage(seed: 3).tell { stage in
            let large = try key("large")
            let body = bytes(700_000)
            try await stage.succeed { await $0.put(large, body, through: stage[0]) }
            for range in [0..<1, 65_535..<65_537, 262_143..<262_145, 100_000..<650_000] {
                let wanted = UInt64(range.lowerBound)..<UInt64(range.upperBound)
                let found = try await stage.succeed {
                    await $0.get(large, range: wanted, through: stage[1])
                }
                #expect(found.body == Array(body[range]))
            }
        }
    }

    @Test func `a signed request to any edge sees what another edge confirmed`() throws {
        try Stage(seed: 4).tell { stage in
            let large = try key("folder/large file")
            try await stage.succeed { await $0.putAtDoor(large, bytes(400_000), of: stage[0]) }
            for machine in stage.cluster.machines {
                let found = try await stage.succeed { await $0.getAtDoor(large, of: machine) }
                #expect(found == bytes(400_000))
            }
            let absent = try key("absent")
            let found = try await stage.succeed { await $0.getAtDoor(absent, of: stage[3]) }
            #expect(found == nil)
        }
    }
}
