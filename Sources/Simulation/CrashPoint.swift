import SimulatedRuntime

/// Where in a story who dies how.
package struct CrashPoint: Sendable, Equatable {
    /// Who dies, and how.
    package enum Scene: Sendable, Equatable {
        case killed(machine: Int)
        case powerCut(machine: Int)
        /// The power of all machines goes at one instant.
        case allPowerCut
    }

    package let scene: Scene
    /// The step of the machine (or of all) that does not happen any more, counted from 1.
    package let step: Int

    package init(_ scene: Scene, step: Int) {
        self.scene = scene
        self.step = step
    }

    func victims(in cluster: SimulatedCluster) -> [SimulatedNode] {
        switch self.scene {
        case .killed(let machine), .powerCut(let machine): [cluster.machines[machine]]
        case .allPowerCut: cluster.machines
        }
    }

    var death: StepWatch.Death {
        switch self.scene {
        case .killed: StepWatch.Death(beforeStep: self.step, .killed)
        case .powerCut, .allPowerCut: StepWatch.Death(beforeStep: self.step, .powerCut)
        }
    }
}

extension CrashPoint.Scene {
    /// Every scene of a cluster of so many machines.
    package static func all(nodeCount: Int) -> [Self] {
        (0..<nodeCount).flatMap { [.killed(machine: $0), .powerCut(machine: $0)] }
            + [.allPowerCut]
    }

    /// As the command line and the reports have it: `n1-killed`, `n1-power-cut`, `all-power-cut`.
    package var name: String {
        switch self {
        case .killed(let machine): "n\(machine + 1)-killed"
        case .powerCut(let machine): "n\(machine + 1)-power-cut"
        case .allPowerCut: "all-power-cut"
        }
    }

    package init?(name: String, nodeCount: Int) {
        guard let scene = Self.all(nodeCount: nodeCount).first(where: { $0.name == name }) else {
            return nil
        }
        self = scene
    }
}
