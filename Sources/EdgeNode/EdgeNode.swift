import ClusterClient
import Cryptography
import HTTPTransport
import IORuntime
import LinkDoor
import ObjectAccess
import ObjectExchange
import Primitives
import S3Door
import Synchronization
import Telemetry

/// The edge role: the doors, on a plain and a secure listener. It holds nothing that it could not
/// learn again, and answers 503 until the cluster client has started.
package final class EdgeNode: Sendable {
    private let settings: EdgeSettings
    private let plain: HTTPServer
    private let secure: HTTPServer?
    private let bound = Mutex<Addresses>(Addresses())
    private let logger: Logger

    /// Where an edge listens, with the ports that the system chose.
    package struct Addresses: Equatable, Sendable {
        package fileprivate(set) var edge: SocketAddress?
        package fileprivate(set) var https: SocketAddress?
    }

    /// - Parameter https: what secures the channels of `settings.https`; nil: nothing listens there.
    package init(
        _ settings: EdgeSettings, environment: any Environment, access: ObjectAccess,
        cluster: ClusterClient, https: (any ChannelSecurity)?, registry: MetricsRegistry,
        logger: Logger
    ) {
        self.settings = settings
        self.logger = logger
        let authenticator = RequestAuthenticator(
            environment: environment, source: cluster, clock: cluster.clock)
        let router = EdgeRouter(
            environment: environment, cluster: cluster,
            s3: S3Door(access: access, authenticator: authenticator, region: settings.region),
            links: LinkDoor(
                environment: environment, access: access, cluster: cluster,
                authenticator: authenticator, registry: registry),
            metrics: EdgeMetrics(registry), logger: self.logger,
            requestTimeout: settings.requestTimeout)
        self.plain = HTTPServer(environment, settings: settings.http, responder: router)
        self.secure = https.map { security in
            HTTPServer(
                environment, settings: settings.http, security: security, responder: router)
        }
    }

    /// Where the edge listens; nothing before `start`.
    package var addresses: Addresses { self.bound.withLock { $0 } }

    /// Listens and serves.
    package func start() async throws(StreamFault) {
        let edge = try await self.plain.start(on: self.settings.edge)
        self.bound.withLock { $0.edge = edge }
        self.logger.info("edge listens", ["address": edge, "security": "none"])
        guard let secure = self.secure, let address = self.settings.https else { return }
        let https = try await secure.start(on: address)
        self.bound.withLock { $0.https = https }
        self.logger.info("edge listens", ["address": https, "security": "TLS"])
    }

    /// Takes no more requests, and returns when those under way are answered, or cut at `deadline`.
    package func drain(by deadline: Instant) async {
        await self.plain.drain(by: deadline)
        await self.secure?.drain(by: deadline)
    }
}
