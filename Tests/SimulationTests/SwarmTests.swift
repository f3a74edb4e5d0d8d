import Primitives
import SimulatedRuntime
import Simulation
import Testing

/// What seeds draw, and that it happens.
struct SwarmTests {
    private static func plans(_ seeds: ClosedRange<UInt64>) -> [SimulationPlan] {
        seeds.map { SimulationPlan(SimulationSettings(), seed: $0) }
    }

    @Test func `among fifty seeds everything is drawn, and everything is left out`() {
        let plans = Self.plans(1...50)
        // A failed sync takes its node out for good, and is drawn by itself.
        for kind in FaultKind.allCases where kind != .failedSync {
            #expect(plans.contains { $0.rates[kind] != nil }, "\(kind)")
            #expect(plans.contains { $0.rates[kind] == nil }, "\(kind)")
        }
        for (moves, changes) in [(false, false), (false, true), (true, false), (true, true)] {
            #expect(
                plans.contains { $0.movesSlots == moves && $0.changesVoters == changes },
                "slots move: \(moves), voters change: \(changes)")
        }
        #expect(
            plans.contains { $0.failingDisk != nil } && plans.contains { $0.failingDisk == nil })
        #expect(
            plans.contains { $0.rottingDisk != nil } && plans.contains { $0.rottingDisk == nil })
        #expect(plans.contains { $0.powerCut != nil } && plans.contains { $0.powerCut == nil })
        #expect(plans.allSatisfy { $0.machineCount == ($0.changesVoters ? 6 : 5) })
    }

    @Test func `a single node keeps its vote`() {
        var settings = SimulationSettings()
        settings.nodeCount = 1
        for seed in 1...20 as ClosedRange<UInt64> {
            let plan = SimulationPlan(settings, seed: seed)
            #expect(!plan.changesVoters && plan.machineCount == 1)
        }
    }

    struct Kind: Sendable {
        let movesSlots: Bool
        let changesVoters: Bool
    }

    /// The runs of `holdfast-simulate --seed` with the first seed of each kind from 100 on; all but
    /// one only where they take a second.
    #if DEBUG
    private static let kinds = [Kind(movesSlots: true, changesVoters: true)]
    #else
    private static let kinds = [
        Kind(movesSlots: true, changesVoters: false), Kind(movesSlots: false, changesVoters: true),
        Kind(movesSlots: true, changesVoters: true),
    ]
    #endif

    @Test(arguments: Self.kinds)
    func `what moves does move under faults, and every promise is kept`(kind: Kind) throws {
        let settings = SimulationSettings()
        let seed = try #require(
            (100...200 as ClosedRange<UInt64>).first { seed in
                let plan = SimulationPlan(settings, seed: seed)
                return plan.movesSlots == kind.movesSlots
                    && plan.changesVoters == kind.changesVoters
            })
        let report = try SimulationRun(seed: seed, settings).run()
        #expect(report.violations == [], "seed \(seed)")
        #expect(report.groupTableVersion > 1, "seed \(seed)")
    }
}
