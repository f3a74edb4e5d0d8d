import Catalog
import PeerTransport
import Primitives

/// Why a group or a store could not be asked.
package enum ClusterFault: Error, Equatable, Sendable {
    /// No replica that could decide was found before the deadline; the command was certainly not
    /// applied, and may be tried again.
    case unavailable(String)
    /// The group has no disk space for a command that grows; it was certainly not applied. Trying
    /// again helps only once somebody has made room.
    case diskFull(String)
    /// The command may or may not have been applied, and no retry found out: told as unknown, never
    /// as a failure.
    case outcomeUnknown(String)
    /// What came back cannot be read, or is no answer to what was asked.
    case malformed(String)
}
