import Catalog
import ClusterClient
import Consensus
import Cryptography
import IORuntime
import MetaNode
import OrderedStorage
import PeerTransport
import Placement
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing
import Wire

/// Simulated machines that run the meta role and a client each: node 1 at 10.0.0.1, and so on.
final class MetaWorld: Sendable {
    static let port: UInt16 = 7000
    static let groups = [GroupID(0), GroupID(1)]

    /// One process of a machine.
    struct Process: Sendable {
        let environment: SimulatedEnvironment
        let meta: MetaNode
        let client: ClusterClient
    }

    let simulator: Simulator
    let machines: [SimulatedNode]
    let nodes: [NodeID]
    /// Who votes at first.
    let voters: [NodeID]
    /// Whether groups change by group 0's table; otherwise they stay as they began.
    private let followsTable: Bool
    let bootstrap: Bootstrap
    let cluster: ClusterID
    let masterKey: MasterKey
    private let preferredLeaders: [GroupID: NodeID]
    private let processes: Mutex<[Process?]>

    private let sweep: SweepSettings
    private let tuneLog: @Sendable (inout MetaLogSettings) -> Void
    init(
        seed: UInt64 = 1, nodes count: Int = 3, voters: Int? = nil,
        preferredLeaders: [GroupID: NodeID] = [:],
        sweep: SweepSettings = SweepSettings(),
        tuneLog: @escaping @Sendable (inout MetaLogSettings) -> Void = { _ in }
    ) throws {
        self.sweep = sweep
        self.tuneLog = tuneLog
        let simulator = Simulator(seed: seed)
        self.simulator = simulator
        self.machines = (1...count).map { simulator.makeNode("n\($0)", host: "10.0.0.\($0)") }
        self.nodes = (1...count).map { NodeID(UInt32($0)) }
        self.cluster = try #require(ClusterID(bytes: [UInt8](repeating: 7, count: 16)))
        self.masterKey = MasterKey(
            try #require(SymmetricKey(bytes: [UInt8](repeating: 9, count: 32))))
        self.followsTable = voters != nil
        self.voters = Array(self.nodes.prefix(voters ?? count))
        self.bootstrap = try Self.bootstrap(self.cluster, self.nodes, voters: self.voters)
        self.preferredLeaders = preferredLeaders
        self.processes = Mutex([Process?](repeating: nil, count: count))
    }

    /// Only some of the slots are owned, so that a world begins quickly.
    private static func bootstrap(
        _ cluster: ClusterID, _ nodes: [NodeID], voters: [NodeID]
    ) throws -> Bootstrap {
        let descriptors = nodes.map { NodeDescriptor(id: $0, zone: "z\($0)") }
        let slots = SlotRange(first: Slot(rawValue: 0), last: Slot(rawValue: 8191))
        return Bootstrap(
            cluster: cluster,
            firstAccessKey: AccessKey(
                id: try #require(AccessKeyID("key")), owner: try #require(OwnerID("root")),
                state: .active, wrappedSecret: [1]),
            linkKey: LinkKey(
                id: "1", algorithm: .ed25519, publicKey: [2], wrappedPrivateKey: [3]),
            nodes: zip(nodes, descriptors).map { node, descriptor in
                NodeRecord(
                    descriptor: descriptor, address: "10.0.0.\(node):\(Self.port)", roles: .meta)
            },
            layout: try LayoutBuilder.build(
                version: LayoutVersion(1), nodes: descriptors, partitionBits: 4),
            groupTable: GroupTable(
                version: 1, groups: Self.groups.map { GroupDescriptor(id: $0, voters: voters) },
                slots: [SlotAssignment(slots: slots, group: GroupID(1))]))
    }

    // MARK: Processes

    /// Starts the role on a machine's running process; when it is open, `process` knows it.
    func start(_ machine: SimulatedNode) {
        let environment = machine.environment
        environment.simulatedLoops[0].spawn {
            do throws(MetaFault) {
                let process = try await self.open(machine, in: environment)
                self.processes.withLock { $0[machine.index] = process }
                do throws(ClusterFault) { try await process.client.start() } catch {
                    environment.log("did not join: \(error)")
                }
            } catch { environment.log("did not start: \(error)") }
        }
    }

    private func open(
        _ machine: SimulatedNode, in environment: SimulatedEnvironment
    ) async throws(MetaFault) -> Process {
        let node = self.nodes[machine.index]
        let loop = environment.loops[0]
        let calls = MetaCalls()
        let security = ClearChannelSecurity(
            identity: .node(node, cluster: self.cluster), requiresNode: true)
        let switchboard = Switchboard(
            environment: environment, loop: loop,
            identity: PeerIdentityCard(node: node, cluster: self.cluster, security: security),
            answerer: calls, events: { calls.peerChanged($0) })
        var settings = MetaSettings(
            node: node, directory: "/meta", groups: Self.groups, voters: self.voters,
            preferredLeaders: self.preferredLeaders,
            bootstrap: self.voters.contains(node) ? self.bootstrap : nil)
        settings.sweep = self.sweep
        settings.log.flushBytes = 8 << 10
        settings.log.entriesKept = 8
        settings.log.cachedBytes = 1 << 10
        self.tuneLog(&settings.log)
        let client = ClusterClient(
            ClusterClientSettings(metaNodes: self.nodes), node: node, environment: environment,
            loop: loop, peers: switchboard)
        settings.disk.ballastBytes = 64 << 10
        settings.disk.markBytes = 256 << 10
        let meta = try await MetaNode.open(
            settings, in: environment, loop: loop, stores: SimulatedStoreFactory(machine),
            peers: switchboard, secrets: MetaSecrets(MasterKeyRing(self.masterKey)),
            end: { await environment.terminate(status: $0, reason: $1) },
            cluster: client,
            layout: { client.layout },
            groupTable: { [followsTable] in followsTable ? client.groupTable : nil },
            clock: client.clock,
            registry: MetricsRegistry(),
            logger: Logger(
                component: "meta", clock: { environment.wallClock },
                sink: { environment.log($0) }))
        calls.serve(meta, client)
        do throws(StreamFault) {
            try switchboard.listen(on: SocketAddress(host: machine.host, port: Self.port))
        } catch { throw .store("\(error)") }
        switchboard.setAddresses(self.addresses)
        meta.start()
        return Process(environment: environment, meta: meta, client: client)
    }

    private var addresses: [NodeID: SocketAddress] {
        Dictionary(
            uniqueKeysWithValues: self.machines.map {
                (self.nodes[$0.index], SocketAddress(host: $0.host, port: Self.port))
            })
    }

    func restart(_ machine: SimulatedNode) {
        machine.restart()
        self.start(machine)
    }

    /// The open role on a machine; nil while it is down or opening.
    func process(_ machine: SimulatedNode) -> Process? {
        self.processes.withLock { $0[machine.index] }.flatMap { process in
            process.environment.isAlive ? process : nil
        }
    }

    // MARK: Stories

    /// Starts every machine, tells the story once all have joined, and compares the states at rest.
    func tell(_ story: @escaping @Sendable () async throws -> Void) throws {
        for machine in self.machines { self.start(machine) }
        self.simulator.spawn("story") {
            do {
                try await self.allJoin()
                try await story()
                try await self.allJoin()
            } catch { Issue.record(error) }
        }
        let outcome = self.simulator.run(for: .seconds(600))
        #expect(outcome.ending == .finished, "unfinished: \(outcome.unfinished)")
        #expect(outcome.blockingCallsOnLoops == 0)
        try self.expectAgreement()
        self.simulator.discard()
    }

    struct Tired: Error { let what: String }

    func wait(_ what: String, for span: Duration = .seconds(60), until holds: () -> Bool)
        async throws
    {
        let end = self.simulator.now + span
        while !holds() {
            guard self.simulator.now < end else { throw Tired(what: what) }
            try await self.simulator.loop.sleep(for: .milliseconds(5))
        }
    }

    func waitAsync(
        _ what: String, for span: Duration = .seconds(60), until holds: () async throws -> Bool
    ) async throws {
        let end = self.simulator.now + span
        while !(try await holds()) {
            guard self.simulator.now < end else { throw Tired(what: what) }
            try await self.simulator.loop.sleep(for: .milliseconds(20))
        }
    }

    func allJoin() async throws {
        try await self.wait("all nodes join") {
            self.machines.allSatisfy { self.process($0)?.client.incarnation != nil }
        }
    }

    /// Does something in a machine's process; nil when the process died over it.
    func ask<Value: Sendable>(
        _ machine: SimulatedNode, _ work: @escaping @Sendable (Process) async -> Value
    ) async throws -> Value? {
        guard let process = self.process(machine) else { return nil }
        let answer = Mutex<Value?>(nil)
        let box = Box(answer)
        process.environment.simulatedLoops[0].spawn {
            let value = await work(process)
            box.value.withLock { $0 = value }
        }
        try await self.wait("an answer") {
            !process.environment.isAlive || box.value.withLock { $0 != nil }
        }
        return box.value.withLock { $0 }
    }

    /// Has the operator, at a machine, ask group 0 for something.
    func administer(
        _ operation: CatalogOperation, from machine: SimulatedNode
    ) async throws -> CommandResult? {
        try await self.ask(machine) { process -> CommandResult? in
            let (environment, node) = (process.environment, CommandProposer.operatorNode)
            let loop = environment.loops[0]
            let security = ClearChannelSecurity(
                identity: .node(node, cluster: self.cluster), requiresNode: true)
            let switchboard = Switchboard(
                environment: environment, loop: loop,
                identity: PeerIdentityCard(node: node, cluster: self.cluster, security: security),
                answerer: MetaCalls())
            switchboard.setAddresses(self.addresses)
            let client = ClusterClient(
                ClusterClientSettings(metaNodes: self.nodes), node: node,
                environment: environment, loop: loop, peers: switchboard)
            let deadline = environment.now + .seconds(30)
            let result: CommandResult?
            do throws(ClusterFault) {
                result = try await client.propose(
                    operation, in: .system, deadline: deadline)
            } catch { result = nil }
            await switchboard.shutDown(by: environment.now + .seconds(1))
            return result
        } ?? nil
    }

    private final class Box<Value: Sendable>: Sendable {
        let value: Mutex<Value?>
        init(_ value: consuming Mutex<Value?>) { self.value = value }
    }

    /// Waits until every replica has applied the same, then holds every row against the others.
    private func expectAgreement() throws {
        for group in Self.groups {
            var rows: [[String]] = []
            for _ in 0..<100 {
                rows = []
                for machine in self.machines {
                    guard let state = self.process(machine)?.meta.states[group] else { continue }
                    guard try self.expected(in: group).contains(machine.index) else { continue }
                    rows.append(try Self.rows(of: state))
                }
                if Set(rows).count == 1, try rows.count == self.expected(in: group).count { break }
                _ = self.simulator.run(for: .milliseconds(100), until: { false })
            }
            let (count, distinct) = (rows.count, Set(rows).count)
            let expected = try self.expected(in: group).count
            #expect(count == expected)
            #expect(distinct == 1, "the replicas of group \(group) differ")
        }
    }

    /// The machines whose replicas of a group are kept up: the members by the newest configuration
    /// that any of them has applied.
    private func expected(in group: GroupID) throws -> [Int] {
        var newest: (index: LogIndex, members: [NodeID]) = (.zero, self.voters)
        for machine in self.machines {
            guard let state = self.process(machine)?.meta.states[group] else { continue }
            let view = CatalogView(state.store.snapshot())
            guard let bytes = try view.configuration(), let at = try view.applied()?.index,
                at >= newest.index
            else { continue }
            newest = (at, try Configuration(decoding: bytes).members)
        }
        return self.machines.map(\.index).filter { newest.members.contains(self.nodes[$0]) }
    }

    private static func rows(of state: GroupState) throws -> [String] {
        let snapshot = state.store.snapshot()
        var rows: [String] = []
        for family in CatalogFamilies.all {
            let cursor = snapshot.scan(family, .all)
            while let pair = try cursor.next() {
                rows.append("\(family) \(Hex.encode(pair.key)) \(Hex.encode(pair.value))")
            }
        }
        return rows
    }
}

/// Gives a process's calls to its role.
private final class MetaCalls: PeerAnswerer {
    private let roles = Mutex<(meta: MetaNode, client: ClusterClient)?>(nil)

    func serve(_ meta: MetaNode, _ client: ClusterClient) {
        self.roles.withLock { $0 = (meta, client) }
    }

    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        guard let meta = self.roles.withLock({ $0?.meta }) else {
            return .refused(code: 1, message: "not open")
        }
        return await meta.answer(request, from: peer)
    }

    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {
        self.roles.withLock { $0?.meta }?.receive(message, kind: kind, from: peer)
    }

    func peerChanged(_ event: PeerEvent) {
        let roles = self.roles.withLock { $0 }
        roles?.meta.peerChanged(event)
        roles?.client.peerChanged(event)
    }
}
