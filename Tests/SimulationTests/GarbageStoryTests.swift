import Catalog
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import StoreNode
import Synchronization
import Telemetry
import Testing

/// The death of chunks, from the client's request to the stores' disks, while machines die.
struct GarbageStoryTests {
    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func `what is overwritten or deleted goes from all stores, and what is needed stays`(
        seed: UInt64
    ) throws {
        try Stage.withShortGraces(seed: 50 + seed).tell { stage in
            let (kept, changed, gone) = (try key("kept"), try key("changed"), try key("gone"))
            for (place, name) in [kept, changed, gone].enumerated() {
                try await stage.succeed {
                    await $0.put(name, bytes(600_000, UInt64(place)), through: stage[place])
                }
            }
            try await stage.succeed { await $0.put(changed, bytes(300_000, 9), through: stage[3]) }
            try await stage.succeed { await $0.delete(gone, through: stage[4]) }
            try await stage.expectOnlyLiveChunks(of: [kept, changed, gone])
            try await stage.expect([kept: bytes(600_000, 0), changed: bytes(300_000, 9)])
            #expect(stage.total { $0.meta?.sweepCounters.condemned.value ?? 0 } >= 6)
            #expect(stage.total { $0.janitor?.counters.deleted.value ?? 0 } >= 18)
            try await stage.wait("an audit") {
                $0.total { $0.meta?.auditCounters.audits.value ?? 0 } > 2
            }
            #expect(stage.total { $0.meta?.auditCounters.corrected.value ?? 0 } == 0)
            #expect(stage.total { $0.meta?.auditCounters.lost.value ?? 0 } == 0)
        }
    }

    @Test(arguments: 1...2 as ClosedRange<UInt64>)
    func `the chunks of an upload whose edge died before the commit go`(seed: UInt64) throws {
        try Stage.withShortGraces(seed: 60 + seed).tell { stage in
            let (kept, never) = (try key("kept"), try key("never"))
            try await stage.succeed { await $0.put(kept, bytes(600_000), through: stage[0]) }
            let before = try await stage.inventories()
            let edge = stage[2]
            stage.put(never, pausing: .seconds(3_600), through: edge)
            // Until some of it is at the stores.
            while try await stage.inventories() == before {
                try await stage.simulator.loop.sleep(for: .milliseconds(50))
            }
            edge.crash()
            try await stage.simulator.loop.sleep(for: .seconds(2))
            stage.cluster.restart(edge)
            try await stage.wait("the edge is back") { $0.cluster.running.count == 5 }
            try await stage.expectOnlyLiveChunks(of: [kept, never])
            try await stage.expect([kept: bytes(600_000)])
            #expect(stage.total { $0.janitor?.counters.condemned.value ?? 0 } > 0)
        }
    }

    @Test func `an upload that takes longer than it may is given up`() throws {
        try Stage.withShortGraces(seed: 72, orphanGrace: .seconds(3_600)).tell { stage in
            let answer = stage.put(try key("slow"), pausing: .seconds(31), through: stage[2])
            try await stage.wait("the answer") { _ in answer.value != nil }
            guard case .failure(.unavailable) = answer.value else {
                Issue.record("\(String(describing: answer.value))")
                return
            }
            #expect(try stage.node(2).access.counters.uploadsOverdue.value == 1)
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `whoever dies meanwhile, the stores end with what the objects need`(seed: UInt64) throws {
        try Stage.withShortGraces(seed: 80 + seed).tell { stage in
            var random = SeededGenerator(seed: seed)
            var model: [ObjectKey: [UInt8]] = [:]
            let keys = try (0..<4).map { try key("object-\($0)") }
            let chaos = stage.simulator.loop.spawn {
                var random = SeededGenerator(seed: seed + 1_000)
                await stage.killOneAfterAnother(12, &random)
            }
            for round in 0..<24 as Range<UInt64> {
                let name = try #require(keys.randomElement(using: &random))
                let body = bytes(
                    Int.random(in: 100_000...500_000, using: &random), seed << 8 + round)
                let isDelete = Int.random(in: 0..<4, using: &random) == 0
                if isDelete {
                    try await stage.succeedSomewhere { await $0.delete(name, through: $1) }
                    model[name] = nil
                } else {
                    try await stage.succeedSomewhere { await $0.put(name, body, through: $1) }
                    model[name] = body
                }
                let pause = Duration.milliseconds(Int.random(in: 0...900, using: &random))
                try await stage.simulator.loop.sleep(for: pause)
            }
            await chaos.finished()
            try await stage.wait("all are back") { $0.cluster.running.count == 5 }
            try await stage.expectOnlyLiveChunks(of: keys)
            try await stage.expect(model)
            #expect(stage.total { $0.meta?.auditCounters.lost.value ?? 0 } == 0)
        }
    }
}

extension Stage {
    /// What became of a request that a test does not wait for.
    final class Outcome: Sendable {
        private let state = Mutex<SimulatedClient.Answer<StoredObject>?>(nil)
        var value: SimulatedClient.Answer<StoredObject>? { self.state.withLock { $0 } }
        func set(_ answer: SimulatedClient.Answer<StoredObject>) {
            self.state.withLock { $0 = .some(answer) }
        }
    }

    /// Begins to put an object of two chunks whose sender pauses after the first.
    @discardableResult
    func put(
        _ key: ObjectKey, pausing pause: Duration, through machine: SimulatedNode
    ) -> Outcome {
        let outcome = Outcome()
        var patient = self.client
        patient.requestLimit = .seconds(600)
        let client = patient
        self.simulator.loop.spawn {
            let answer = await client.put(key, through: machine) { loop in
                HaltingSource(bytes(262_144, 3), pause: pause, then: bytes(100_000, 4), on: loop)
            }
            outcome.set(answer)
        }
        return outcome
    }

    /// Kills machines, each as soon as the one before is back.
    fileprivate func killOneAfterAnother(_ count: Int, _ random: inout SeededGenerator) async {
        for _ in 0..<count {
            let machine = self[Int.random(in: 0..<5, using: &random)]
            let life = Duration.milliseconds(Int.random(in: 100...1_500, using: &random))
            let death = Duration.milliseconds(Int.random(in: 100...1_500, using: &random))
            do {
                try await self.simulator.loop.sleep(for: life)
                if Bool.random(using: &random) { machine.crash() } else { machine.powerCut() }
                try await self.simulator.loop.sleep(for: death)
                self.cluster.restart(machine)
                try await self.wait("it is back") { $0.cluster.running.count == 5 }
            } catch { return }
        }
    }

    /// Repeats a request that may be repeated, through one node after the other, until it succeeds.
    fileprivate func succeedSomewhere<Value>(
        _ request: (SimulatedClient, SimulatedNode) async -> SimulatedClient.Answer<Value>
    ) async throws {
        let end = self.simulator.now + .seconds(60)
        var turn = 0
        while true {
            let running = self.cluster.running
            if !running.isEmpty {
                turn += 1
                if case .success = await request(self.client, running[turn % running.count]) {
                    return
                }
            }
            guard self.simulator.now < end else { throw Tired(reason: "nobody did it") }
            try await self.simulator.loop.sleep(for: .milliseconds(50))
        }
    }
}
