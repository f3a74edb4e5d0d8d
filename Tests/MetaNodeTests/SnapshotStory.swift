import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing

/// Three nodes; the third is away while buckets are made and the others' logs end. It comes back,
/// and somebody may die over what follows. Whatever was acknowledged must be there in the end, on
/// every node, and the group must go on.
struct SnapshotStory {
    enum Victim: Sendable { case receiver, sender }

    struct Death: Sendable {
        let victim: Victim
        let kind: SimulatedDeath
        /// Operations of the victim's disk since the third node came back.
        let operations: Int

        init(of victim: Victim, _ kind: SimulatedDeath, afterOperations operations: Int) {
            self.victim = victim
            self.kind = kind
            self.operations = operations
        }
    }

    /// What came of it.
    struct Ending: Sendable {
        var operations = 0
        var time: Duration = .zero
        var deaths = 0
        var installed = 0
        var piecesReceived: UInt64 = 0
        var bytesReceived: UInt64 = 0
        var bytesResumed: UInt64 = 0
        var directories: [String] = []
        var problems: [String] = []
    }

    private static let group = GroupID(1)
    private static let awayCount = 60
    private static let laterCount = 4

    private let world: MetaWorld
    private let death: Death?
    private let counting: Victim
    /// The receiver dies once when so many pieces have come.
    private let diesAfterPieces: UInt64?

    init(
        seed: UInt64, _ death: Death?, counting: Victim = .receiver,
        bytesPerSecond: Int = 64 << 20, diesAfterPieces: UInt64? = nil
    ) throws {
        self.diesAfterPieces = diesAfterPieces
        self.death = death
        self.counting = death?.victim ?? counting
        self.world = try MetaWorld(
            seed: seed, preferredLeaders: [Self.group: NodeID(1), .system: NodeID(2)]
        ) { log in
            log.entriesKeptForSlow = 10
            log.bytesKeptForSlow = 64 << 10
            log.snapshots.pieceBytes = 4 << 10
            log.snapshots.bytesPerSecond = bytesPerSecond
            log.snapshots.lease = .seconds(5)
            log.snapshots.pause = .milliseconds(200)
        }
    }

    func tell() throws -> Ending {
        let ending = Teller()
        try self.world.tell { try await self.story(ending) }
        return ending.value.withLock { $0 }
    }

    private final class Teller: Sendable {
        let value = Mutex(Ending())
    }

    // MARK: The story

    private var receiver: SimulatedNode { self.world.machines[2] }
    private var sender: SimulatedNode { self.world.machines[0] }

    private func story(_ teller: Teller) async throws {
        let names = Self.names(Self.awayCount + Self.laterCount)
        try await self.waitForLeader()
        self.receiver.crash()
        for name in names[..<Self.awayCount] {
            try #require(await self.create(name, through: self.sender))
        }
        self.world.restart(self.receiver)
        let victim = self.counting == .receiver ? self.receiver : self.sender
        let (operations, time) = (victim.disk.operationCount, self.world.simulator.now)
        if let death { victim.disk.crashPoint = (death.operations, death.kind) }
        try await self.waitUntilCaughtUp(victim, teller)
        let (endOperations, end) = (victim.disk.operationCount, self.world.simulator.now)
        victim.disk.crashPoint = nil
        // The group goes on, and everything that was acknowledged is there.
        try await self.world.allJoin()
        for name in names[Self.awayCount...] {
            try #require(await self.create(name, through: self.receiver))
        }
        var missing: [String] = []
        for name in names where try await !self.has(name, through: self.receiver) {
            missing.append("\(name) is gone")
        }
        // Former states and copies held ready go by themselves.
        try await self.world.simulator.loop.sleep(for: .seconds(8))
        let directories = try await self.directories()
        if directories.contains(where: { $0.hasPrefix("outgoing") || $0.hasPrefix("incoming") }) {
            missing.append("left over: \(directories)")
        }
        teller.value.withLock { [missing] ending in
            ending.operations = endOperations - operations
            ending.time = end - time
            ending.directories = directories.filter { $0.hasPrefix("state/") }
                .map { String($0.dropFirst(6)) }
            ending.problems += missing
        }
    }

    /// Whoever dies is started again; ends when the third node has applied what the others have.
    private func waitUntilCaughtUp(_ victim: SimulatedNode, _ teller: Teller) async throws {
        let limit = self.world.simulator.now + .seconds(120)
        var installed: UInt64 = 0
        while true {
            guard self.world.simulator.now < limit else { throw MetaWorld.Tired(what: "the third") }
            try await self.world.simulator.loop.sleep(for: .milliseconds(5))
            if !victim.isRunning {
                teller.value.withLock { $0.deaths += 1 }
                if victim === self.receiver { installed = 0 }
                try await self.world.simulator.loop.sleep(for: .milliseconds(200))
                self.world.restart(victim)
                continue
            }
            let isOver = try await self.hasCaughtUp()
            guard let counters = self.world.process(self.receiver)?.meta.counters.snapshots else {
                continue
            }
            let now = counters.installed.value
            teller.value.withLock { [installed] ending in
                ending.installed += Int(now - min(now, installed))
                ending.piecesReceived = counters.piecesReceived.value
                ending.bytesReceived = counters.bytesReceived.value
                ending.bytesResumed = max(ending.bytesResumed, counters.bytesResumed.value)
            }
            installed = now
            if let pieces = self.diesAfterPieces, counters.piecesReceived.value >= pieces,
                teller.value.withLock({ $0.deaths }) == 0
            {
                self.receiver.crash()
            }
            if isOver { return }
        }
    }

    private func hasCaughtUp() async throws -> Bool {
        var applied: [LogIndex] = []
        for machine in self.world.machines {
            guard let status = try await self.status(of: machine) else { return false }
            applied.append(status.applied)
        }
        return Set(applied).count == 1
    }

    private func waitForLeader() async throws {
        for _ in 0..<200 {
            if let status = try await self.status(of: self.sender), status.role == .leader {
                return
            }
            try await self.world.simulator.loop.sleep(for: .milliseconds(50))
        }
        throw MetaWorld.Tired(what: "the first node leads")
    }

    private func status(of machine: SimulatedNode) async throws -> RaftStatus? {
        try await self.world.ask(machine) { process in
            await process.meta.groupStatuses().first { $0.group == Self.group }?.status
        } ?? nil
    }

    private func directories() async throws -> [String] {
        let environment = self.receiver.environment
        return try await environment.blocking(.disk) {
            var found: [String] = []
            for name in ["state", "incoming", "outgoing"] {
                guard try environment.files.status("/meta/\(name)") != nil else { continue }
                found += try environment.files.list("/meta/\(name)").map { "\(name)/\($0)" }
            }
            return found
        }
    }

    // MARK: Buckets

    /// The names of buckets whose slots the group owns.
    private static func names(_ count: Int) -> [BucketName] {
        let names = (1...count * 32).lazy.map { BucketName("bucket-\($0)") }
        return Array(names.compactMap { $0 }.filter { $0.slot.rawValue < 8192 }.prefix(count))
    }

    private func create(_ name: BucketName, through machine: SimulatedNode) async throws -> Bool {
        guard let owner = OwnerID("root") else { return false }
        let create = CreateBucket(
            name: name, owner: owner, wrappedKey: [UInt8](repeating: 5, count: 1000))
        return try await self.world.ask(machine) { process in
            do throws(ClusterFault) {
                return try await process.client.submit(
                    .createBucket(create), deadline: process.environment.now + .seconds(15))
                    == .bucketCreated
            } catch { return false }
        } ?? false
    }

    private func has(_ name: BucketName, through machine: SimulatedNode) async throws -> Bool {
        try await self.world.ask(machine) { process in
            do throws(ClusterFault) {
                let answer = try await process.client.query(
                    .bucket(name), deadline: process.environment.now + .seconds(15))
                guard case .bucket = answer else { return false }
                return true
            } catch { return false }
        } ?? false
    }
}
