import HTTPSyntax
import Primitives

/// The bounds within which a server serves, each with its unit.
package struct HTTPServerSettings: Equatable, Sendable {
    package var limits = HeadLimits()

    /// From the first byte of a head (on a fresh connection: from its beginning) to its last; then
    /// 408.
    package var headTimeout: Duration = .seconds(10)
    /// Between two requests on one connection; then it is closed.
    package var idleTimeout: Duration = .seconds(60)
    /// For the TLS handshake.
    package var handshakeTimeout: Duration = .seconds(10)

    /// What a client must send of a body, and take of a response, while we wait for it; a slower
    /// one is cut off.
    package var leastBytesPerSecond = 1024
    /// The waiting time over which that rate is measured.
    package var rateWindow: Duration = .seconds(30)

    /// More connections than this, on all loops together, are answered with 503 and closed.
    package var connectionLimit = 10_000

    /// What is read and dropped of a body that the responder did not want, to keep the connection.
    package var discardLimitBytes = 262_144
    /// What is read and dropped, and for how long, so that a last answer is not overtaken by a
    /// reset.
    package var lingerLimitBytes = 1_048_576
    package var lingerTimeout: Duration = .seconds(2)

    package init() {}
}
