import Primitives

/// The bounds of the transport between nodes. All nodes of a cluster use the same ones; a value, so
/// that tests can make them small.
package struct PeerLimits: Sendable {
    /// The longest head of a request or a response.
    package static let headLimitBytes = 192 << 10
    /// The longest body of a request or a response: a chunk and its framing, with room to spare.
    package static let bodyLimitBytes = 32 << 20
    /// The longest message.
    package static let messageLimitBytes = 8 << 20
    /// A request with a body from this size on travels on the bulk lane.
    package static let bulkSizeBytes = 64 << 10
    /// What one frame carries of a body or a message, so that another call's turn comes soon.
    package static let partSizeBytes = 128 << 10
    /// A body up to this size may be sent unasked; for a larger one the receiver first gives credit.
    package static let eagerBodyBytes = 256 << 10

    /// Bodies sent unasked and not yet answered, for each connection.
    package var eagerWindowBytes = 4 << 20
    /// Calls under way or waiting on one connection; one more is `overloaded`.
    package var callsInFlight = 4_096
    /// Bytes of calls in one connection's write queue; calls beyond wait within their deadlines.
    package var writeQueueBytes = 16 << 20
    /// Bytes of messages in one connection's write queue; a message beyond is dropped.
    package var messageQueueBytes = 16 << 20
    /// Bodies of requests that a node holds credit out for or answers.
    package var requestBudgetBytes = 64 << 20
    /// Bodies of responses that a node holds credit out for.
    package var responseBudgetBytes = 64 << 20

    /// Making a connection, secure and introduced, takes at most so long.
    package var handshakeLimit: Duration = .seconds(3)
    /// Who has written nothing for so long says that it is still there.
    package var pingInterval: Duration = .seconds(1)
    /// A connection on which nothing was heard, or nothing could be written, for so long is closed.
    package var silenceLimit: Duration = .seconds(3)
    /// The wait after the first failed dial; it doubles with each, and half of it is random.
    package var backoffFloor: Duration = .milliseconds(50)
    package var backoffCeiling: Duration = .seconds(2)

    package init() {}

    /// The wait before dial number `failures + 1`, half of it decided by `random` (any number).
    func backoff(failures: Int, random: UInt64) -> Duration {
        let doubled = self.backoffFloor * (1 << min(failures, 16))
        let whole = min(doubled, self.backoffCeiling).wholeNanoseconds
        return .nanoseconds(whole / 2 + Int64(random % UInt64(whole / 2 + 1)))
    }
}
