import Primitives

/// What a machine does that its own disk, or another machine, may still show after its death.
package enum MachineStep: Int, Sendable, CaseIterable {
    /// A file, a directory or a store is synced.
    case sync
    /// A name of the disk is made, changed or removed.
    case name
    /// A file takes room or gives it back: a hole, a truncation, a preallocation.
    case extent
    /// A batch enters a store: entries of a log, or commands that are applied.
    case batch
    case messageSent
    case messageArrived
}

/// Counts the steps of some machines, and lets machines die right before one of them.
///
/// Two deaths between which no step lies leave the same world behind. Whoever runs a story once for
/// each step has therefore tried every moment at which a death can make a difference. Plain writes
/// to files are no steps: a death before one is a death behind the step in front of it.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class StepWatch: @unchecked Sendable {
    /// The death that a watch brings about.
    package struct Death: Sendable, Equatable {
        /// The step that does not happen any more, counted from 1.
        package let step: Int
        package let kind: SimulatedDeath

        package init(beforeStep step: Int, _ kind: SimulatedDeath) {
            invariant(step > 0, "steps are counted from 1")
            self.step = step
            self.kind = kind
        }
    }

    /// Steps that came since the watch began.
    package private(set) var count = 0
    /// The same by machine, in the order in which they are watched.
    package private(set) var countsOfMachines: [Int]
    /// The same by kind, in the order of `MachineStep.allCases`.
    package private(set) var countsOfKinds = [Int](repeating: 0, count: MachineStep.allCases.count)

    /// What the machine was about to do when death came; nil while it has not.
    package private(set) var interrupted: (step: MachineStep, machine: String)?

    private let machines: [SimulatedNode]
    private let death: Death?
    private var isOver = false

    init(_ machines: [SimulatedNode], _ death: Death?) {
        self.machines = machines
        self.death = death
        self.countsOfMachines = [Int](repeating: 0, count: machines.count)
    }

    /// Counts no more, and brings death to nobody.
    package func end() { self.isOver = true }

    /// Called when `machine` is about to take a step. Where that is the chosen one, all watched
    /// machines die first.
    func comes(_ step: MachineStep, of machine: SimulatedNode) {
        guard !self.isOver, let position = self.machines.firstIndex(where: { $0 === machine })
        else { return }
        self.count += 1
        self.countsOfMachines[position] += 1
        self.countsOfKinds[step.rawValue] += 1
        guard let death, self.count == death.step else { return }
        self.isOver = true
        self.interrupted = (step, machine.name)
        for machine in self.machines {
            switch death.kind {
            case .killed: machine.crash()
            case .powerCut: machine.powerCut()
            }
        }
    }
}

extension SimulatedNode {
    /// Says that the machine's process is about to do something that others can tell. False when it
    /// has died before it could.
    func takes(_ step: MachineStep) -> Bool {
        guard let watch = self.simulator.stepWatch else { return self.isRunning }
        if self.isRunning { watch.comes(step, of: self) }
        return self.isRunning
    }
}
