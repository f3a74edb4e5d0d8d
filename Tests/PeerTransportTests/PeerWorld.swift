import Cryptography
import IORuntime
import PeerTransport
import Primitives
import SimulatedRuntime
import Synchronization
import Telemetry
import Testing

/// Simulated machines with one switchboard each: node 1 at 10.0.0.1, node 2 at 10.0.0.2, …
final class PeerWorld {
    static let port: UInt16 = 7000
    let simulator: Simulator
    let machines: [SimulatedNode]
    let cluster: ClusterID
    var limits = PeerLimits()

    init(seed: UInt64 = 1, nodes count: Int = 2) throws {
        let simulator = Simulator(seed: seed)
        self.simulator = simulator
        self.cluster = try #require(ClusterID(bytes: [UInt8](repeating: 7, count: 16)))
        self.machines = (1...count).map {
            simulator.makeNode("n\($0)", host: "10.0.0.\($0)")
        }
    }

    var addresses: [NodeID: SocketAddress] {
        Dictionary(
            uniqueKeysWithValues: (1...self.machines.count).map {
                (NodeID(UInt32($0)), SocketAddress(host: "10.0.0.\($0)", port: Self.port))
            })
    }

    func machine(_ node: NodeID) -> SimulatedNode { self.machines[Int(node.rawValue) - 1] }

    /// Starts a node's switchboard on its running process.
    @discardableResult
    func start(
        _ number: UInt32, _ answerer: any PeerAnswerer = Answerer.echo,
        identity: PeerIdentity? = nil,
        requiresNode: Bool = true, journal: Journal = Journal(), log: Logger = .silent
    ) -> Switchboard {
        let node = NodeID(number)
        let environment = self.machine(node).environment
        let loop = environment.loops[0]
        let security = ClearChannelSecurity(
            identity: identity ?? .node(node, cluster: self.cluster), requiresNode: requiresNode)
        let switchboard = Switchboard(
            environment: environment, loop: loop,
            identity: PeerIdentityCard(node: node, cluster: self.cluster, security: security),
            answerer: answerer, limits: self.limits, metrics: PeerMetrics(journal.metrics),
            log: log
        ) { event in
            journal.add("\(event)", at: environment.now)
        }
        switchboard.setAddresses(self.addresses)
        loop.spawn {
            do throws(StreamFault) {
                try switchboard.listen(on: SocketAddress(host: "10.0.0.\(number)", port: Self.port))
            } catch { journal.add("\(error)", at: environment.now) }
        }
        return switchboard
    }

    /// Runs a story on node 1's loop, once everybody listens, to its end.
    @discardableResult
    func run(
        for span: Duration = .seconds(600),
        _ story: @escaping @Sendable (any EventLoop) async throws -> Void
    ) -> SimulationOutcome {
        let loop = self.machines[0].environment.simulatedLoops[0]
        self.simulator.spawn("story", on: loop) {
            do {
                try await loop.sleep(for: .milliseconds(5))
                try await story(loop)
            } catch { Issue.record(error) }
        }
        let outcome = self.simulator.run(for: span)
        #expect(outcome.ending == .finished)
        return outcome
    }
}

/// What happened, in order, for the test to look at.
final class Journal: Sendable {
    let metrics = MetricsRegistry()
    private let entries = Mutex<[(text: String, time: Instant)]>([])

    func add(_ text: String, at time: Instant = Instant(nanoseconds: 0)) {
        self.entries.withLock { $0.append((text, time)) }
    }

    var lines: [String] { self.entries.withLock { $0.map(\.text) } }

    func time(of text: String) -> Instant? {
        self.entries.withLock { $0.first { $0.text == text }?.time }
    }

    func value(of metric: String) -> UInt64 {
        for line in self.metrics.exposition.split(separator: "\n")
        where line.hasPrefix(metric + " ") {
            return UInt64(line.split(separator: " ")[1]) ?? 0
        }
        return 0
    }
}

/// An answerer made of closures.
struct Answerer: PeerAnswerer {
    var onMessage: @Sendable ([UInt8], UInt16, NodeID) -> Void = { _, _, _ in }
    var onRequest: @Sendable (PeerRequest, NodeID) async -> PeerAnswer

    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        await self.onRequest(request, peer)
    }

    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {
        self.onMessage(message, kind, peer)
    }

    /// Gives back what it gets.
    static let echo = Answerer { request, _ in
        .response(PeerResponse(head: request.head, body: request.body))
    }
}

extension Switchboard {
    func result(
        _ node: UInt32, _ request: PeerRequest, lane: Lane = .control, within span: Duration,
        on loop: any EventLoop
    ) async -> Result<PeerResponse, CallFault> {
        do throws(CallFault) {
            return .success(
                try await self.call(NodeID(node), request, lane: lane, deadline: loop.now + span))
        } catch { return .failure(error) }
    }
}

/// Bytes of which no two parts near each other are equal.
func patterned(_ count: Int, _ start: Int = 0) -> [UInt8] {
    let period = (0..<4_093).map { UInt8(truncatingIfNeeded: ($0 &+ start) &* 31 >> 3) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes += period.prefix(count - bytes.count) }
    return bytes
}

extension [[UInt8]] {
    /// The pieces one behind the other.
    var whole: [UInt8] {
        var bytes: [UInt8] = []
        for piece in self { bytes += piece }
        return bytes
    }
}
