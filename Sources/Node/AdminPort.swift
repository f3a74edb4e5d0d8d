import ChunkProtocol
import ChunkStore
import ClusterClient
import Consensus
import HTTPSyntax
import HTTPTransport
import IORuntime
import MetaNode
import Primitives
import Telemetry

/// The port for who runs the node: `/metrics` (Prometheus), `/healthz`, `/status` (JSON). On
/// loopback unless the configuration says otherwise; nothing on it changes anything.
final class AdminPort: HTTPResponder {
    private let identity: NodeIdentity
    private let registry: MetricsRegistry
    private let cluster: ClusterClient
    private let meta: MetaNode?
    private let store: ChunkStore?

    init(
        identity: NodeIdentity, registry: MetricsRegistry, cluster: ClusterClient,
        meta: MetaNode?, store: ChunkStore?
    ) {
        self.identity = identity
        self.registry = registry
        self.cluster = cluster
        self.meta = meta
        self.store = store
    }

    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async {
        do throws(HTTPExchangeFault) {
            guard request.head.method == .get || request.head.method == .head else {
                return try await exchange.respond(OutgoingResponse(.methodNotAllowed))
            }
            switch String(decoding: request.head.path, as: UTF8.self) {
            case "/metrics":
                try await Self.answer(
                    exchange, "text/plain; version=0.0.4", self.registry.exposition)
            case "/healthz":
                let health = self.health
                try await Self.answer(
                    exchange, "text/plain", health + "\n",
                    status: health == "ok" ? .ok : .unavailable)
            case "/status":
                try await Self.answer(exchange, "application/json", await self.status())
            default:
                try await exchange.respond(OutgoingResponse(.notFound))
            }
        } catch {
            exchange.abort()
        }
    }

    private static func answer(
        _ exchange: HTTPExchange, _ type: String, _ text: String, status: Status = .ok
    ) async throws(HTTPExchangeFault) {
        var response = OutgoingResponse(status)
        do throws(FieldFault) {
            try response.fields.add("Content-Type", type)
            try response.fields.add("Cache-Control", "no-store")
        } catch { brokenInvariant("constant fields are well formed: \(error)") }
        try await exchange.respond(response, body: Array(text.utf8))
    }

    /// `ok`, or why the node does not do all that it should.
    private var health: String {
        if self.cluster.incarnation == nil { return "joining" }
        let verdict = self.cluster.clock.verdict
        guard verdict.isUnfitForEdges, let offset = verdict.offset else { return "ok" }
        return "the clock is off by \(offset): signed requests and links are refused"
    }

    private func status() async -> String {
        StatusDocument(
            configuration: self.identity.configuration,
            isReady: self.cluster.incarnation != nil,
            groups: await self.meta?.groupStatuses() ?? [],
            audits: self.meta?.auditFigures ?? [], store: await self.store?.status(),
            masterKeys: await self.meta?.masterKeyReport(),
            disk: await self.meta?.diskStatus,
            clock: (self.cluster.clock.verdict, known: self.cluster.clock.knownClocks),
            replicas: await self.meta?.auditStandings() ?? []
        ).json
    }
}
