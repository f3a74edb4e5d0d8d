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
    /// What `/status` calls this release.
    static let version = "0.1.0"

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
                let isReady = self.cluster.incarnation != nil
                try await Self.answer(
                    exchange, "text/plain", isReady ? "ok\n" : "joining\n",
                    status: isReady ? .ok : .unavailable)
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

    private func status() async -> String {
        let configuration = self.identity.configuration
        let groups = await self.meta?.groupStatuses() ?? []
        let renderedGroups = groups.map { group, status in
            "{\"group\":\(group),\"role\":\"\(status.role)\",\"term\":\(status.term),"
                + "\"leader\":\(status.leader.map(\.description) ?? "null"),"
                + "\"applied\":\(status.applied),\"commit\":\(status.commit)}"
        }
        var fields = [
            "\"node\":\(configuration.node)", "\"cluster\":\"\(configuration.cluster)\"",
            "\"zone\":\"\(Self.escaped(configuration.zone))\"",
            "\"version\":\"\(Self.version)\"",
            "\"ready\":\(self.cluster.incarnation != nil)",
            "\"promise\":\"\(self.promise)\"",
            "\"groups\":[\(renderedGroups.joined(separator: ","))]",
        ]
        if let store = await self.store?.status() {
            fields.append(
                "\"store\":{\"chunks\":\(store.chunks),\"sealedBytes\":\(store.sealedBytes),"
                    + "\"segments\":\(store.segments),\"freeBytes\":\(store.freeBytes)}")
        }
        return "{\(fields.joined(separator: ","))}\n"
    }

    /// The promise in force for a cluster of this size.
    private var promise: String {
        switch self.identity.configuration.voters.count {
        case 1: "one node: an acknowledged write survives a power cut, not the loss of the node"
        case 2, 3, 4: "an acknowledged write survives the loss of any one node"
        default: "an acknowledged write survives the loss of any two nodes"
        }
    }

    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { out, scalar in
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case _ where scalar.value < 0x20: out += " "
            default: out.unicodeScalars.append(scalar)
            }
        }
    }
}
