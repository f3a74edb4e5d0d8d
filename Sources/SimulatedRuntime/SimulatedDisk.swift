import IORuntime
import Primitives

/// The disk of a machine. It outlives processes; a power cut takes from it what was not synced.
///
/// `@unchecked Sendable`: confined to the simulator's thread, see `Simulator`.
package final class SimulatedDisk: @unchecked Sendable {
    package var conditions = DiskConditions()

    /// What the disk holds at most; may change at any time.
    package var capacityBytes: UInt64

    /// The death that happens right before the disk operation after the next `operations`.
    package var crashPoint: (operations: Int, death: SimulatedDeath)?

    /// Lets the sync after the next `count` fail, whatever the conditions say.
    package var failingSync: Int?

    /// Operations so far, for choosing a crash point.
    package private(set) var operationCount = 0

    var onCrashPoint: (SimulatedDeath) -> Void = { _ in }
    /// Told of each step before it is taken; false when the machine has died before it.
    var onStep: (MachineStep) -> Bool = { _ in true }
    var tree = DiskTree()
    var generator: SeededGenerator

    /// Counts the deaths of processes: a file that an older process opened is of no use.
    private(set) var processGeneration = 0

    private var meteredCost: Duration?

    init(capacityBytes: UInt64, _ generator: SeededGenerator) {
        self.capacityBytes = capacityBytes
        self.generator = generator
    }

    package var usedBytes: UInt64 { self.tree.usedBytes }
    package var freeBytes: UInt64 {
        self.capacityBytes > self.usedBytes ? self.capacityBytes - self.usedBytes : 0
    }

    func discard() { self.tree.discard() }
}

// MARK: - Deaths

extension SimulatedDisk {
    /// Locks and unflushed memory end with the process; what it wrote to files stays.
    func processDied() {
        self.processGeneration += 1
        self.crashPoint = nil
        self.tree.processDied(&self.generator)
    }

    func powerCut() { self.tree.powerCut(&self.generator) }
}

// MARK: - Operations

extension SimulatedDisk {
    enum Operation {
        /// A look at what the disk holds, or a wish about it.
        case metadata
        case nameChange
        case extentChange
        case read(sizeBytes: Int)
        case write(sizeBytes: Int)
        /// A write that a store will take whole or not at all.
        case batch(sizeBytes: Int)
        case sync(sizeBytes: Int)

        fileprivate var step: MachineStep? {
            switch self {
            case .metadata, .read, .write: nil
            case .nameChange: .name
            case .extentChange: .extent
            case .batch: .batch
            case .sync: .sync
            }
        }
    }

    /// Begins one operation of the process that lives in `generation`: counts it, lets an armed
    /// crash point strike, adds its cost to the work it is part of. False when the process is dead,
    /// and nothing must happen.
    func begin(_ operation: Operation, by generation: Int) -> Bool {
        guard generation == self.processGeneration else { return false }
        self.operationCount += 1
        if let point = self.crashPoint {
            if point.operations > 0 {
                self.crashPoint?.operations -= 1
            } else {
                self.crashPoint = nil
                self.onCrashPoint(point.death)
                return false
            }
        }
        if let step = operation.step, !self.onStep(step) { return false }
        if let cost = self.meteredCost { self.meteredCost = cost + self.time(of: operation) }
        return true
    }

    /// Whether the sync that was just begun fails.
    func drawSyncFailure() -> Bool {
        if let left = self.failingSync {
            self.failingSync = left > 0 ? left - 1 : nil
            if left == 0 { return true }
        }
        return self.generator.chance(self.conditions.syncFailureProbability)
    }

    private func time(of operation: Operation) -> Duration {
        let fixed: Duration
        let count: Int
        switch operation {
        case .metadata, .nameChange, .extentChange:
            (fixed, count) = (self.draw(self.conditions.accessTime), 0)
        case .read(let size), .write(let size), .batch(let size):
            (fixed, count) = (self.draw(self.conditions.accessTime), size)
        case .sync(let size): (fixed, count) = (self.draw(self.conditions.syncTime), size)
        }
        let rate = Int64(max(self.conditions.bytesPerSecond, 1))
        let transfer = Duration.nanoseconds(Int64(count) * 1_000_000_000 / rate)
        return (fixed + transfer) * self.conditions.slowdown
    }

    private func draw(_ range: ClosedRange<Duration>) -> Duration {
        self.generator.duration(in: range)
    }

    func queueingDelay(_ lane: BlockingLane) -> Duration {
        let delay = self.draw(self.conditions.queueingDelay)
        switch lane {
        case .disk, .metadata, .log: return delay * self.conditions.slowdown
        case .compute: return delay
        }
    }

    func beginMetering() { self.meteredCost = .zero }

    func endMetering() -> Duration { self.meteredCost.take() ?? .zero }
}

// MARK: - Damage at rest

extension SimulatedDisk {
    /// The paths of all files, sorted.
    package var filePaths: [String] { self.tree.filePaths() }

    /// Changes bits of one byte where it rests. False when the file has no such byte.
    @discardableResult
    package func flipBits(_ mask: UInt8, in path: String, at offset: UInt64) -> Bool {
        guard let file = self.tree.file(path), offset < file.content.sizeBytes else {
            return false
        }
        file.content.flip(mask, at: offset)
        return true
    }

    /// Changes bits of one byte in the system's cache, until that is given up. False when the file
    /// has no such byte.
    @discardableResult
    package func flipCachedBits(_ mask: UInt8, in path: String, at offset: UInt64) -> Bool {
        guard let file = self.tree.file(path), offset < file.content.sizeBytes else {
            return false
        }
        file.content.flipInCache(mask, at: offset)
        return true
    }

    /// Changes one bit somewhere in the file and says where; nil when there is nothing to change.
    @discardableResult
    package func flipRandomBit(in path: String) -> UInt64? {
        guard let file = self.tree.file(path), file.content.sizeBytes > 0 else { return nil }
        let offset = UInt64(self.generator.below(Int(file.content.sizeBytes)))
        file.content.flip(1 << UInt8(self.generator.below(8)), at: offset)
        return offset
    }
}
