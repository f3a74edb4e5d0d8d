import IORuntime
import Primitives

/// Carries a plan of faults out on a world, and mends everything behind it.
///
/// `Sendable` as the simulator is: it is used on its loop alone.
package struct FaultDirector: Sendable {
    private let simulator: Simulator
    private let nodes: [SimulatedNode]
    private let started: @Sendable (SimulatedNode) -> Void
    /// What the disks hold when nothing is wrong with them.
    private let capacities: [UInt64]

    /// - Parameter started: called when a machine has a new process, to start what runs in it.
    package init(
        _ simulator: Simulator, _ nodes: [SimulatedNode],
        started: @escaping @Sendable (SimulatedNode) -> Void
    ) {
        self.simulator = simulator
        self.nodes = nodes
        self.started = started
        self.capacities = nodes.map(\.disk.capacityBytes)
    }

    /// How the world fares between the faults.
    package func prepare(_ rates: FaultRates) {
        self.simulator.network.conditions = rates.link
        for node in self.nodes { node.disk.conditions = rates.disk }
    }

    /// Lets each fault strike and end at its time, then mends what is left. To be run on
    /// `Simulator.loop`.
    package func carryOut(_ plan: FaultPlan) async throws {
        let begin = self.simulator.now
        for step in Self.steps(of: plan) {
            let due = begin + step.time
            if due > self.simulator.now {
                try await self.simulator.loop.sleep(for: due - self.simulator.now)
            }
            if step.isStart { self.strike(step.event) } else { self.mend(step.event.fault) }
        }
        self.mendAll()
    }

    private struct Step {
        let time: Duration
        let isStart: Bool
        let event: FaultPlan.Event
    }

    private static func steps(of plan: FaultPlan) -> [Step] {
        let steps = plan.events.flatMap { event in
            [
                Step(time: event.start, isStart: true, event: event),
                Step(time: event.end, isStart: false, event: event),
            ]
        }
        return steps.enumerated()
            .sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
            .map(\.element)
    }

    private func strike(_ event: FaultPlan.Event) {
        let network = self.simulator.network
        switch event.fault {
        case .crash(let node): self.nodes[node].crash()
        case .powerCut(let node): self.nodes[node].powerCut()
        case .dieDuringWork(let node, let death, let count):
            self.nodes[node].die(death, afterDiskOperations: count)
        case .pause(let node): self.nodes[node].pause()
        case .partition(let first, let second, let direction):
            network.partition(self.machines(first), from: self.machines(second), direction)
        case .clog(let from, let to):
            network.clog(from: self.nodes[from], to: self.nodes[to], for: event.length)
        case .resetConnections(let a, let b):
            network.resetConnections(between: self.nodes[a], and: self.nodes[b])
        case .slowDisk(let node, let factor):
            self.nodes[node].disk.conditions.slowdown = factor
        case .fullDisk(let node, let leftBytes):
            let disk = self.nodes[node].disk
            disk.capacityBytes = disk.usedBytes + leftBytes
            self.simulator.note(self.nodes[node].name, "\(leftBytes) bytes of disk are left")
        case .failedSync(let node): self.nodes[node].disk.failingSync = 0
        case .wallClockJump(let node, let span): self.nodes[node].jumpWallClock(by: span)
        case .clockDrift(let node, let drift):
            self.nodes[node].setClockDrift(partsPerMillion: drift)
        }
    }

    private func mend(_ fault: Fault) {
        switch fault {
        case .crash(let node), .powerCut(let node), .failedSync(let node), .pause(let node),
            .dieDuringWork(let node, _, _):
            self.revive(self.nodes[node])
        case .partition(let first, let second, _):
            self.simulator.network.heal(self.machines(first), self.machines(second))
        case .slowDisk(let node, _): self.nodes[node].disk.conditions.slowdown = 1
        case .fullDisk(let node, _):
            self.makeRoom(node)
            self.revive(self.nodes[node])
        case .clockDrift(let node, _): self.nodes[node].setClockDrift(partsPerMillion: 0)
        case .clog, .resetConnections, .wallClockJump: break
        }
    }

    /// Disarms what still waits for a machine, and lets it run again.
    private func revive(_ node: SimulatedNode) {
        node.disk.crashPoint = nil
        node.disk.failingSync = nil
        node.resume()
        if !node.isRunning {
            node.restart()
            self.started(node)
        }
    }

    private func makeRoom(_ node: Int) {
        self.nodes[node].disk.capacityBytes = self.capacities[node]
    }

    private func mendAll() {
        self.simulator.network.heal()
        for (position, node) in self.nodes.enumerated() {
            self.makeRoom(position)
            node.disk.conditions.slowdown = 1
            self.revive(node)
        }
        self.simulator.note("faults", "all mended")
    }

    private func machines(_ positions: [Int]) -> [SimulatedNode] {
        positions.map { self.nodes[$0] }
    }
}
