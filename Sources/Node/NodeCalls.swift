import ClusterClient
import MetaNode
import PeerTransport
import Primitives
import StoreNode
import Synchronization

/// Answers what other nodes ask, each kind by its role. The high byte of a kind names the role.
final class NodeCalls: PeerAnswerer {
    private struct Roles: Sendable {
        var meta: MetaNode?
        var store: StoreNode?
        var cluster: ClusterClient?
    }

    /// Why a call was refused; the raw value is for ever.
    private static let noSuchRole: UInt16 = 0x0001

    private let roles = Mutex(Roles())

    /// Begins to answer. Before, every call is refused, as by a node without roles.
    func serve(meta: MetaNode?, store: StoreNode?, cluster: ClusterClient) {
        self.roles.withLock { $0 = Roles(meta: meta, store: store, cluster: cluster) }
    }

    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        let roles = self.roles.withLock { $0 }
        switch request.kind >> 8 {
        case 1:
            if let meta = roles.meta { return await meta.answer(request, from: peer) }
        case 2:
            if let store = roles.store { return await store.answer(request, from: peer) }
        default: break
        }
        return .refused(
            code: Self.noSuchRole,
            message: "this node does not answer calls of kind \(request.kind)")
    }

    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {
        self.roles.withLock { $0.meta }?.receive(message, kind: kind, from: peer)
    }

    func peerChanged(_ event: PeerEvent) {
        let roles = self.roles.withLock { $0 }
        roles.cluster?.peerChanged(event)
        roles.meta?.peerChanged(event)
    }
}
