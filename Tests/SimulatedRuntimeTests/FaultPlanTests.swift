import Primitives
import SimulatedRuntime
import Testing

struct FaultPlanTests {
    private static func plan(seed: UInt64, maximumDown: Int = 2) -> FaultPlan {
        var generator = SeededGenerator(seed: seed)
        let rates = FaultRates.swarm(&generator)
        return FaultPlan(
            rates, nodeCount: 5, span: .seconds(300), maximumDown: maximumDown, &generator)
    }

    @Test func `one seed draws one plan and others draw others`() {
        #expect(Self.plan(seed: 1) == Self.plan(seed: 1))
        #expect(Self.plan(seed: 1) != Self.plan(seed: 2))
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `never are more machines down than allowed`(seed: UInt64) {
        let events = Self.plan(seed: seed).events
        for event in events {
            let down = events.filter { other in
                other.start <= event.start && event.start <= other.end
            }.compactMap { other -> Int? in
                switch other.fault {
                case .crash(let node), .powerCut(let node), .pause(let node),
                    .failedSync(let node), .dieDuringWork(let node, _, _),
                    .fullDisk(let node, _):
                    node
                case .partition, .clog, .resetConnections, .slowDisk, .wallClockJump,
                    .clockDrift:
                    nil
                }
            }
            #expect(Set(down).count <= 2)
        }
    }

    @Test func `swarms leave each kind of fault out now and then`() {
        var generator = SeededGenerator(seed: 3)
        let worlds = (0..<40).map { _ in FaultRates.swarm(&generator) }
        for kind in FaultKind.allCases {
            let count = worlds.count { $0[kind] != nil }
            #expect((8...32).contains(count), "\(kind) strikes in \(count) worlds of 40")
        }
    }

    @Test func `a plan is carried out and everything mended`() {
        let world = World(nodes: 3)
        let plan = FaultPlan([
            .init(start: .seconds(1), length: .seconds(3), fault: .crash(0)),
            .init(start: .seconds(2), length: .seconds(1), fault: .powerCut(1)),
            .init(
                start: .seconds(2), length: .seconds(4),
                fault: .partition([0], from: [1, 2], .bothWays)),
            .init(start: .seconds(5), length: .seconds(9), fault: .slowDisk(2, factor: 10)),
        ])
        let started = Notes()
        let director = FaultDirector(world.simulator, world.nodes) { started.add($0.name) }
        world.simulator.spawn("faults") { try? await director.carryOut(plan) }
        #expect(world.simulator.run().ending == .finished)
        #expect(started.lines == ["b", "a"])
        #expect(world.nodes.allSatisfy { $0.isRunning })
        #expect(world[2].disk.conditions.slowdown == 1)
        #expect(
            world.simulator.trace.lines == [
                "1.000000 a: killed",
                "2.000000 b: power cut",
                "2.000000 network: cut a <-/-> b,c",
                "3.000000 b: start",
                "4.000000 a: start",
                "6.000000 network: healed in part",
                "14.000000 network: healed",
                "14.000000 faults: all mended",
            ])
    }
}
