import HTTPSyntax
import IORuntime
import Primitives

/// The bounds within which a client works, each with its unit.
package struct HTTPClientSettings: Equatable, Sendable {
    package var limits = HeadLimits()

    /// For making a connection, its TLS handshake included.
    package var connectTimeout: Duration = .seconds(5)
    /// How long a connection may lie unused and still be used again. Below the 60 s after which
    /// our own servers close.
    package var idleTimeout: Duration = .seconds(30)
    /// How long a request with `Expect: 100-continue` waits for leave before it sends its body
    /// anyway (RFC 9110 §10.1.1).
    package var continueTimeout: Duration = .seconds(1)

    /// What a server must take of a request, and send of a response body, while we wait for it.
    package var leastBytesPerSecond = 1024
    /// The waiting time over which that rate is measured.
    package var rateWindow: Duration = .seconds(30)

    /// Connections to one endpoint at a time; further requests wait for one of them.
    package var connectionsPerEndpoint = 64
    /// Unused connections kept, over all endpoints; the oldest is closed first.
    package var idleConnections = 64
    /// Requests that wait for a connection, over all endpoints; one more is refused.
    package var waitingRequests = 1024

    package init() {}
}

/// Where requests go.
package struct HTTPEndpoint: Hashable, Sendable {
    package var address: SocketAddress
    /// The host that the server's certificate must be valid for; nil for clear text.
    package var secureHost: String?

    package init(_ address: SocketAddress, secureHost: String? = nil) {
        self.address = address
        self.secureHost = secureHost
    }
}

/// The body of a request.
package enum RequestBody {
    case none
    case bytes([UInt8])
    /// `length` bytes that `next` gives in pieces, and nil after the last. It is asked only when
    /// the piece before has left, and it cannot be asked again, so that such a request is tried
    /// once more only while nothing was asked of it.
    case stream(length: UInt64, next: () async throws -> ArraySlice<UInt8>?)
}

/// Why there is no response, or no more of it.
package enum HTTPClientFault: Error, Equatable, Sendable {
    /// No connection could be made, or it broke. Whether the server acted on the request is
    /// unknown, unless the fault is `.refused` or `.unreachable`.
    case connection(StreamFault)
    case deadlineExceeded
    /// The response is malformed or over a bound.
    case responseRefused(HTTPRefusal)
    /// The server ended the connection inside the response's body.
    case responseTruncated
    case responseTooLarge(limit: Int)
    /// The request's body source threw; the source knows why.
    case bodySourceFailed
    /// The body source gave more or fewer bytes than the head states.
    case bodyLengthMismatch(stated: UInt64, given: UInt64)
    /// So many requests wait for a connection already.
    case tooManyWaiting(limit: Int)
    /// The endpoint asks for TLS, and this client has no means for it.
    case noSecurity

    init(_ fault: StreamFault) {
        self = fault == .deadlineExceeded ? .deadlineExceeded : .connection(fault)
    }
}
