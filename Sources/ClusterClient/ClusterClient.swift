import Catalog
import IORuntime
import PeerTransport
import Placement
import Primitives
import Synchronization
import Telemetry
import Wire

/// How anything inside the cluster reaches groups and stores: finds the leader, retries with the
/// same command identity until the deadline, and keeps what everybody needs to know at hand (the
/// layout, the group table, who is reachable).
///
/// One for each process. Its incarnation, given out by group 0, names its chunks and its sessions.
package final class ClusterClient: Sendable {
    let environment: any Environment
    package let loop: any EventLoop
    package let peers: any Peers
    package let node: NodeID
    package let settings: ClusterClientSettings
    package let counters: ClusterClientCounters
    /// How this process's clock stands to those of the meta nodes.
    package let clock: ClockView
    let state: Mutex<State>

    struct State: Sendable {
        var routes: GroupRoutes
        var incarnation: UInt64?
        var nextChunk: UInt64 = 0
        var windows: [GroupID: CommandWindow] = [:]
        var layout: Layout?
        var groupTable: GroupTable?
        /// All slots of the table; moves do not change them.
        var allSlots = SlotTally()
        /// When somebody last asked for the tables because a slot had moved.
        var lastLook: Instant?
        var nodes: [NodeRecord] = []
        var nodesVersion: UInt64 = 0
        var nodesChanged: (@Sendable ([NodeRecord]) -> Void)?
        /// Nodes whose connection broke and did not come back.
        var gone: Set<NodeID> = []
        var ownReplicas: (any OwnReplicas)?
        var jitter: SeededGenerator
    }

    package init(
        _ settings: ClusterClientSettings, node: NodeID, environment: any Environment,
        loop: any EventLoop, peers: any Peers, registry: MetricsRegistry = MetricsRegistry()
    ) {
        self.counters = ClusterClientCounters(registry)
        self.clock = ClockView(
            node: node, voters: settings.metaNodes, environment: environment, registry: registry)
        self.environment = environment
        self.loop = loop
        self.peers = peers
        self.node = node
        self.settings = settings
        let seed = environment.randomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        self.state = Mutex(
            State(
                routes: GroupRoutes(metaNodes: settings.metaNodes.sorted(), local: node),
                jitter: SeededGenerator(seed: seed)))
    }

    // MARK: What is known

    /// The latest layout seen; nil before `start` has found one.
    package var layout: Layout? { self.state.withLock { $0.layout } }

    /// This process's incarnation; nil before `start` has got one.
    package var incarnation: UInt64? { self.state.withLock { $0.incarnation } }

    /// A name for a new chunk, never given before.
    package func makeChunkName() throws(ClusterFault) -> ChunkName {
        let name = self.state.withLock { state -> ChunkName? in
            guard let incarnation = state.incarnation else { return nil }
            defer { state.nextChunk += 1 }
            return ChunkName(incarnation: incarnation, counter: state.nextChunk)
        }
        guard let name else { throw .unavailable("this node has no incarnation yet") }
        return name
    }

    /// Whether a node is believed to live: false from the moment its process was found gone until it
    /// is heard from again. A hint; a write that believes it wrongly turns to the next node.
    package func isLive(_ node: NodeID) -> Bool {
        self.state.withLock { state in
            !state.gone.contains(node) && !state.nodes.contains { $0.id == node && $0.isRemoved }
        }
    }

    /// The nodes as group 0 had them when it was last asked; empty before.
    package var nodes: [NodeRecord] { self.state.withLock { $0.nodes } }

    /// Has `act` told of the nodes whenever others are there, or they stand otherwise. To be called
    /// once, before `start`.
    package func whenNodesChange(_ act: @escaping @Sendable ([NodeRecord]) -> Void) {
        self.state.withLock { $0.nodesChanged = act }
    }

    package func peerChanged(_ event: PeerEvent) {
        self.state.withLock { state in
            switch event {
            case .up(let node): state.gone.remove(node)
            case .gone(let node): state.gone.insert(node)
            case .lost: break
            }
        }
    }

    package func group(owning slot: Slot) -> GroupID? {
        self.state.withLock { $0.groupTable?.group(owning: slot) }
    }

    /// All slots that have an owner.
    var allSlots: SlotTally { self.state.withLock { $0.allSlots } }

    /// The latest group table seen; nil before `start` has found one.
    package var groupTable: GroupTable? { self.state.withLock { $0.groupTable } }

    /// The data groups, ascending.
    package var dataGroups: [GroupID] {
        self.state.withLock { state in
            (state.groupTable?.groups ?? []).map(\.id).filter { $0 != .system }
        }
    }

    // MARK: Starting

    /// Gets an incarnation, the layout and the group table from group 0, trying until it has them,
    /// and then keeps the tables fresh in the background.
    package func start() async throws(ClusterFault) {
        while true {
            do throws(ClusterFault) {
                try await self.refreshTables(by: self.callDeadline)
                try await self.obtainIncarnation()
                break
            } catch {
                await self.learnFromAnybody()
                do { try await self.loop.sleep(for: .milliseconds(50)) } catch {
                    throw .unavailable("stopped while starting")
                }
            }
        }
        self.loop.spawn {
            while true {
                do { try await self.loop.sleep(for: self.settings.refreshPeriod) } catch { return }
                do throws(ClusterFault) {
                    try await self.refreshTables(.led, by: self.callDeadline)
                } catch {
                    self.counters.refreshesFailed.add()
                }
            }
        }
    }

    /// Asks any replica of group 0 what it knows. Its leader may have come while this process was away:
    /// only from the others can be learnt where it is.
    private func learnFromAnybody() async {
        do throws(ClusterFault) {
            try await self.refreshTables(
                .local, by: self.environment.now + self.settings.attemptTimeout)
        } catch {
            self.counters.refreshesFailed.add()
        }
    }

    private func obtainIncarnation() async throws(ClusterFault) {
        let command = CatalogCommand(operation: .allocateIncarnation)
        let decision = try await self.decide(
            command, in: .system, deadline: self.callDeadline)
        guard case .incarnation(let incarnation) = decision.result else {
            throw .malformed("group 0 gave no incarnation but \(decision.result)")
        }
        self.state.withLock { $0.incarnation = incarnation }
    }

    private var callDeadline: Instant { self.environment.now + self.settings.callTimeout }

    /// Asks group 0 for the tables that are newer than what is known. Answers may overtake each
    /// other; what is known never becomes older.
    ///
    /// - Parameter freshness: `.led` costs no round of group 0.
    package func refreshTables(
        _ freshness: Freshness = .linearizable, by deadline: Instant
    ) async throws(ClusterFault) {
        let known = self.state.withLock { state in
            TableVersions(
                layout: state.layout?.version ?? .none,
                groupTable: state.groupTable?.version ?? 0, nodes: state.nodesVersion)
        }
        let answer = try await self.query(
            .tables(known: known), in: .system, freshness: freshness, deadline: deadline)
        guard case .tables(let tables) = answer else {
            throw .unavailable("group 0 has no tables yet: \(answer)")
        }
        self.learn(tables)
    }

    private func learn(_ tables: ClusterTables) {
        let tell = self.state.withLock { state -> (@Sendable ([NodeRecord]) -> Void)? in
            if let layout = tables.layout, layout.version > state.layout?.version ?? .none {
                state.layout = layout
            }
            if let table = tables.groupTable, table.version > state.groupTable?.version ?? 0 {
                state.groupTable = table
                state.allSlots = table.tally
            }
            let nodesAreNewer = tables.nodes.map { $0.version > state.nodesVersion } ?? false
            if let nodes = tables.nodes, nodesAreNewer {
                state.nodes = nodes.records
                state.nodesVersion = nodes.version
            }
            let known = Set(state.nodes.map(\.id))
            let voters = Set((state.groupTable?.groups ?? []).flatMap(\.voters))
            state.routes.metaNodesChanged(to: voters.filter(known.contains).sorted())
            return nodesAreNewer ? state.nodesChanged : nil
        }
        tell?(self.nodes)
    }

    /// A pause between two attempts, so that many who wait do not come back together.
    func pause(before deadline: Instant) async throws(ClusterFault) {
        let span = self.state.withLock { state in
            Duration.milliseconds(Int64.random(in: 5...40, using: &state.jitter))
        }
        guard self.environment.now + span < deadline else {
            throw .unavailable("no answer before the deadline")
        }
        do { try await self.loop.sleep(for: span) } catch {
            throw .unavailable("the request was given up")
        }
    }
}

/// How a process speaks with the cluster.
package struct ClusterClientSettings: Sendable {
    /// The meta nodes as this process knew them before it began: whom it asks first. Group 0 says
    /// who they are from then on.
    package var metaNodes: [NodeID]
    /// One attempt at one node.
    package var attemptTimeout: Duration = .seconds(1)
    /// A whole call of the client's own.
    package var callTimeout: Duration = .seconds(10)
    /// How often newer tables are asked for.
    package var refreshPeriod: Duration = .seconds(5)

    package init(metaNodes: [NodeID]) { self.metaNodes = metaNodes }
}

package struct ClusterClientCounters: Sendable {
    package let commands: Counter
    package let queries: Counter
    package let readIndexes: Counter
    package let retries: Counter
    package let staleSlots: Counter
    package let outcomesUnknown: Counter
    package let refreshesFailed: Counter

    package init(_ registry: MetricsRegistry) {
        self.commands = registry.counter(
            "holdfast_cluster_commands_total", help: "Commands submitted.")
        self.queries = registry.counter(
            "holdfast_cluster_queries_total", help: "Queries asked.")
        self.readIndexes = registry.counter(
            "holdfast_cluster_read_indexes_total",
            help: "Leaders asked how far their group has come, each for all who waited.")
        self.retries = registry.counter(
            "holdfast_cluster_retries_total", help: "Attempts beyond the first.")
        self.staleSlots = registry.counter(
            "holdfast_cluster_stale_slots_total",
            help: "Answers that the group does not own the slot.")
        self.outcomesUnknown = registry.counter(
            "holdfast_cluster_outcomes_unknown_total",
            help: "Commands whose outcome was told as unknown.")
        self.refreshesFailed = registry.counter(
            "holdfast_cluster_refreshes_failed_total",
            help: "Failed attempts to refresh the tables.")
    }
}
