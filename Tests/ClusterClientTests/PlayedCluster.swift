import Catalog
import ClusterClient
import IORuntime
import OrderedStorage
import PeerTransport
import Placement
import Primitives
import SimulatedRuntime
import Synchronization
import Testing
import Wire

/// Meta nodes that are played: real catalogs behind answers that a test may bend.
final class PlayedCluster: Peers {
    /// What becomes of one call.
    enum Fate: Sendable {
        case normal
        /// It fails, and nothing has run.
        case fails(CallFault)
        /// It runs, and then its answer is lost.
        case failsAfterRunning(CallFault)
        case answers(GroupRefusal)
        case answersBytes([UInt8])
        /// Nobody answers until the deadline.
        case isSilent
    }

    struct Call: Sendable, Equatable {
        let node: NodeID
        let group: GroupID?
        let command: CatalogCommand?
    }

    struct State: Sendable {
        var calls: [Call] = []
        var leaders: [GroupID: NodeID] = [:]
        /// Hints that followers give; without one they name the leader.
        var hints: [GroupID: NodeID] = [:]
        var indices: [GroupID: LogIndex] = [:]
        /// What happens to the coming calls that carry an operation, or ask something, of a group.
        var fates: [GroupID: [Fate]] = [:]
        var time = Timestamp(milliseconds: 1_000_000)
    }

    static let nodes = [NodeID(1), NodeID(2), NodeID(3)]
    static let groups = [GroupID(0), GroupID(1), GroupID(2)]

    /// The slots that the tests' buckets hash to; to own all 65,536 takes a second.
    static let slots: [SlotRange] = {
        let names =
            ["photos", "warm", "later", "late", "next", "b-5"] + (0..<60).map { "bucket-\($0)" }
        return Set(names.map { Slot(hashing: $0.utf8) }).sorted()
            .map { SlotRange(first: $0, last: $0) }
    }()

    let state = Mutex(State())
    private let stores: [GroupID: MemoryStore]
    private let environment: any Environment

    init(_ environment: any Environment) {
        self.environment = environment
        self.stores = Dictionary(
            uniqueKeysWithValues: Self.groups.map {
                ($0, MemoryStore(families: CatalogFamilies.all))
            })
        self.state.withLock { state in
            for group in Self.groups { state.leaders[group] = NodeID(1) }
        }
    }

    static func table(version: UInt64, owner: GroupID) -> GroupTable {
        GroupTable(
            version: version,
            groups: Self.groups.map { GroupDescriptor(id: $0, voters: Self.nodes) },
            slots: [SlotAssignment(slots: .all, group: owner)])
    }

    /// The first facts; all slots belong to group 1.
    func bootstrap() throws {
        let descriptors = Self.nodes.map { NodeDescriptor(id: $0, zone: "z\($0)") }
        let bootstrap = Bootstrap(
            cluster: try #require(ClusterID(bytes: Array(0..<16))),
            firstAccessKey: AccessKey(
                id: try #require(AccessKeyID("AKID")), owner: try #require(OwnerID("root")),
                state: .active, wrappedSecret: [1]),
            linkKey: LinkKey(
                id: "1", algorithm: .ed25519, publicKey: [3], wrappedPrivateKey: [4]),
            nodes: descriptors.map { NodeRecord(descriptor: $0, address: "a:1", roles: .all) },
            layout: try LayoutBuilder.build(
                version: LayoutVersion(1), nodes: descriptors, partitionBits: 4),
            groupTable: Self.table(version: 1, owner: GroupID(1)))
        self.apply(.bootstrap(bootstrap), in: .system)
        for slots in Self.slots {
            self.apply(.adoptSlots(AdoptSlots(slots: slots, epoch: Epoch(1))), in: GroupID(1))
        }
    }

    func releaseSlots() {
        for slots in Self.slots {
            self.apply(.releaseSlots(ReleaseSlots(slots: slots, epoch: Epoch(2))), in: GroupID(1))
        }
    }

    /// Moves all slots from group 1 to group 2, and tells group 0.
    func moveSlots() {
        self.releaseSlots()
        for slots in Self.slots {
            self.apply(
                .clearImport(ClearImport(slots: slots, epoch: Epoch(2))), in: GroupID(2))
            self.apply(
                .adoptSlots(AdoptSlots(slots: slots, epoch: Epoch(2), versionFloor: 1_000)),
                in: GroupID(2))
        }
        self.apply(
            .setGroupTable(
                SetGroupTable(
                    expected: 1, table: Self.table(version: 2, owner: GroupID(2)))),
            in: .system)
    }

    @discardableResult
    func apply(_ operation: CatalogOperation, in group: GroupID) -> [CommandResult] {
        let command = CatalogCommand(operation: operation)
        return self.apply([command.encoded], in: group).results
    }

    func pass(_ span: Duration) { self.state.withLock { $0.time = $0.time + span } }

    private func apply(
        _ commands: [[UInt8]], in group: GroupID
    ) -> (index: LogIndex, results: [CommandResult]) {
        self.state.withLock { state in
            let index = state.indices[group, default: .zero].next
            state.indices[group] = index
            guard let store = self.stores[group] else { return (index, []) }
            do {
                let applied = try Catalog(group: group).apply(
                    payload: CatalogEntry.payload(timestamp: state.time, commands: commands),
                    at: index, term: Term(1), reading: store)
                try store.write(applied.batch, .unlogged)
                return (index, applied.results)
            } catch {
                brokenInvariant("a store of memory does not fail: \(error)")
            }
        }
    }

    var calls: [Call] { self.state.withLock { $0.calls } }

    /// Calls that carried this operation.
    func attempts(_ isWanted: (CatalogOperation) -> Bool) -> [Call] {
        self.calls.filter { $0.command.map { isWanted($0.operation) } ?? false }
    }

    func bend(_ group: GroupID, _ fates: [Fate]) {
        self.state.withLock { $0.fates[group] = fates }
    }

    // MARK: Peers

    func send(_ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane) {}
    func sendUrgent(_ node: NodeID, kind: UInt16, _ message: [UInt8]) {}

    func call(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async throws(CallFault) -> PeerResponse {
        let (group, command) = Self.read(request)
        let fate = self.state.withLock { state -> Fate in
            state.calls.append(Call(node: node, group: group, command: command))
            guard let group, state.fates[group]?.isEmpty == false else { return .normal }
            return state.fates[group]?.removeFirst() ?? .normal
        }
        do { try await self.environment.loops[0].sleep(for: .milliseconds(1)) } catch {
            throw .cancelled(mayHaveRun: true)
        }
        switch fate {
        case .normal: return self.answer(request, at: node)
        case .fails(let fault): throw fault
        case .failsAfterRunning(let fault):
            _ = self.answer(request, at: node)
            throw fault
        case .answers(let refusal):
            return PeerResponse(
                head: request.kind == MetaCallKind.propose
                    ? ProposeAnswer.refused(refusal).encoded : QueryAnswer.refused(refusal).encoded)
        case .answersBytes(let bytes):
            _ = self.answer(request, at: node)
            return PeerResponse(head: bytes)
        case .isSilent:
            do {
                try await self.environment.loops[0].sleep(for: deadline - self.environment.now)
            } catch { throw .cancelled(mayHaveRun: true) }
            throw .deadlineExceeded(mayHaveRun: true)
        }
    }

    private static func read(_ request: PeerRequest) -> (GroupID?, CatalogCommand?) {
        do throws(FormatFault) {
            switch request.kind {
            case MetaCallKind.propose:
                let propose = try ProposeRequest(decoding: request.head)
                return (propose.group, try propose.commands.first.map(CatalogCommand.decode))
            case MetaCallKind.query: return (try QueryRequest(decoding: request.head).group, nil)
            case MetaCallKind.bucketKey:
                return (try BucketKeyRequest(decoding: request.head).group, nil)
            default: return (nil, nil)
            }
        } catch { brokenInvariant("a client sends what can be read: \(error)") }
    }

    private func answer(_ request: PeerRequest, at node: NodeID) -> PeerResponse {
        guard let group = Self.read(request).0, let store = self.stores[group] else {
            return PeerResponse()
        }
        let refusal = self.state.withLock { state -> GroupRefusal? in
            guard let leader = state.leaders[group], leader == node else {
                return .notLeader(hint: state.hints[group] ?? state.leaders[group])
            }
            return nil
        }
        do {
            switch request.kind {
            case MetaCallKind.propose:
                if let refusal { return PeerResponse(head: ProposeAnswer.refused(refusal).encoded) }
                let propose = try ProposeRequest(decoding: request.head)
                let (index, results) = self.apply(propose.commands, in: group)
                return PeerResponse(
                    head: ProposeAnswer.applied(at: index, results: results).encoded)
            case MetaCallKind.query:
                let query = try QueryRequest(decoding: request.head)
                if let refusal, query.freshness != .local {
                    return PeerResponse(head: QueryAnswer.refused(refusal).encoded)
                }
                let answer = try CatalogView(store.snapshot()).answer(query.query)
                return PeerResponse(
                    fitting: QueryAnswer.answer(answer, applied: LogIndex(1)).encoded)
            default:
                if let refusal {
                    return PeerResponse(head: BucketKeyAnswer.refused(refusal).encoded)
                }
                let wanted = try BucketKeyRequest(decoding: request.head)
                let key = [UInt8](repeating: 9, count: 32)
                let answer: BucketKeyAnswer =
                    switch try CatalogView(store.snapshot()).answer(.bucket(wanted.bucket)) {
                    case .bucket(let bucket): .found(bucket.withoutKey, key: key)
                    case .slotNotOwned: .slotNotOwned
                    default: .noSuchBucket
                    }
                return PeerResponse(head: answer.encoded)
            }
        } catch { brokenInvariant("a store of memory does not fail: \(error)") }
    }
}

extension CatalogCommand {
    static func decode(_ bytes: [UInt8]) throws(FormatFault) -> CatalogCommand {
        try CatalogCommand(decoding: bytes)
    }
}

/// One client before a played cluster, in a simulated world.
final class PlayedWorld {
    let simulator: Simulator
    let cluster: PlayedCluster
    let client: ClusterClient
    let loop: SimulatedLoop
    let environment: SimulatedEnvironment

    init(
        seed: UInt64 = 1, bootstrapped: Bool = true, knowing nodes: [NodeID] = PlayedCluster.nodes
    ) throws {
        self.simulator = Simulator(seed: seed)
        let environment = self.simulator.makeNode("edge", host: "10.0.0.9").environment
        self.environment = environment
        self.loop = environment.simulatedLoops[0]
        self.cluster = PlayedCluster(environment)
        if bootstrapped { try self.cluster.bootstrap() }
        self.client = ClusterClient(
            ClusterClientSettings(metaNodes: nodes), node: NodeID(9),
            environment: environment, loop: self.loop, peers: self.cluster)
    }

    deinit { self.simulator.discard() }

    /// Runs `work` on the client's loop to its end; says how long it took.
    @discardableResult
    func run<Value: Sendable>(
        for span: Duration = .seconds(120),
        _ work: @escaping @Sendable (ClusterClient, PlayedCluster) async -> Value
    ) throws -> (value: Value, took: Duration) {
        let outcome = Mutex<Value?>(nil)
        let (client, cluster) = (self.client, self.cluster)
        let start = self.simulator.now
        self.simulator.spawn("test", on: self.loop) {
            let value = await work(client, cluster)
            outcome.withLock { $0 = value }
        }
        let ending = self.simulator.run(for: span, until: { outcome.withLock { $0 != nil } })
        #expect(ending.ending == .finished)
        return (try #require(outcome.withLock { $0 }), self.simulator.now - start)
    }

    /// Lets the client start, and forgets the calls that took.
    func start() throws {
        let fault = try self.run { client, _ -> ClusterFault? in
            do throws(ClusterFault) {
                try await client.start()
                return nil
            } catch { return error }
        }.value
        #expect(fault == nil)
        self.cluster.state.withLock { $0.calls = [] }
    }

    func createBucket(
        _ name: String = "photos", within span: Duration = .seconds(5)
    ) throws -> (value: Result<CommandResult, ClusterFault>, took: Duration) {
        let operation = try Self.create(name)
        let environment = self.environment
        return try self.run { client, _ in
            await client.tried(operation, deadline: environment.now + span)
        }
    }

    static func create(_ name: String) throws -> CatalogOperation {
        .createBucket(
            CreateBucket(
                name: try #require(BucketName(name)), owner: try #require(OwnerID("root")),
                wrappedKey: [1, 2]))
    }
}

extension ClusterClient {
    func tried(
        _ operation: CatalogOperation, deadline: Instant
    ) async -> Result<CommandResult, ClusterFault> {
        do throws(ClusterFault) {
            return .success(try await self.submit(operation, deadline: deadline))
        } catch { return .failure(error) }
    }
}
