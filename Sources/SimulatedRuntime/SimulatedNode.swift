import IORuntime
import Primitives

/// A machine: an address, clocks, a disk, and at most one running process.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedNode: @unchecked Sendable {
    /// Why the machine's process ended itself.
    package struct Termination: Equatable, Sendable {
        package let status: Int32
        package let reason: String
    }

    package let name: String
    package let host: String
    package let disk: SimulatedDisk

    /// Whether the machine has power. It loses it in `powerCut` and gets it back in `restart`.
    package private(set) var hasPower = true

    /// Whether the machine stands still: its process runs no job, and its kernel answers nobody.
    package private(set) var isPaused = false

    /// Every time the machine's process ended itself, oldest first.
    package private(set) var terminations: [Termination] = []

    private(set) var clock: NodeClock
    /// The position in `Simulator.nodes`.
    package let index: Int

    let simulator: Simulator
    private let loopCount: Int
    private var process: SimulatedEnvironment?
    private var generator: SeededGenerator

    /// What a wall clock shows when the world begins: 2026-01-01T00:00:00Z.
    package static let firstWallClock = Timestamp(milliseconds: 1_767_225_600_000)

    init(
        _ simulator: Simulator, name: String, host: String, index: Int, loopCount: Int,
        capacityBytes: UInt64, _ generator: SeededGenerator
    ) {
        invariant(loopCount > 0, "a process needs a loop")
        self.simulator = simulator
        self.name = name
        self.host = host
        self.index = index
        self.loopCount = loopCount
        self.generator = generator
        self.disk = SimulatedDisk(capacityBytes: capacityBytes, self.generator.branch())
        self.clock = NodeClock(
            start: Self.bootReading(&self.generator), wall: Self.firstWallClock)
    }

    /// The process that runs, or the last that did.
    package var environment: SimulatedEnvironment {
        guard let process = self.process else { brokenInvariant("the machine was never started") }
        return process
    }

    package var isRunning: Bool { self.process?.isAlive == true }

    /// Starts a process on the machine's disk, giving the machine power first where it has none.
    /// Whoever still holds a connection to the machine's former process learns of its end at the
    /// next packet.
    @discardableResult
    package func restart() -> SimulatedEnvironment {
        invariant(!self.isRunning, "a machine runs one process at a time")
        self.simulator.note(self.name, "start")
        return self.start()
    }

    /// Frees what the machine holds; see `Simulator.discard`.
    func discard() {
        self.process?.die()
        self.process = nil
        self.disk.discard()
    }

    @discardableResult
    func start() -> SimulatedEnvironment {
        self.simulator.confine()
        if !self.hasPower {
            self.hasPower = true
            self.clock.restart(from: Self.bootReading(&self.generator), at: self.simulator.now)
        }
        self.isPaused = false
        let process = SimulatedEnvironment(
            self.simulator, self, loopCount: self.loopCount, self.generator.branch())
        self.process = process
        self.disk.onCrashPoint = { [unowned self] death in
            switch death {
            case .killed: self.crash()
            case .powerCut: self.powerCut()
            }
        }
        self.disk.onStep = { [unowned self] step in self.takes(step) }
        self.simulator.network.pathsChanged()
        return process
    }

    /// A monotonic clock begins anywhere: readings of two machines must not be compared.
    private static func bootReading(_ generator: inout SeededGenerator) -> Instant {
        Instant(nanoseconds: UInt64(1 + generator.below(1 << 50)))
    }
}

// MARK: - What happens to a machine

extension SimulatedNode {
    /// Kills the process (SIGKILL). Its tasks never run again, the kernel ends its connections, its
    /// locks fall; what it wrote to files stays, synced or not.
    package func crash() {
        guard let process = self.process, process.isAlive else { return }
        self.simulator.note(self.name, "killed")
        process.die()
        self.isPaused = false
        self.simulator.network.processDied(process)
        self.disk.processDied()
    }

    /// Takes the power away. Peers hear nothing, not even an end; of what was not synced, the seed
    /// decides what survives.
    package func powerCut() {
        guard self.hasPower else { return }
        self.simulator.note(self.name, "power cut")
        self.process?.die()
        self.isPaused = false
        self.hasPower = false
        self.simulator.network.lostPower(self)
        self.disk.processDied()
        self.disk.powerCut()
    }

    /// Replaces the disk by an empty one. The process must be dead.
    package func loseDisk() {
        invariant(!self.isRunning, "a disk is lost under a dead process")
        self.simulator.note(self.name, "disk lost")
        self.disk.discard()
    }

    /// Lets the machine die by itself in the middle of its work: right before the disk operation
    /// that follows the next `count`.
    package func die(_ death: SimulatedDeath, afterDiskOperations count: Int) {
        self.disk.crashPoint = (operations: count, death: death)
    }

    /// Stops the machine as a whole (a frozen virtual machine). Its clocks go on.
    package func pause() {
        guard self.isRunning, !self.isPaused else { return }
        self.simulator.note(self.name, "paused")
        self.isPaused = true
    }

    package func resume() {
        guard self.isPaused else { return }
        self.simulator.note(self.name, "resumed")
        self.isPaused = false
        self.process?.resumeHeld()
        self.simulator.network.pathsChanged()
    }

    func terminated(_ environment: SimulatedEnvironment, status: Int32, reason: String) {
        guard environment.isAlive else { return }
        self.simulator.note(self.name, "ended itself with status \(status): \(reason)")
        self.terminations.append(Termination(status: status, reason: reason))
        self.crash()
        if !self.simulator.allowsTermination {
            self.simulator.fail(.terminated(node: self.name, status: status, reason: reason))
        }
    }

    /// Lets the clocks run fast or slow from now on. Timers that are set keep their due times.
    package func setClockDrift(partsPerMillion: Int64) {
        self.simulator.note(self.name, "clock drifts by \(partsPerMillion) ppm")
        self.clock.setDrift(partsPerMillion, at: self.simulator.now)
    }

    /// Sets the wall clock forward or back.
    package func jumpWallClock(by span: Duration) {
        let milliseconds = span.wholeNanoseconds / 1_000_000
        self.simulator.note(self.name, "wall clock jumps by \(milliseconds) ms")
        self.clock.jumpWall(by: span)
    }

    /// Sets the wall clock right, as a time server does in the end.
    package func correctWallClock() {
        self.simulator.note(self.name, "wall clock set right")
        self.clock.correctWall(start: Self.firstWallClock, at: self.simulator.now)
    }

    /// Stops the wall clock, or lets it go on.
    package func setWallClockFrozen(_ isFrozen: Bool) {
        self.simulator.note(self.name, isFrozen ? "wall clock stops" : "wall clock goes on")
        self.clock.setWallFrozen(isFrozen, at: self.simulator.now)
    }
}

/// How a machine's process dies.
package enum SimulatedDeath: Sendable, Equatable {
    case killed
    case powerCut
}
