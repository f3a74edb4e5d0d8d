import Catalog
import ClusterClient
import HTTPSyntax
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// P8, clocks: one node an hour ahead, one an hour behind, and a leader whose clock jumps.
struct ClockStoryTests {
    @Test func `edges with wrong clocks refuse what is signed, and nothing else suffers`() throws {
        try Stage(seed: 21).tell { stage in
            let leader = try await stage.leader()
            let others = stage.others(than: leader)
            let (ahead, behind, right) = (others[0], others[1], others[3])
            try await stage.wait("everybody knows the time") { stage in
                (0..<5).allSatisfy { place in
                    stage.cluster.node(on: stage[place])?.cluster.clock.knownClocks == 5
                }
            }
            ahead.jumpWallClock(by: .seconds(3_600))
            behind.jumpWallClock(by: .seconds(-3_600))
            leader.jumpWallClock(by: .seconds(7 * 3_600))

            // Signed requests are refused where the time is wrong, and answered elsewhere.
            let signed = try key("signed")
            for machine in [ahead, behind, leader] {
                let refused = await stage.client.putAtDoor(signed, bytes(3000), of: machine)
                guard case .failure = refused else {
                    Issue.record("\(machine.name) took a signed request")
                    continue
                }
            }
            try await stage.succeed { await $0.putAtDoor(signed, bytes(3000), of: right) }

            // Chunks sealed by wrong clocks are taken: their times are brought to the median.
            var objects: [ObjectKey: [UInt8]] = [signed: bytes(3000)]
            for (number, machine) in stage.cluster.machines.enumerated() {
                let large = try key("large-\(number)")
                objects[large] = bytes(600_000, UInt64(number))
                try await stage.succeed {
                    await $0.put(large, bytes(600_000, UInt64(number)), through: machine)
                }
            }
            try await stage.expect(objects)

            // The leadership has left, and no session was lost over it.
            let end = stage.simulator.now + .seconds(30)
            while try await stage.cluster.leader(of: stage.group()) === leader {
                try #require(stage.simulator.now < end, "the leader stays")
                try await stage.simulator.loop.sleep(for: .milliseconds(100))
            }
            let meta = try #require(stage.cluster.node(on: leader)?.meta)
            #expect(meta.counters.clockHandovers.value > 0)
            for machine in stage.cluster.machines {
                let node = try #require(stage.cluster.node(on: machine))
                #expect(node.cluster.counters.outcomesUnknown.value == 0)
            }

            // Time servers set the clocks right: everything is as before, without a restart.
            for machine in [ahead, behind, leader] { machine.correctWallClock() }
            for machine in stage.cluster.machines {
                let found = try await stage.succeed { await $0.getAtDoor(signed, of: machine) }
                #expect(found == bytes(3000))
            }
        }
    }
}

extension ClockStoryTests {
    /// Node 6 has no meta role: it asks the voters for the time, where the others hear it.
    @Test func `an edge that does not know the time opens no links and makes none`() throws {
        var settings = SimulatedClusterSettings()
        settings.nodeCount = 6
        try Stage(seed: 22, settings).tell { stage in
            let (voter, edge, right) = (stage[1], stage[5], stage[2])
            try #require(try stage.node(5).meta == nil)
            try await stage.wait("everybody knows the time") { stage in
                stage.cluster.machines.allSatisfy { machine in
                    stage.cluster.node(on: machine)?.cluster.clock.isFitForEdges == true
                }
            }
            let shown = try key("shown")
            let body = bytes(3_000)
            try await stage.succeed { await $0.put(shown, body, through: right) }
            let link = try await stage.succeed { await $0.makeLink(to: shown, at: edge) }
            for machine in stage.cluster.machines {
                let answer = try #require(await stage.client.follow(link, at: machine))
                #expect(answer.status == .ok && answer.body == body, "\(machine.name)")
            }

            // By their own clocks the link would go on opening for an hour, or be over.
            for span in [Duration.seconds(-3_600), .seconds(3_600), .seconds(6)] {
                for machine in [voter, edge] {
                    machine.jumpWallClock(by: span)
                    let answer = try #require(await stage.client.follow(link, at: machine))
                    #expect(answer.status.rawValue == 503, "\(machine.name), \(span) off")
                    let made = await stage.client.makeLink(to: shown, at: machine)
                    guard case .failure(let fault) = made else {
                        Issue.record("\(machine.name) made a link, \(span) off")
                        continue
                    }
                    #expect(fault.meaning == .notDone)
                    machine.correctWallClock()
                }
                let answer = try #require(await stage.client.follow(link, at: right))
                #expect(answer.status == .ok && answer.body == body)
            }

            // Four seconds are within what links and signatures allow for.
            for machine in [voter, edge] {
                machine.jumpWallClock(by: .seconds(4))
                let answer = try #require(await stage.client.follow(link, at: machine))
                #expect(answer.status == .ok && answer.body == body, "\(machine.name)")
            }
        }
    }
}

extension Stage {
    /// The group that owns the bucket.
    fileprivate func group() throws -> GroupID {
        try #require(try self.node(0).cluster.group(owning: self.client.bucket.slot))
    }
}
