import Catalog
import ClusterClient
import Consensus
import Cryptography
import IORuntime
import MetaNode
import Node
import ObjectAccess
import Primitives
import SimulatedRuntime
import StoreNode
import Synchronization
import Telemetry

/// A cluster of production nodes on simulated machines: what `cluster/up` starts as processes, in
/// one thread and under one seed.
///
/// Everything above `Environment` is the code that ships. Instead of TLS the channels assert their
/// identities, because OpenSSL draws randomness that no seed decides; instead of RocksDB the stores
/// are maps that forget what was not synced.
package final class SimulatedCluster: Sendable {
    package let simulator: Simulator
    /// The machine that people's clients run on. It never fails.
    package let laptop: SimulatedNode
    package let settings: SimulatedClusterSettings
    package let credentials: SimulatedCredentials
    private let members: Mutex<[Member]>

    /// A node of the cluster, and the machine that it runs on.
    private struct Member: Sendable {
        let machine: SimulatedNode
        let identity: NodeIdentity
        var process: Process?
    }

    /// A node's process since its last start.
    private struct Process: Sendable {
        let environment: SimulatedEnvironment
        var node: Node?
        var fault: NodeFault?
    }

    /// Puts the machines into a world and writes their identities to their disks; `start` runs them.
    package init(
        _ simulator: Simulator, _ settings: SimulatedClusterSettings
    ) throws {
        self.simulator = simulator
        self.settings = settings
        let machines = (1...settings.nodeCount).map {
            simulator.makeNode("n\($0)", host: "10.0.0.\($0)", capacityBytes: settings.diskBytes)
        }
        self.laptop = simulator.makeNode("laptop", host: "10.0.1.1")
        let plan = SimulatedIdentities(settings)
        self.credentials = plan.credentials
        let identities = try plan.make { count in simulator.generator.bytes(count) }
        self.members = Mutex(
            zip(machines, identities).map { Member(machine: $0, identity: $1, process: nil) })
        for machine in machines {
            let files = machine.environment.files
            try files.makeDirectoryDurably(Self.identityDirectory)
        }
    }

    static let identityDirectory = "/identity"
    package static let dataDirectory = "/data"

    // MARK: Who there is

    /// The machines of the cluster's nodes, by the numbers of those. Of the first ones node n runs
    /// on the machine at position n - 1.
    package var machines: [SimulatedNode] { self.members.withLock { $0.map(\.machine) } }

    /// Who the nodes are, in the order of their machines.
    var identities: [NodeIdentity] { self.members.withLock { $0.map(\.identity) } }

    /// One machine more, whose node joins.
    func add(_ machine: SimulatedNode, as identity: NodeIdentity) {
        self.members.withLock {
            $0.append(Member(machine: machine, identity: identity, process: nil))
        }
        self.start(machine)
    }

    /// The machine dies and never comes back, and neither does its disk.
    package func lose(_ machine: SimulatedNode) {
        machine.crash()
        self.members.withLock { $0.removeAll { $0.machine === machine } }
    }

    private func change(_ machine: SimulatedNode, _ edit: (inout Member) -> Void) {
        self.members.withLock { members in
            guard let place = members.firstIndex(where: { $0.machine === machine }) else { return }
            edit(&members[place])
        }
    }

    private func member(on machine: SimulatedNode) -> Member? {
        self.members.withLock { $0.first { $0.machine === machine } }
    }

    // MARK: Processes

    /// Starts every machine's node.
    package func start() {
        for machine in self.machines { self.start(machine) }
    }

    /// Starts the node of a machine whose process is fresh.
    package func start(_ machine: SimulatedNode) {
        let environment = machine.environment
        self.change(machine) { $0.process = Process(environment: environment) }
        environment.simulatedLoops[0].spawn { await self.run(machine, in: environment) }
    }

    private func run(_ machine: SimulatedNode, in environment: SimulatedEnvironment) async {
        guard let identity = self.member(on: machine)?.identity else { return }
        var options = NodeOptions(
            identityDirectory: Self.identityDirectory, dataDirectory: Self.dataDirectory)
        options.access = self.settings.access
        options.log = self.settings.log
        options.segmentBytes = self.settings.segmentBytes
        options.reserveBytes = self.settings.reserveBytes
        options.sweep = self.settings.sweep
        options.disk = self.settings.disk
        options.janitor = self.settings.janitor
        let card = PeerIdentity.node(
            identity.configuration.node, cluster: identity.configuration.cluster)
        let security = NodeSecurity(
            peers: ClearChannelSecurity(identity: card, requiresNode: true), doors: nil)
        let started: Result<Node, NodeFault>
        do throws(NodeFault) {
            started = .success(
                try await Node.start(
                    identity, options, security: security, in: environment,
                    stores: SimulatedStoreFactory(machine)))
        } catch { started = .failure(error) }
        self.change(machine) { member in
            switch started {
            case .success(let node): member.process?.node = node
            case .failure(let fault): member.process?.fault = fault
            }
        }
        guard case .failure(let fault) = started else { return }
        environment.log("did not start: \(fault)")
        if fault.mayPass { self.simulator.loop.spawn { await self.superviseRestart(of: machine) } }
    }

    /// Ends a process that could not start its node and tries again, as a supervisor does.
    private func superviseRestart(of machine: SimulatedNode) async {
        let environment = machine.environment
        do { try await self.simulator.loop.sleep(for: .seconds(1)) } catch { return }
        guard environment.isAlive else { return }
        machine.crash()
        self.restart(machine)
    }

    /// A new process on a machine whose process has died.
    package func restart(_ machine: SimulatedNode) {
        machine.restart()
        self.start(machine)
    }

    /// The node that runs on a machine; nil while it is down or not yet started.
    package func node(on machine: SimulatedNode) -> Node? {
        guard let process = self.member(on: machine)?.process, process.environment.isAlive else {
            return nil
        }
        return process.node
    }

    /// Why the machine's node refused to start; nil where it did not.
    package func startFault(on machine: SimulatedNode) -> NodeFault? {
        self.member(on: machine)?.process?.fault
    }

    /// The machines whose nodes have not joined the cluster, in order.
    var missing: [SimulatedNode] {
        let running = self.running.map(\.index)
        return self.machines.filter { !running.contains($0.index) }
    }

    /// Waits until the nodes of all these machines have joined; false when the limit passes first.
    /// Asked anew each time, for a machine that fails for good may be no longer among them.
    func join(
        _ machines: @autoclosure () -> [SimulatedNode], within limit: Duration
    ) async -> Bool {
        let loop = self.simulator.loop
        let end = loop.now + limit
        while true {
            let missing = Set(self.missing.map(\.index))
            if !machines().contains(where: { missing.contains($0.index) }) { return true }
            guard loop.now < end else { return false }
            do { try await loop.sleep(for: .milliseconds(50)) } catch { return false }
        }
    }

    /// The machines whose node runs and has joined the cluster, in order.
    package var running: [SimulatedNode] {
        self.machines.filter { machine in
            !machine.isPaused && self.node(on: machine)?.cluster.incarnation != nil
        }
    }

    /// The machine whose replica leads a group, by the word of the replica with the highest term.
    package func leader(of group: GroupID) async -> SimulatedNode? {
        var best: (term: Term, machine: SimulatedNode)?
        for machine in self.running {
            guard let meta = self.node(on: machine)?.meta else { continue }
            let statuses = await self.ask(machine) { await meta.groupStatuses() } ?? []
            for (id, status) in statuses
            where id == group && status.role == .leader && status.term > best?.term ?? .zero {
                best = (status.term, machine)
            }
        }
        return best?.machine
    }

    /// Does something in a machine's process, and gives up when that process dies or takes longer
    /// than `patience`: nil then, and whether it was done is not known.
    package func ask<Value: Sendable>(
        _ machine: SimulatedNode, patience: Duration = .seconds(40),
        _ work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        let promise = Promise<Value>()
        let environment = machine.environment
        let loop = self.simulator.loop
        let end = self.simulator.now + patience
        environment.simulatedLoops[0].spawn { promise.keep(await work()) }
        loop.spawn {
            while promise.isOpen, environment.isAlive, loop.now < end {
                do { try await loop.sleep(for: .milliseconds(20)) } catch { break }
            }
            promise.keep(nil)
        }
        return await promise.value
    }
}

extension NodeFault {
    /// Whether another start may succeed; the others want a person.
    fileprivate var mayPass: Bool {
        switch self {
        case .file, .store, .cannotListen, .stopped: true
        case .identity, .foreignData, .dataGone, .damaged, .diskFailing: false
        }
    }
}

/// How a simulated cluster is made.
package struct SimulatedClusterSettings: Sendable {
    /// One node, or three and more; zones are dealt as in the local cluster.
    package var nodeCount = 5
    package var zones = ["a", "a", "b", "b", "c"]
    /// The buckets that clients will make. Groups begin with the slots of these names alone: 65,536
    /// rows on every replica would be most of a short run's work.
    package var buckets = ["photos", "simulated"].compactMap { BucketName($0) }
    /// Small chunks and a small cache, so that a run of moderate size cuts, evicts and fetches.
    package var access: ObjectAccessSettings
    /// Short logs and segments, so that followers fall behind what is kept in memory, logs are cut,
    /// and segments end.
    package var log: MetaLogSettings
    package var segmentBytes: UInt64 = 2 << 20
    package var reserveBytes: UInt64 = 1 << 20
    package var disk = DiskSpaceSettings()
    package var diskBytes: UInt64 = 64 << 30
    /// Short graces, so that deletions come to their end within a run, and readers and uploads that
    /// are late meet them.
    package var sweep: SweepSettings
    package var janitor: JanitorSettings

    package init() {
        self.access = ObjectAccessSettings()
        self.access.inlineBytes = 4 << 10
        self.access.chunkBytes = 256 << 10
        self.access.cacheBytes = 2 << 20
        self.access.intakeBudgetBytes = 4 << 20
        self.log = MetaLogSettings()
        self.log.flushBytes = 32 << 10
        self.log.entriesKept = 8
        self.log.cachedBytes = 4 << 10
        self.sweep = SweepSettings()
        self.sweep.grace = .seconds(4)
        self.sweep.graceWhenFull = .seconds(2)
        self.sweep.period = .milliseconds(500)
        self.sweep.auditPeriod = .seconds(10)
        self.disk.ballastBytes = 128 << 10
        self.disk.markBytes = 512 << 10
        self.sweep.uploadPatience = .seconds(30)
        self.access.uploadLifetime = .seconds(18)
        self.janitor = JanitorSettings()
        self.janitor.pullPeriod = .milliseconds(500)
        self.janitor.orphanGrace = .seconds(20)
        self.janitor.walkPeriod = .seconds(2)
        self.janitor.stepPause = .milliseconds(50)
        self.janitor.chunksPerStep = 16
    }
}

/// One value, handed over once from one task to another. The first to keep the promise wins.
final class Promise<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(UnsafeContinuation<Value?, Never>)
        case kept(Value?)
    }

    private let state = Mutex(State.open)

    var isOpen: Bool {
        self.state.withLock { state in
            switch state {
            case .open, .awaited: true
            case .kept: false
            }
        }
    }

    func keep(_ value: Value?) {
        let waiter = self.state.withLock { state -> UnsafeContinuation<Value?, Never>? in
            switch state {
            case .open:
                state = .kept(value)
                return nil
            case .awaited(let waiter):
                state = .kept(value)
                return waiter
            case .kept: return nil
            }
        }
        waiter?.resume(returning: value)
    }

    /// To be asked for once.
    var value: Value? {
        get async {
            await withUnsafeContinuation { waiter in
                let kept = self.state.withLock { state -> Value?? in
                    if case .kept(let value) = state { return .some(value) }
                    state = .awaited(waiter)
                    return nil
                }
                if case .some(let value) = kept { waiter.resume(returning: value) }
            }
        }
    }
}
