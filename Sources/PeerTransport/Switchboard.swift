import Cryptography
import IORuntime
import Primitives
import Synchronization
import Telemetry
import Wire

/// Who a node is in the transport, and what it uses.
package struct PeerIdentityCard: Sendable {
    package var node: NodeID
    package var cluster: ClusterID
    package var security: any ChannelSecurity
    package init(node: NodeID, cluster: ClusterID, security: any ChannelSecurity) {
        self.node = node
        self.cluster = cluster
        self.security = security
    }
}

/// Connects the calls of one node: those to other nodes over two lanes each, those to itself
/// straight to its own answerer, by the same rules. Also answers the calls of others.
///
/// Callers may be on any loop. The connections live on `loop`, so callers there pay no thread
/// switch; a node whose other loops make many calls gives each loop a switchboard of its own.
package final class Switchboard: Peers {
    private struct State {
        var peers: [NodeID: Peer] = [:]
        var sessions: [UInt64: PeerSession] = [:]
        var lastSession: UInt64 = 0
        /// Nodes that are neither answered nor called.
        var revoked: Set<NodeID> = []
        var listeners: [any Listener] = []
        var isDraining = false
        var isClosed = false
    }

    private struct Peer {
        let control: PeerLane
        let bulk: PeerLane
        func lane(_ lane: Lane) -> PeerLane {
            switch lane {
            case .control: self.control
            case .bulk: self.bulk
            }
        }
    }

    private let context: PeerContext
    private let answerer: any PeerAnswerer
    private let local: LocalLane
    private let events: @Sendable (PeerEvent) -> Void
    private let requestBudget: ByteBudget
    private let responseBudget: ByteBudget
    private let state = Mutex(State())

    /// - Parameters:
    ///   - answerer: answers calls that arrive, and this node's own to itself.
    ///   - events: told on `loop` of each change; must return at once.
    package init(
        environment: any Environment, loop: any EventLoop, identity: PeerIdentityCard,
        answerer: any PeerAnswerer, limits: PeerLimits = PeerLimits(),
        metrics: PeerMetrics = PeerMetrics(MetricsRegistry()), log: Logger = .silent,
        events: @escaping @Sendable (PeerEvent) -> Void = { _ in }
    ) {
        self.context = PeerContext(
            environment: environment, loop: loop, security: identity.security,
            node: identity.node, cluster: identity.cluster, limits: limits, metrics: metrics,
            log: log.component("peer"))
        self.answerer = answerer
        self.local = LocalLane(context: self.context, answerer: answerer)
        self.events = events
        self.requestBudget = ByteBudget(limitBytes: limits.requestBudgetBytes)
        self.responseBudget = ByteBudget(limitBytes: limits.responseBudgetBytes)
    }

    // MARK: Asking

    package func call(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async throws(CallFault) -> PeerResponse {
        self.context.metrics.calls.add()
        do throws(CallFault) {
            return try await self.route(node, request, lane: lane, deadline: deadline).get()
        } catch {
            self.context.metrics.failedCalls.add()
            throw error
        }
    }

    private func route(
        _ node: NodeID, _ request: PeerRequest, lane: Lane, deadline: Instant
    ) async -> CallResult {
        let (peer, isDraining) = self.state.withLock { ($0.peers[node], $0.isDraining) }
        if isDraining { return .failure(.shuttingDown) }
        if node == self.context.node {
            return await self.local.call(request, deadline: deadline)
        }
        guard let peer else { return .failure(.unreachable(node)) }
        let isBulk = lane == .bulk || request.bodyBytes >= PeerLimits.bulkSizeBytes
        return await (isBulk ? peer.bulk : peer.control).call(request, deadline: deadline)
    }

    package func send(_ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane) {
        self.send(node, kind: kind, message, lane: lane, isUrgent: false)
    }

    package func sendUrgent(_ node: NodeID, kind: UInt16, _ message: [UInt8]) {
        self.send(node, kind: kind, message, lane: .control, isUrgent: true)
    }

    private func send(
        _ node: NodeID, kind: UInt16, _ message: [UInt8], lane: Lane, isUrgent: Bool
    ) {
        if node == self.context.node {
            self.local.send(message, kind: kind)
        } else if let peer = self.state.withLock({ $0.peers[node] }) {
            peer.lane(lane).send(message, kind: kind, isUrgent: isUrgent)
        } else {
            self.context.metrics.messages.add()
            self.context.metrics.droppedMessages.add()
        }
    }

    /// Says where all other nodes are. Connections to nodes that are not listed are closed; the
    /// others stay, and dial the new address when they next dial.
    package func setAddresses(_ addresses: [NodeID: SocketAddress]) {
        let closed = self.state.withLock { state -> [Peer] in
            guard !state.isClosed else { return [] }
            var closed: [Peer] = []
            for node in state.peers.keys.sorted() where addresses[node] == nil {
                if let peer = state.peers.removeValue(forKey: node) { closed.append(peer) }
            }
            for (node, address) in addresses.sorted(by: { $0.key < $1.key })
            where node != self.context.node && !state.revoked.contains(node) {
                if let known = state.peers[node] {
                    for lane in Lane.allCases { known.lane(lane).move(to: address) }
                } else {
                    state.peers[node] = self.peer(node, at: address)
                }
            }
            return closed
        }
        for peer in closed {
            for lane in Lane.allCases { peer.lane(lane).close() }
        }
    }

    /// From now on these nodes, and those named before, are neither answered nor called: their
    /// certificates are good for nothing any more.
    package func revoke(_ nodes: [NodeID]) {
        let (peers, sessions) = self.state.withLock { state -> ([Peer], [PeerSession]) in
            let new = nodes.filter { state.revoked.insert($0).inserted }
            let peers = new.compactMap { state.peers.removeValue(forKey: $0) }
            let sessions = state.sessions.sorted { $0.key < $1.key }.map(\.value)
            return (peers, sessions.filter { new.contains($0.peer) })
        }
        for peer in peers {
            for lane in Lane.allCases { peer.lane(lane).close() }
        }
        // Sessions are closed on their loop.
        self.context.loop.spawn { for session in sessions { session.close() } }
    }

    private func peer(_ node: NodeID, at address: SocketAddress) -> Peer {
        func lane(_ lane: Lane) -> PeerLane {
            PeerLane(
                node: node, lane: lane, address: address, context: self.context,
                budget: self.responseBudget, events: self.events)
        }
        return Peer(control: lane(.control), bulk: lane(.bulk))
    }

    // MARK: Answering

    /// Listens for the other nodes, and says on which address (port 0 asks for a free one).
    @discardableResult
    package func listen(on address: SocketAddress) throws(StreamFault) -> SocketAddress {
        let listener = try self.context.environment.listen(on: address, loop: self.context.loop)
        let isClosed = self.state.withLock { state in
            state.listeners.append(listener)
            return state.isDraining
        }
        if isClosed { listener.close() }
        self.context.loop.spawn { await self.accept(from: listener) }
        return listener.address
    }

    private func accept(from listener: any Listener) async {
        while true {
            let stream: any ByteStream
            do throws(StreamFault) { stream = try await listener.accept() } catch {
                if error == .closed { return }
                // Out of descriptors, or a connection that ended before it was taken.
                self.context.log.warning("cannot accept a peer", ["fault": "\(error)"])
                do { try await self.context.loop.sleep(for: .milliseconds(10)) } catch { return }
                continue
            }
            self.context.loop.spawn { await self.serve(stream) }
        }
    }

    private func serve(_ stream: any ByteStream) async {
        let from = stream.remoteAddress
        var decoder = FrameDecoder()
        do throws(LinkFault) {
            let (channel, hello) = try await self.greet(stream, &decoder)
            let session = PeerSession(
                peer: hello.sender, channel: channel, context: self.context,
                budget: self.requestBudget, answerer: self.answerer)
            guard let number = self.add(session) else { return session.close() }
            // Who calls us can be called.
            if let peer = self.state.withLock({ $0.peers[hello.sender] }) {
                for lane in Lane.allCases { peer.lane(lane).nudge() }
            }
            let fault = await session.run(decoder)
            self.state.withLock { $0.sessions[number] = nil }
            self.context.log.debug(
                "session ended", ["peer": hello.sender, "lane": hello.lane, "fault": "\(fault)"])
        } catch {
            if case .wrongPeer = error { self.context.metrics.refusedIdentities.add() }
            if case .revoked = error { self.context.metrics.refusedCertificates.add() }
            self.context.log.warning("peer refused", ["address": from, "fault": "\(error)"])
        }
    }

    private func greet(
        _ stream: any ByteStream, _ decoder: inout FrameDecoder
    ) async throws(LinkFault) -> (any SecureChannel, Hello) {
        let deadline = self.context.loop.now + self.context.limits.handshakeLimit
        let channel: any SecureChannel
        do throws(StreamFault) {
            channel = try await self.context.security.secure(
                stream, as: .server, deadline: deadline)
        } catch { throw .stream(error) }
        do throws(LinkFault) {
            let hello = try await Hello.read(from: channel, &decoder, deadline: deadline)
            guard hello.cluster == self.context.cluster, hello.addressee == self.context.node,
                channel.peer == .node(hello.sender, cluster: self.context.cluster)
            else { throw .wrongPeer(claimed: hello.sender) }
            guard !self.state.withLock({ $0.revoked.contains(hello.sender) }) else {
                throw .revoked(hello.sender)
            }
            try await hello.answer.write(to: channel, deadline: deadline)
            return (channel, hello)
        } catch {
            channel.close()
            throw error
        }
    }

    private func add(_ session: PeerSession) -> UInt64? {
        self.state.withLock { state in
            guard !state.isClosed else { return nil }
            if state.isDraining { session.drain() }
            state.lastSession += 1
            state.sessions[state.lastSession] = session
            return state.lastSession
        }
    }

    // MARK: Ending

    /// Takes no new calls, lets those under way end until `deadline`, then closes everything.
    package func shutDown(by deadline: Instant) async {
        let (listeners, sessions) = self.state.withLock { state in
            state.isDraining = true
            return (state.listeners, state.sessions.sorted { $0.key < $1.key }.map(\.value))
        }
        for listener in listeners { listener.close() }
        for session in sessions { session.drain() }
        while !self.isIdle, self.context.loop.now < deadline {
            do { try await self.context.loop.sleep(for: .milliseconds(5)) } catch { break }
        }
        self.close()
    }

    private var isIdle: Bool {
        let (peers, sessions) = self.state.withLock {
            (Array($0.peers.values), Array($0.sessions.values))
        }
        return self.local.callsInFlight == 0
            && peers.allSatisfy { $0.control.callsInFlight + $0.bulk.callsInFlight == 0 }
            && sessions.allSatisfy(\.isIdle)
    }

    /// Closes everything at once; calls under way fail.
    package func close() {
        let (listeners, peers, sessions) = self.state.withLock { state in
            state.isDraining = true
            state.isClosed = true
            defer {
                state.peers = [:]
                state.sessions = [:]
                state.listeners = []
            }
            return (
                state.listeners, state.peers.sorted { $0.key < $1.key }.map(\.value),
                state.sessions.sorted { $0.key < $1.key }.map(\.value)
            )
        }
        for listener in listeners { listener.close() }
        for peer in peers {
            for lane in Lane.allCases { peer.lane(lane).close() }
        }
        self.local.close()
        // Sessions are closed on their loop.
        self.context.loop.spawn { for session in sessions { session.close() } }
    }
}
