import ClusterClient
import HTTPSyntax
import HTTPTransport
import IORuntime
import LinkDoor
import ObjectExchange
import Primitives
import S3Door
import Synchronization
import Telemetry

/// Leads each request to its door, and notes what became of it.
final class EdgeRouter: HTTPResponder {
    private let environment: any Environment
    private let cluster: ClusterClient
    private let s3: S3Door
    private let links: LinkDoor
    private let metrics: EdgeMetrics
    private let logger: Logger
    private let requestTimeout: Duration
    private let commonFields: FieldBlock
    private let requestCount = Atomic<UInt64>(0)

    init(
        environment: any Environment, cluster: ClusterClient, s3: S3Door, links: LinkDoor,
        metrics: EdgeMetrics, logger: Logger, requestTimeout: Duration
    ) {
        self.environment = environment
        self.cluster = cluster
        self.s3 = s3
        self.links = links
        self.metrics = metrics
        self.logger = logger
        self.requestTimeout = requestTimeout
        self.commonFields = DoorExchange.commonFields(of: cluster.node)
    }

    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async {
        let began = self.environment.now
        let incarnation = self.cluster.incarnation
        let id = RequestID(
            incarnation: incarnation ?? 0,
            count: self.requestCount.add(1, ordering: .relaxed).newValue, node: self.cluster.node)
        let visit = DoorExchange(
            request, exchange, id: id, deadline: began + self.requestTimeout,
            commonFields: self.commonFields)
        if incarnation == nil {
            await visit.refuse(S3Refusal(.serviceUnavailable, cause: "not started yet"))
        } else {
            await self.route(visit)
        }
        self.note(visit, began)
    }

    private func route(_ visit: DoorExchange) async {
        switch EdgeDoor(path: visit.head.path) {
        case .links: await self.links.respond(to: visit)
        case .s3: await self.s3.respond(to: visit)
        case .reserved: await visit.refuse(S3Refusal(.notImplemented))
        }
    }

    private func note(_ visit: DoorExchange, _ began: Instant) {
        let span = self.environment.now - began
        let status = visit.status ?? .internalError
        self.metrics.answered(
            visit.head.method, status, in: span, receivedBytes: visit.receivedBytes,
            sentBytes: visit.sentBytes)
        if status.rawValue >= 500, let cause = visit.cause {
            self.logger.warning(
                "request failed",
                ["request": visit.id, "status": status.rawValue, "cause": cause])
        }
        // The query is left out: links and presigned URLs carry their rights in it.
        self.logger.debug(
            "request",
            [
                "request": visit.id, "method": visit.head.method,
                "path": String(decoding: visit.head.path, as: UTF8.self),
                "status": status.rawValue, "received": visit.receivedBytes,
                "sent": visit.sentBytes, "client": visit.request.remoteAddress,
                "microseconds": span.wholeNanoseconds / 1_000, "cause": visit.cause ?? "-",
            ])
    }
}

/// Which door a path leads to. Bucket names have three characters or more, so shorter first
/// segments are free for the other doors.
enum EdgeDoor: Equatable {
    case s3
    case links
    /// For doors that this release does not have.
    case reserved

    private static let reservedPrefixes = ["/v1/", "/u/", "/ui/"].map { Array($0.utf8) }

    init(path: ArraySlice<UInt8>) {
        if path.starts(with: LinkDoor.pathPrefix) {
            self = .links
        } else if Self.reservedPrefixes.contains(where: { path.starts(with: $0) }) {
            self = .reserved
        } else {
            self = .s3
        }
    }
}
