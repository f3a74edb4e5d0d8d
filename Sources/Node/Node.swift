import Catalog
import ChunkProtocol
import ChunkStore
import ClusterClient
import Cryptography
import EdgeNode
import HTTPTransport
import IORuntime
import MetaNode
import ObjectAccess
import OrderedStorage
import PeerTransport
import Primitives
import StoreNode
import Synchronization
import Telemetry

/// How a node is run, beside who it is.
package struct NodeOptions: Sendable {
    package var identityDirectory: String
    package var dataDirectory: String
    package var access = ObjectAccessSettings()
    package var log = MetaLogSettings()
    package var sweep = SweepSettings()
    package var slotMoves = SlotMoveSettings()
    package var janitor = JanitorSettings()
    /// How large a segment of chunks grows before the next is begun.
    package var segmentBytes = SegmentFormat.segmentBytes
    /// Free disk space that chunks leave to the Raft log and to deletes; at least
    /// `disk.leastReserveBytes`, or chunks alone would stop the metadata.
    package var reserveBytes: UInt64 = 1 << 30
    /// How the disk below the metadata is watched.
    package var disk = DiskSpaceSettings()
    package var logLevel = LogLevel.info

    /// What the metadata keeps aside and gives back when its disk is nearly full; 0: nothing.
    package var ballastBytes: UInt64 {
        get { self.disk.ballastBytes }
        set { self.disk.ballastBytes = newValue }
    }

    /// Free space below which the metadata refuses what grows.
    package var lowSpaceBytes: UInt64 {
        get { self.disk.markBytes }
        set { self.disk.markBytes = newValue }
    }

    /// The least that `reserveBytes` may be.
    package var leastReserveBytes: UInt64 { self.disk.leastReserveBytes }

    /// Memory for blocks of objects at this node's edge.
    package var cacheBytes: Int {
        get { self.access.cacheBytes }
        set { self.access.cacheBytes = newValue }
    }

    /// The largest body of one request to this node's edge.
    package var largestBodyBytes: UInt64 {
        get { self.access.largestBodyBytes }
        set { self.access.largestBodyBytes = newValue }
    }

    /// Whether this node's edge compresses what it stores, where a sample says that it pays.
    package var isCompressing: Bool {
        get { self.access.isCompressing }
        set { self.access.isCompressing = newValue }
    }

    package init(identityDirectory: String, dataDirectory: String) {
        self.identityDirectory = identityDirectory
        self.dataDirectory = dataDirectory
    }
}

/// How a node's connections are secured: TLS, or in simulation asserted identities.
package struct NodeSecurity: Sendable {
    package var peers: any ChannelSecurity
    /// Nil: no HTTPS door.
    package var doors: (any ChannelSecurity)?
    /// What `doors` is where its files are to be followed.
    let doorCertificate: DoorCertificate?
    /// The other nodes, and whose certificates `peers` refuses.
    package let known: KnownNodes

    package init(
        peers: any ChannelSecurity, doors: (any ChannelSecurity)?,
        known: KnownNodes = KnownNodes()
    ) {
        self.peers = peers
        self.doors = doors
        self.doorCertificate = doors as? DoorCertificate
        self.known = known
    }

    /// TLS by the certificates of an identity.
    package init(_ identity: NodeIdentity) throws(CertificateFault) {
        let known = KnownNodes()
        self.init(
            peers: try TLSChannelSecurity.peers(
                identity: identity.node, authority: identity.authority,
                cluster: identity.configuration.cluster,
                isRevoked: { known.refuses($0) }),
            doors: try DoorCertificate(identity.door),
            known: known)
    }
}

/// One process of a cluster: the roles that its identity names, on one switchboard.
package final class Node: Sendable {
    package let identity: NodeIdentity
    let environment: any Environment
    package let registry: MetricsRegistry
    let logger: Logger
    let switchboard: Switchboard
    package let cluster: ClusterClient
    package let access: ObjectAccess
    package let meta: MetaNode?
    package let store: ChunkStore?
    package let janitor: Janitor?
    /// Starts that took a failure of the disk and went on by themselves: 0 or 1.
    package let diskFailuresTaken: Counter
    private let edge: EdgeNode?
    private let admin: HTTPServer

    private init(
        identity: NodeIdentity, environment: any Environment, registry: MetricsRegistry,
        logger: Logger, switchboard: Switchboard, cluster: ClusterClient, access: ObjectAccess,
        meta: MetaNode?, store: ChunkStore?, janitor: Janitor?, edge: EdgeNode?,
        admin: HTTPServer, diskFailuresTaken: Counter
    ) {
        self.diskFailuresTaken = diskFailuresTaken
        self.identity = identity
        self.environment = environment
        self.registry = registry
        self.logger = logger
        self.switchboard = switchboard
        self.cluster = cluster
        self.access = access
        self.meta = meta
        self.store = store
        self.janitor = janitor
        self.edge = edge
        self.admin = admin
    }

    /// How long a process that must end waits for the note of why.
    private static let noteTimeout: Duration = .seconds(1)

    /// Opens the node's data, listens, and begins to take part. Returns when the node can be
    /// reached; whether its cluster can decide anything yet is another question.
    package static func start(
        _ identity: NodeIdentity, _ options: NodeOptions, security: NodeSecurity,
        in environment: any Environment, stores: any StoreFactory
    ) async throws(NodeFault) -> Node {
        let configuration = identity.configuration
        let loop = environment.loops[0]
        let registry = MetricsRegistry()
        let logger = Logger(
            component: "node", minimum: options.logLevel, clock: { environment.wallClock },
            sink: { environment.log($0) }
        ).with(["node": configuration.node])
        let diskFailuresTaken = registry.counter(
            "holdfast_disk_failures_taken_total",
            help: "Starts after the disk had failed the node, that went on by themselves.")
        let data = DataDirectory(
            directory: options.dataDirectory, identityDirectory: options.identityDirectory,
            cluster: configuration.cluster, node: configuration.node,
            parts: (configuration.roles.contains(.meta) ? ["meta"] : [])
                + (configuration.roles.contains(.store) ? ["chunks"] : []))
        let files = environment.files
        let failure = try await environment.blocking(.disk) {
            () throws(NodeFault) -> DiskFailureNote? in
            let failure = try data.failureToTake(at: environment.wallClock, files)
            try data.claim(files)
            try security.known.read(from: options.identityDirectory, files)
            return failure
        }
        if let failure {
            logger.warning(
                "the disk has failed this node: its logs are proven and its segments read anew",
                ["reason": failure.reason])
        }
        let end: ProcessEnd = { status, reason in
            // A disk that hangs must not keep the process alive as a leader that persists nothing.
            loop.spawn {
                do { try await loop.sleep(for: Self.noteTimeout) } catch {}
                await environment.terminate(status: status, reason: reason)
            }
            await environment.blocking(.disk) { data.noteEnd(status, reason, files) }
            await environment.terminate(status: status, reason: reason)
        }

        let calls = NodeCalls()
        let peerMetrics = PeerMetrics(registry)
        security.known.count(by: peerMetrics.refusedCertificates)
        let switchboard = Switchboard(
            environment: environment, loop: loop,
            identity: PeerIdentityCard(
                node: configuration.node, cluster: configuration.cluster,
                security: security.peers),
            answerer: calls, metrics: peerMetrics, log: logger,
            events: { calls.peerChanged($0) })
        switchboard.revoke(security.known.removed)
        let cluster = ClusterClient(
            ClusterClientSettings(metaNodes: security.known.contacts(besides: configuration)),
            node: configuration.node,
            environment: environment, loop: loop, peers: switchboard, registry: registry)
        let access = ObjectAccess(
            options.access, environment: environment, cluster: cluster, registry: registry)
        let roles = Roles(
            identity: identity, options: options, environment: environment, loop: loop,
            stores: stores, registry: registry, logger: logger, end: end,
            isAfterDiskFailure: failure != nil)
        let meta = try await roles.openMeta(peers: switchboard, cluster)
        if let meta {
            cluster.use(meta)
            let watch = MasterKeyWatch(
                identityDirectory: options.identityDirectory, meta: meta,
                environment: environment, logger: logger)
            await watch.look()
            loop.spawn { await watch.run(on: loop) }
        }
        let store = try await roles.openStore(clock: cluster.clock)
        if let failure {
            try await environment.blocking(.disk) { () throws(NodeFault) in
                try data.tookFailure(failure, at: environment.wallClock, files)
            }
            diskFailuresTaken.add()
        }
        calls.serve(meta: meta, store: store.map { StoreNode(store: $0) }, cluster: cluster)
        do throws(StreamFault) { try switchboard.listen(on: configuration.peer) } catch {
            throw .cannotListen(configuration.peer, "\(error)")
        }
        switchboard.setAddresses(security.known.addresses(besides: configuration))
        let book = AddressBook(
            node: configuration.node, switchboard: switchboard, known: security.known,
            identityDirectory: options.identityDirectory, environment: environment, loop: loop,
            logger: logger)
        cluster.whenNodesChange { book.update(by: $0) }
        meta?.start()
        let follower = ClockFollower(
            cluster.clock, environment: environment, loop: loop, peers: switchboard
        ) {
            // A meta node that is drained, or a spare one, hears no heartbeats.
            if let meta, meta.hasReplica(of: .system) { return [] }
            let voters = cluster.groupTable?.descriptor(of: .system)?.voters ?? []
            return voters.isEmpty ? configuration.voters : voters
        }
        loop.spawn { await follower.run() }
        if let door = security.doorCertificate {
            let watch = DoorCertificateWatch(
                identityDirectory: options.identityDirectory, door: door,
                environment: environment, logger: logger)
            loop.spawn { await watch.run(on: loop) }
        }
        let edge = try await roles.startEdge(access, cluster, https: security.doors)
        let admin = HTTPServer(
            environment,
            responder: AdminPort(
                identity: identity, registry: registry, cluster: cluster, meta: meta, store: store)
        )
        do throws(StreamFault) { _ = try await admin.start(on: configuration.admin) } catch {
            throw .cannotListen(configuration.admin, "\(error)")
        }
        let node = Node(
            identity: identity, environment: environment, registry: registry, logger: logger,
            switchboard: switchboard, cluster: cluster, access: access, meta: meta, store: store,
            janitor: store.map { roles.makeJanitor($0, cluster) }, edge: edge, admin: admin,
            diskFailuresTaken: diskFailuresTaken)
        loop.spawn { await node.joinCluster() }
        node.janitor?.start()
        return node
    }

    private func joinCluster() async {
        do throws(ClusterFault) {
            try await self.cluster.start()
            self.logger.info("joined the cluster")
        } catch {
            self.logger.error("could not join the cluster", ["reason": "\(error)"])
        }
    }

    /// Ends the node in good order: finishes requests, hands leaderships over, closes its stores.
    package func stop(by deadline: Instant) async {
        await self.edge?.drain(by: deadline)
        await self.meta?.drain()
        do { try await self.environment.loops[0].sleep(for: .milliseconds(100)) } catch {}
        await self.meta?.stop()
        await self.switchboard.shutDown(by: deadline)
        await self.admin.drain(by: deadline)
        await self.janitor?.stop()
        await self.store?.close()
        self.logger.info("stopped")
    }
}

/// Opens the roles of a node, each in its own directory below the node's data.
private struct Roles {
    let identity: NodeIdentity
    let options: NodeOptions
    let environment: any Environment
    let loop: any EventLoop
    let stores: any StoreFactory
    let registry: MetricsRegistry
    let logger: Logger
    let end: ProcessEnd
    let isAfterDiskFailure: Bool

    private var configuration: NodeConfiguration { self.identity.configuration }

    func openMeta(
        peers: any Peers, _ cluster: ClusterClient
    ) async throws(NodeFault) -> MetaNode? {
        guard self.configuration.roles.contains(.meta), let keys = self.identity.masterKeys
        else {
            return nil
        }
        let directory = self.options.dataDirectory + "/meta"
        try await self.makeDirectory(directory)
        try await self.makeDirectory(directory + "/state")
        let preferred = (self.identity.bootstrap?.groupTable.groups ?? []).compactMap { group in
            group.preferredLeader.map { (group.id, $0) }
        }
        var settings = MetaSettings(
            node: self.configuration.node, directory: directory,
            groups: self.configuration.groups, voters: self.configuration.voters,
            preferredLeaders: Dictionary(preferred, uniquingKeysWith: { first, _ in first }),
            bootstrap: self.identity.bootstrap)
        settings.log = self.options.log
        settings.sweep = self.options.sweep
        settings.slotMoves = self.options.slotMoves
        settings.disk = self.options.disk
        do throws(MetaFault) {
            return try await MetaNode.open(
                settings, in: self.environment, loop: self.loop, stores: self.stores,
                peers: peers, secrets: MetaSecrets(keys), end: self.end,
                cluster: cluster,
                layout: { cluster.layout }, groupTable: { cluster.groupTable },
                clock: cluster.clock, registry: self.registry,
                logger: self.logger.component("meta"))
        } catch {
            switch error {
            case .damaged(let reason): throw .damaged(directory: directory, reason: reason)
            case .store(let reason): throw .store(reason)
            }
        }
    }

    func openStore(clock: ClockView) async throws(NodeFault) -> ChunkStore? {
        guard self.configuration.roles.contains(.store) else { return nil }
        let directory = self.options.dataDirectory + "/chunks"
        try await self.makeDirectory(directory)
        let settings = ChunkStoreSettings(
            directory: directory, reserveBytes: self.options.reserveBytes,
            segmentBytes: self.options.segmentBytes, mustReadDevice: self.isAfterDiskFailure)
        do throws(ChunkStoreFault) {
            let store = try await ChunkStore.open(
                settings, in: self.environment, loop: self.loop, stores: self.stores,
                end: self.end, registry: self.registry, clock: { clock.time })
            let damaged = store.counters.recordsTorn.value
            if damaged > 0 {
                self.logger.component("store").warning(
                    "chunks with bad frames were found; they are answered from other copies",
                    ["chunks": damaged])
            }
            return store
        } catch {
            switch error {
            case .inUse(let directory):
                throw .store("\(directory) is in use by another process; stop that one first")
            case .file(let reason), .index(let reason): throw .store(reason)
            case .full: throw .store("no room in \(directory)")
            case .closing: throw .store("\(directory) is being closed")
            }
        }
    }

    func makeJanitor(_ store: ChunkStore, _ cluster: ClusterClient) -> Janitor {
        var settings = self.options.janitor
        // Full is a disk on which no further segment finds room beside the reserve.
        settings.lowSpaceBytes = self.options.reserveBytes + self.options.segmentBytes
        return Janitor(
            store, cluster, settings, in: self.environment, loop: self.loop,
            registry: self.registry, logger: self.logger.component("janitor"))
    }

    func startEdge(
        _ access: ObjectAccess, _ cluster: ClusterClient, https: (any ChannelSecurity)?
    ) async throws(NodeFault) -> EdgeNode? {
        guard self.configuration.roles.contains(.edge) else { return nil }
        var settings = EdgeSettings(edge: self.configuration.edge)
        settings.https = https == nil ? nil : self.configuration.https
        let edge = EdgeNode(
            settings, environment: self.environment, access: access, cluster: cluster,
            https: https, registry: self.registry, logger: self.logger.component("edge"))
        do throws(StreamFault) { try await edge.start() } catch {
            throw .cannotListen(self.configuration.edge, "\(error)")
        }
        return edge
    }

    private func makeDirectory(_ path: String) async throws(NodeFault) {
        let files = self.environment.files
        do throws(FileFault) {
            try await self.environment.blocking(.disk) { () throws(FileFault) in
                try files.makeDirectoryDurably(path)
            }
        } catch { throw .file("\(error)") }
    }
}
