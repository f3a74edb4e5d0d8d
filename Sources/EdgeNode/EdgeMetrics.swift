import HTTPSyntax
import Primitives
import Telemetry

/// What an edge counts of its requests.
struct EdgeMetrics: Sendable {
    /// By method, then by the first digit of the status.
    private let requests: [[Counter]]
    private let latency: Histogram
    private let receivedBytes: Counter
    private let sentBytes: Counter

    private static let methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "other"]
    private static let classes = ["2xx", "3xx", "4xx", "5xx"]

    init(_ registry: MetricsRegistry) {
        self.requests = Self.methods.map { method in
            Self.classes.map { statusClass in
                registry.counter(
                    "holdfast_edge_requests_total", ["method": method, "status": statusClass],
                    help: "Requests answered, by method and class of status.")
            }
        }
        self.latency = registry.histogram(
            "holdfast_edge_request_seconds",
            help: "From a request's head to the end of its response.")
        self.receivedBytes = registry.counter(
            "holdfast_edge_received_bytes_total", help: "Body bytes of requests.")
        self.sentBytes = registry.counter(
            "holdfast_edge_sent_bytes_total", help: "Body bytes of responses.")
    }

    func answered(
        _ method: Method, _ status: Status, in span: Duration, receivedBytes: UInt64,
        sentBytes: UInt64
    ) {
        let statusClass = min(max(Int(status.rawValue) / 100, 2), 5) - 2
        self.requests[Self.row(of: method)][statusClass].add()
        self.latency.record(span)
        self.receivedBytes.add(receivedBytes)
        self.sentBytes.add(sentBytes)
    }

    private static func row(of method: Method) -> Int {
        switch method {
        case .get: 0
        case .head: 1
        case .put: 2
        case .post: 3
        case .delete: 4
        case .options, .patch, .other: 5
        }
    }
}
