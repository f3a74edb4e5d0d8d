import Catalog
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime

/// What happens in a run, in order, as the seed drew it.
struct SimulationStory: Sendable {
    let workload: Workload
    let plan: FaultPlan
    private let cluster: SimulatedCluster
    private let settings: SimulationSettings
    private let rates: FaultRates
    /// When all machines lose power together; nil where they never do.
    private let powerCut: Duration?
    /// The machine whose disk fails a sync, and when: its node is lost for good, because nobody
    /// knows any more what it holds. Nil where no disk does.
    private let failingDisk: (machine: Int, time: Duration)?
    /// The machine on whose disk bits flip where chunks rest. No more than one: until bad copies are
    /// repaired, a second could take the last good one.
    private let rottingDisk: Int?
    /// Whether the bucket moves from group to group meanwhile.
    private let movesSlots: Bool
    private let generator: SeededGenerator

    /// The time between two bits that flip.
    private static let rotInterval: Duration = .seconds(2)

    private var simulator: Simulator { self.cluster.simulator }

    init(_ cluster: SimulatedCluster, _ settings: SimulationSettings, seed: UInt64) {
        self.cluster = cluster
        self.settings = settings
        guard let bucket = BucketName("simulated") else { brokenInvariant("a bucket has a name") }
        self.workload = Workload(
            SimulatedClient(cluster, bucket: bucket), keyCount: settings.keyCount)
        var generator = SeededGenerator(seed: StableHash.mix(seed))
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
                generator.below(settings.nodeCount),
                generator.duration(in: .zero...(settings.span / 2))
            ) : nil
        self.plan = FaultPlan(
            rates, nodeCount: settings.nodeCount, span: settings.span,
            maximumDown: survivable - (hasFailingDisk ? 1 : 0), &generator)
        self.powerCut =
            generator.chance(0.5) ? generator.duration(in: .zero...settings.span) : nil
        // With fewer nodes a write is acknowledged at fewer copies than three.
        let canRot = settings.nodeCount >= 5 && generator.chance(0.5)
        self.rottingDisk = canRot ? generator.below(settings.nodeCount) : nil
        self.movesSlots = generator.chance(0.5)
        self.generator = generator
    }

    func tell() async {
        do {
            guard await self.allJoin() else {
                return self.workload.violate("the cluster did not begin")
            }
            guard await self.workload.client.makeBucket(within: self.settings.recoveryLimit) else {
                return self.workload.violate("the bucket could not be made")
            }
            var generator = self.generator
            await self.workload.fill(SeededGenerator(seed: generator.next()))
            try await self.workUnderFaults(&generator)
            guard await self.allJoin() else {
                return self.workload.violate("the cluster is not whole again: \(self.missing)")
            }
            guard await self.cluster.slotsRest(within: self.settings.recoveryLimit) else {
                return self.workload.violate("a move of slots does not end")
            }
            try await self.readBack()
            try await self.auditStores()
        } catch {
            self.workload.violate("the story was broken off: \(error)")
        }
    }

    private func workUnderFaults(_ generator: inout SeededGenerator) async throws {
        let director = FaultDirector(self.simulator, self.cluster.machines) {
            self.cluster.start($0)
        }
        director.prepare(self.rates)
        let loop = self.simulator.loop
        let end = self.simulator.now + self.settings.span
        var tasks: [SpawnedTask] = []
        for _ in 0..<self.settings.clientCount {
            let seed = SeededGenerator(seed: generator.next())
            tasks.append(loop.spawn { await self.workload.run(until: end, seed) })
        }
        if let powerCut = self.powerCut {
            tasks.append(
                loop.spawn {
                    do {
                        try await loop.sleep(for: powerCut)
                        try await self.cutAllPower()
                    } catch { return }
                })
        }
        if let failingDisk {
            self.simulator.allowsTermination = true
            tasks.append(
                loop.spawn {
                    do { try await loop.sleep(for: failingDisk.time) } catch { return }
                    self.cluster.machines[failingDisk.machine].disk.failingSync = 0
                })
        }
        if let rottingDisk {
            let seed = SeededGenerator(seed: generator.next())
            tasks.append(
                loop.spawn {
                    await self.rot(self.cluster.machines[rottingDisk].disk, until: end, seed)
                })
        }
        if self.movesSlots {
            let (cluster, bucket) = (self.cluster, self.workload.client.bucket)
            let seed = SeededGenerator(seed: generator.next())
            tasks.append(loop.spawn { await cluster.moveSlot(of: bucket, until: end, seed) })
        }
        self.simulator.allowsTermination = self.simulator.allowsTermination || self.mayFill
        try await director.carryOut(self.plan)
        for task in tasks { await task.finished() }
        self.simulator.network.conditions = .local
        for machine in self.cluster.machines { machine.correctWallClock() }
        self.checkTerminations()
    }

    /// Flips bits in segments now and then.
    private func rot(_ disk: SimulatedDisk, until end: Instant, _ seed: SeededGenerator) async {
        var generator = seed
        let loop = self.simulator.loop
        while loop.now < end {
            let pause = generator.duration(in: .zero...(Self.rotInterval + Self.rotInterval))
            do { try await loop.sleep(for: pause) } catch { return }
            let segments = disk.filePaths.filter { $0.hasSuffix(".segment") }
            guard let path = generator.pick(segments), let offset = disk.flipRandomBit(in: path)
            else { continue }
            self.simulator.note("faults", "a bit flips at \(offset) of \(path)")
        }
    }

    /// Whether a disk may be full at some time.
    private var mayFill: Bool { self.plan.events.contains { $0.fault.fillsDisk(of: nil) } }

    /// Only a node whose disk failed or was full may have ended itself, saying so.
    private func checkTerminations() {
        for machine in self.cluster.machines {
            for termination in machine.terminations where !self.mayEnd(machine, termination) {
                self.workload.violate(
                    "\(machine.name) ended itself with \(termination.status): "
                        + termination.reason)
            }
        }
    }

    private func mayEnd(
        _ machine: SimulatedNode, _ termination: SimulatedNode.Termination
    ) -> Bool {
        switch termination.status {
        case MetaSettings.logFailureStatus: machine.index == self.failingDisk?.machine
        case MetaSettings.diskFullStatus:
            self.plan.events.contains { $0.fault.fillsDisk(of: machine.index) }
        default: false
        }
    }

    /// The machines that every promise holds for at the end.
    private var sound: [SimulatedNode] {
        self.cluster.machines.filter { machine in
            !machine.terminations.contains { $0.status == MetaSettings.logFailureStatus }
        }
    }

    /// Every machine loses power at one instant, and all come back.
    func cutAllPower() async throws {
        for machine in self.cluster.machines { machine.powerCut() }
        try await self.simulator.loop.sleep(for: .milliseconds(500))
        for machine in self.cluster.machines where !machine.isRunning {
            self.cluster.restart(machine)
        }
    }

    /// Whether every node takes part within the limit.
    private func allJoin() async -> Bool {
        await self.cluster.join(self.sound, within: self.settings.recoveryLimit)
    }

    private var missing: [String] {
        let sound = self.sound.map(\.index)
        return self.cluster.missing.filter { sound.contains($0.index) }.map { machine in
            let fault = self.cluster.startFault(on: machine)
            return machine.name + (fault.map { " (\($0))" } ?? "")
        }
    }

    /// Holds what sound stores have against what objects name.
    private func auditStores() async throws {
        let audit = StoreAudit(cluster: self.cluster, bucket: self.workload.client.bucket)
        // A bit that flips may take a record from the index of its store.
        let stores = self.sound.filter { $0.index != self.rottingDisk }
        let findings = try await audit.settle(stores, within: self.settings.recoveryLimit)
        for finding in findings.broken { self.workload.violate(finding) }
        // What was stored or deleted by a clock that was ahead is young until that time has come.
        guard !self.plan.events.contains(where: \.fault.setsClock) else { return }
        for finding in findings.leftover { self.workload.violate(finding) }
    }

    /// Reads every object through every node; what cannot be read now is lost.
    private func readBack() async throws {
        let attempts = 5
        for key in self.workload.keys {
            for machine in self.sound {
                var failure: String?
                for _ in 0..<attempts {
                    failure = await self.workload.get(key, through: machine)
                    if failure == nil {
                        failure = await self.workload.getAtDoor(key, of: machine)
                    }
                    if failure == nil { break }
                    try await self.simulator.loop.sleep(for: .seconds(1))
                }
                if let failure {
                    self.workload.violate("\(key) through \(machine.name): \(failure)")
                }
            }
        }
        for machine in self.sound { await self.workload.checkListing(through: machine) }
    }
}
