import Primitives
import SimulatedRuntime

/// What a seed draws before its run begins: how the world is made, and all that will strike it. A
/// value, so that what seeds draw can be counted without running them.
package struct SimulationPlan: Sendable {
    /// One more than the settings ask for where voters change, so that somebody can take a place.
    package let machineCount: Int
    package let rates: FaultRates
    package let faults: FaultPlan
    /// When all machines lose power together; nil where they never do.
    package let powerCut: Duration?
    /// The machine whose disk fails a sync, and when: its node is lost for good, because nobody
    /// knows any more what it holds. Nil where no disk does.
    package let failingDisk: (machine: Int, time: Duration)?
    /// The machine on whose disk bits flip where chunks rest. No more than one: until bad copies are
    /// repaired, a second could take the last good one.
    package let rottingDisk: Int?
    /// Whether the bucket moves from group to group meanwhile.
    package let movesSlots: Bool
    /// Whether nodes are drained and taken back meanwhile, so that others come to vote.
    package let changesVoters: Bool
    /// For what is drawn while the run goes on.
    let generator: SeededGenerator

    package init(_ settings: SimulationSettings, seed: UInt64) {
        var generator = SeededGenerator(seed: StableHash.mix(seed))
        // First, because the number of machines decides who is struck.
        self.movesSlots = generator.chance(0.5)
        self.changesVoters = settings.nodeCount > 1 && generator.chance(0.5)
        self.machineCount = settings.nodeCount + (self.changesVoters ? 1 : 0)
        var rates = FaultRates.swarm(&generator)
        // Not in the plan: it takes its node out for good, where other faults end.
        rates[.failedSync] = nil
        self.rates = rates
        // What a quorum of the voters and the copies of every chunk survive.
        let survivable = (settings.nodeCount - 1) / 2
        let hasFailingDisk = survivable > 0 && generator.chance(0.25)
        self.failingDisk =
            hasFailingDisk
            ? (
                generator.below(self.machineCount),
                generator.duration(in: .zero...(settings.span / 2))
            ) : nil
        self.faults = FaultPlan(
            rates, nodeCount: self.machineCount, span: settings.span,
            maximumDown: survivable - (hasFailingDisk ? 1 : 0), &generator)
        self.powerCut =
            generator.chance(0.5) ? generator.duration(in: .zero...settings.span) : nil
        // With fewer nodes a write is acknowledged at fewer copies than three.
        let canRot = settings.nodeCount >= 5 && generator.chance(0.5)
        self.rottingDisk = canRot ? generator.below(self.machineCount) : nil
        self.generator = generator
    }
}
