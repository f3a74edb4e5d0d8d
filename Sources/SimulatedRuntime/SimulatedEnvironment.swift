import IORuntime
import Primitives

/// One process on a simulated machine, from its start to its death. A restart makes a new one over
/// the same disk.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedEnvironment: Environment, @unchecked Sendable {
    package let node: SimulatedNode
    package private(set) var isAlive = true

    private unowned let simulator: Simulator
    /// The loops under their own type, for `Simulator.spawn`.
    package private(set) var simulatedLoops: [SimulatedLoop] = []
    package private(set) var loops: [any EventLoop] = []

    let fileSystem: SimulatedFileSystem
    private var random: SeededGenerator
    /// What was to happen while the machine stands still, in order.
    private var held: [() -> Void] = []

    init(_ simulator: Simulator, _ node: SimulatedNode, loopCount: Int, _ random: SeededGenerator) {
        self.simulator = simulator
        self.node = node
        self.random = random
        self.fileSystem = SimulatedFileSystem(simulator, node)
        self.simulatedLoops = (0..<loopCount).map { _ in simulator.makeLoop(for: self) }
        self.loops = self.simulatedLoops
    }

    package var now: Instant {
        self.simulator.confine()
        return self.node.clock.reading(at: self.simulator.now)
    }

    package var wallClock: Timestamp {
        self.simulator.confine()
        return self.node.clock.wall(at: self.simulator.now)
    }

    package func randomBytes(_ count: Int) -> [UInt8] {
        self.simulator.confine()
        return self.random.bytes(count)
    }

    package func blocking<Value: Sendable>(
        _ lane: BlockingLane, _ work: @escaping @Sendable () -> Value
    ) async -> Value {
        self.simulator.confine()
        let wait = self.node.disk.queueingDelay(lane)
        return await withUnsafeContinuation { continuation in
            self.simulator.schedule(after: wait, for: self) {
                self.whenRunning { self.carryOut(work, continuation) }
            }
        }
    }

    /// Runs blocking work, and lets its result be known when the disk has had the time that the
    /// calls in it cost. A death between the two keeps the effects and loses the answer.
    private func carryOut<Value: Sendable>(
        _ work: () -> Value, _ continuation: UnsafeContinuation<Value, Never>
    ) {
        let disk = self.node.disk
        disk.beginMetering()
        let value = work()
        let cost = disk.endMetering()
        guard self.isAlive else { return }
        self.simulator.schedule(after: cost, for: self) {
            self.whenRunning { continuation.resume(returning: value) }
        }
    }

    package var files: any FileSystem { self.fileSystem }

    package func connect(
        to address: SocketAddress, on loop: any EventLoop, deadline: Instant
    ) async throws(StreamFault) -> any ByteStream {
        self.simulator.confine()
        let attempt = ConnectAttempt(
            self.simulator.network, from: self, to: address, on: self.own(loop),
            deadline: self.time(ofReading: deadline))
        let result: Result<StreamEnd, StreamFault> =
            await withUnsafeContinuation { attempt.begin($0) }
        return SimulatedStream(try result.get())
    }

    package func listen(
        on address: SocketAddress, loop: any EventLoop
    ) throws(StreamFault) -> any Listener {
        self.simulator.confine()
        return SimulatedListener(
            try self.simulator.network.listen(on: address, for: self, loop: self.own(loop)))
    }

    package func log(_ line: String) {
        self.simulator.confine()
        guard self.isAlive else { return }
        self.simulator.note(self.node.name, line)
    }

    /// Kills this process, and ends the run as a failure unless it allows terminations. The caller
    /// stays suspended for ever, as every other task of the process.
    package func terminate(status: Int32, reason: String) async -> Never {
        self.simulator.confine()
        self.node.terminated(self, status: status, reason: reason)
        while true {
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
        }
    }

    private func own(_ loop: any EventLoop) -> SimulatedLoop {
        guard let loop = loop as? SimulatedLoop, loop.environment === self else {
            brokenInvariant("a stream was asked for on a loop of another process")
        }
        return loop
    }
}

extension SimulatedEnvironment {
    /// The simulated time at which this machine's monotonic clock reads `local`.
    func time(ofReading local: Instant) -> Instant {
        self.node.clock.time(ofReading: local, now: self.simulator.now)
    }

    /// Acts now, or when the machine goes on; never when the process dies before.
    func whenRunning(_ action: @escaping () -> Void) {
        guard self.isAlive else { return }
        if self.node.isPaused { self.hold(action) } else { action() }
    }

    func hold(_ action: @escaping () -> Void) { self.held.append(action) }

    func resumeHeld() {
        let actions = self.held
        self.held = []
        for action in actions { action() }
    }

    /// No job of this process runs again.
    func die() {
        self.isAlive = false
        self.held = []
        for loop in self.simulatedLoops { loop.isDead = true }
        self.simulator.loopsDied()
    }

}
