import HTTPTransport
import IORuntime
import Primitives

/// How an edge listens and serves.
package struct EdgeSettings: Sendable {
    /// Clear text.
    package var edge: SocketAddress
    /// TLS; nil: none.
    package var https: SocketAddress?
    /// What S3 clients are told the cluster's region is.
    package var region = "holdfast"
    /// For what a request needs of metadata; bodies are bounded by their least rate instead.
    package var requestTimeout: Duration = .seconds(30)
    package var http = HTTPServerSettings()

    package init(edge: SocketAddress) {
        self.edge = edge
    }
}
