import Cryptography
import IORuntime
import Primitives
import Telemetry

/// What all parts of one node's transport share.
struct PeerContext: Sendable {
    let environment: any Environment
    let loop: any EventLoop
    let security: any ChannelSecurity
    let node: NodeID
    let cluster: ClusterID
    let limits: PeerLimits
    let metrics: PeerMetrics
    let log: Logger

    func randomNumber() -> UInt64 {
        self.environment.randomBytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// What the transport counts.
package struct PeerMetrics: Sendable {
    package let calls: Counter
    package let failedCalls: Counter
    package let answers: Counter
    package let messages: Counter
    package let droppedMessages: Counter
    package let connections: Counter
    package let lostConnections: Counter
    /// Peers that showed no certificate, another node's, or another cluster's.
    package let refusedIdentities: Counter
    /// Connections of nodes that were removed from the cluster.
    package let refusedCertificates: Counter

    package init(_ registry: MetricsRegistry) {
        self.calls = registry.counter("holdfast_peer_calls_total", help: "Calls to other nodes.")
        self.failedCalls = registry.counter(
            "holdfast_peer_calls_failed_total", help: "Calls to other nodes without a response.")
        self.answers = registry.counter("holdfast_peer_answers_total", help: "Calls answered.")
        self.messages = registry.counter(
            "holdfast_peer_messages_total", help: "One-way messages sent.")
        self.droppedMessages = registry.counter(
            "holdfast_peer_messages_dropped_total",
            help: "One-way messages dropped: peer not reachable or queue full.")
        self.connections = registry.counter(
            "holdfast_peer_connections_total", help: "Connections to other nodes made.")
        self.lostConnections = registry.counter(
            "holdfast_peer_connections_lost_total", help: "Connections to other nodes that broke.")
        self.refusedIdentities = registry.counter(
            "holdfast_peer_identities_refused_total",
            help: "Connections refused because the other end was not who it should be.")
        self.refusedCertificates = registry.counter(
            "holdfast_certificates_refused_total",
            help: "Connections refused because the other node was removed from the cluster.")
    }
}
