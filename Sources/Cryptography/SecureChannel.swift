package import IORuntime
package import Primitives

/// A byte stream whose other end is known, and whose bytes nobody between can read or change: TLS,
/// or in simulation clear bytes with an asserted identity.
package protocol SecureChannel: ByteStream {
    /// Who the other end proved to be.
    var peer: PeerIdentity { get }
    /// Whether a byte that was changed on its way is never read: the channel proves each of them.
    var provesBytes: Bool { get }
}

package enum PeerIdentity: Equatable, Sendable {
    /// The other end showed no certificate: a client of a door.
    case anonymous
    /// The other end holds the certificate of this node of this cluster.
    case node(NodeID, cluster: ClusterID)
}

/// Which end of a channel this side is, and whom it means to speak with.
package enum ChannelRole: Equatable, Sendable {
    /// Accepts. Whether a client must show a node's certificate is the security's own setting.
    case server
    /// Connects to a node: refused unless the other end proves to be just that node of our cluster.
    case client(of: NodeID)
    /// Connects to a door: refused unless the certificate is valid for this host name or address.
    case clientOfHost(String)
}

/// Makes channels secure: one value per set of certificates.
package protocol ChannelSecurity: Sendable {
    /// Shakes hands over a fresh stream. On a fault (`.insecure` with a reason, or the stream's
    /// own) the stream is closed. The channel is used on the stream's loop, and closing it closes the
    /// stream.
    func secure(
        _ stream: any ByteStream, as role: ChannelRole, deadline: Instant
    ) async throws(StreamFault) -> any SecureChannel
}
