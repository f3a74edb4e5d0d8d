import IORuntime
import Primitives
import Wire

/// Why a connection between nodes was given up.
enum LinkFault: Error, Equatable {
    case stream(StreamFault)
    case format(FormatFault)
    /// The frame is not one that its sender may send now.
    case unexpected(FrameKind)
    /// The other end is not who it should be.
    case wrongPeer(claimed: NodeID)
    /// The other end is a node that was removed from the cluster.
    case revoked(NodeID)
}
