import HTTPSyntax
import IORuntime

/// What answers requests: a door.
package protocol HTTPResponder: Sendable {
    /// Answers `request` through `exchange`, on the connection's loop and in its task: requests of
    /// one connection come one after the other. Returning without an answer makes it a 500;
    /// returning with a response begun and not finished cuts the connection, so that the client
    /// cannot take a part for the whole.
    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async
}

/// A request without its body, which the exchange reads.
package struct HTTPRequest: Sendable {
    package let head: RequestHead
    /// Who sent it: the other end of the TCP connection, which may be a proxy.
    package let remoteAddress: SocketAddress
    /// Whether it came over TLS.
    package let isSecure: Bool

    package init(head: RequestHead, remoteAddress: SocketAddress, isSecure: Bool) {
        self.head = head
        self.remoteAddress = remoteAddress
        self.isSecure = isSecure
    }
}

/// Why an exchange cannot go on. All but `bodyTooLarge` and the misuses end the connection.
package enum HTTPExchangeFault: Error, Equatable, Sendable {
    /// The connection broke, or the server gave it up.
    case connection(StreamFault)
    /// The client ended the stream inside the body.
    case bodyTruncated
    /// The chunks of the body are malformed.
    case bodyMalformed(HTTPRefusal)
    /// The client sent the body, or took the response, at less than the least rate.
    case tooSlow
    /// The body is longer than the caller would take. Nothing more of it is read.
    case bodyTooLarge(limit: Int)
    /// A second response, or one that goes on after its end.
    case outOfOrder
    /// The bytes written are not as many as stated; the connection is cut if a client could see it.
    case lengthMismatch(stated: UInt64, written: UInt64)

    /// What to answer, where an answer can still be given.
    package var status: Status? {
        switch self {
        case .bodyTruncated: .badRequest
        case .bodyMalformed(let refusal): refusal.status
        case .tooSlow: .requestTimeout
        case .bodyTooLarge: .contentTooLarge
        case .connection, .outOfOrder, .lengthMismatch: nil
        }
    }
}
