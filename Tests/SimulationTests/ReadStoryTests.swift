import Catalog
import ChunkStore
import IORuntime
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import Simulation
import Telemetry
import Testing

/// Reads through production nodes of which some hold bad copies, or answer late, or are read by
/// those who take their time.
struct ReadStoryTests {
    @Test(arguments: 21...24 as ClosedRange<UInt64>)
    func `with one rotten store and one slow one every read is right, and soon there`(
        seed: UInt64
    ) throws {
        try Stage(seed: seed).tell { stage in
            let objects = try (1...12).map { (try key("object \($0)"), bytes(500_000, $0)) }
            for (key, body) in objects {
                try await stage.succeed { await $0.put(key, body, through: stage[0]) }
            }
            // Whoever reads learns how fast the stores usually are.
            for _ in 0..<4 { _ = try await Self.read(objects, stage) }
            let usual = try await Self.read(objects, stage)

            // The own store, which is asked first, and the one that is asked most of the others.
            Self.rot(stage[0])
            // Not the leader of the bucket's group: bad copies are filed meanwhile, and reads wait for
            // what it applies, which is another story.
            let leader = try await stage.leader()
            let slow = try #require(
                stage.others(than: stage[0]).filter { $0 !== leader }.max {
                    Self.reads(of: $0, stage) < Self.reads(of: $1, stage)
                })
            slow.disk.conditions.slowdown = 300
            // Its metadata is in memory.
            slow.disk.conditions.uncachedLookupProbability = 0
            var spans: [Duration] = []
            for _ in 0..<4 { spans += try await Self.read(objects, stage) }

            let worst = try #require(spans.max())
            let worstUsual = try #require(usual.max())
            #expect(
                worst < worstUsual + .milliseconds(250), "usually \(worstUsual), now \(worst)")
            let counters = try stage.node(0).access.counters
            #expect(counters.hedgedReads.value > 0)
            #expect(counters.framesRotten.value > 0)
            #expect(counters.copiesNeedingRepair.value > 0)
            try await stage.wait("the bad copies are filed") { stage in
                (try? stage.node(0).access.counters.badCopiesFiled.value) ?? 0 > 0
            }
            #expect(counters.badCopiesNotFiled.value == 0)
        }
    }

    /// Reads every object and says how long each took.
    private static func read(
        _ objects: [(ObjectKey, [UInt8])], _ stage: Stage
    ) async throws -> [Duration] {
        var spans: [Duration] = []
        for (key, body) in objects {
            let began = stage.simulator.now
            let found = try await stage.succeed { await $0.get(key, through: stage[0]) }
            spans.append(stage.simulator.now - began)
            let isSame = found.body == body
            #expect(isSame)
        }
        return spans
    }

    private static func reads(of machine: SimulatedNode, _ stage: Stage) -> UInt64 {
        stage.cluster.node(on: machine)?.store?.counters.framesRead.value ?? 0
    }

    /// Changes a bit in every frame that a machine's store holds.
    private static func rot(_ machine: SimulatedNode) {
        for path in machine.disk.filePaths where path.hasSuffix(".segment") {
            var offset: UInt64 = 20_000
            while machine.disk.flipBits(0x10, in: path, at: offset) { offset += 40_000 }
        }
    }

    @Test func `a thousand readers that stall hold no more than the budget, and one goes on`()
        throws
    {
        var settings = SimulatedClusterSettings()
        settings.access.chunkBytes = 1 << 20
        settings.access.cacheBytes = 16 << 20
        settings.access.readBudgetBytes = 96 << 20
        try Stage(seed: 25, settings).tell { stage in
            let key = try key("film")
            let body = bytes(2 << 20)
            try await stage.succeed { await $0.put(key, body, through: stage[0]) }
            let access = try stage.node(0).access
            let bucket = stage.client.bucket
            let loop = stage[0].environment.simulatedLoops[0]
            let most = await stage.cluster.ask(stage[0], patience: .seconds(120)) {
                () -> Result<Int, AccessFault> in
                do throws(AccessFault) {
                    var stalled: [ObjectReader] = []
                    for _ in 0..<1000 {
                        let reader = try await access.read(
                            key, in: bucket, on: loop, deadline: loop.now + .seconds(20))
                        _ = try await reader.next()
                        stalled.append(reader)
                    }
                    let most = access.readBudget.heldBytes
                    let reader = try await access.read(
                        key, in: bucket, on: loop, deadline: loop.now + .seconds(20))
                    var found: [UInt8] = []
                    while let part = try await reader.next() { found += part }
                    let isSame = found == body
                    #expect(isSame)
                    #expect(stalled.count == 1000)
                    return .success(most)
                } catch { return .failure(error) }
            }
            #expect(try #require(most).get() <= 96 << 20)
            #expect(access.readBudget.heldBytes == 0)
            #expect(access.counters.partsPressed.value > 900)
        }
    }
}
