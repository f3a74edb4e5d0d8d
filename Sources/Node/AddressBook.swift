import Catalog
import IORuntime
import PeerTransport
import Primitives
import Synchronization
import Telemetry

/// Keeps who can be called, and whose certificates are refused, by the nodes' records in group 0.
struct AddressBook: Sendable {
    let node: NodeID
    let switchboard: Switchboard
    let revoked: RevokedNodes
    let logger: Logger

    func update(by records: [NodeRecord]) {
        var addresses: [NodeID: SocketAddress] = [:]
        for record in records where !record.isRemoved && record.id != self.node {
            guard let address = SocketAddress(record.address) else {
                self.logger.error(
                    "a node's address cannot be understood",
                    ["peer": "\(record.id)", "address": record.address])
                continue
            }
            addresses[record.id] = address
        }
        let removed = records.filter(\.isRemoved).map(\.id)
        self.revoked.add(removed)
        self.switchboard.revoke(removed)
        self.switchboard.setAddresses(addresses)
        self.logger.info(
            "nodes changed",
            [
                "peers": addresses.keys.sorted().map(\.description).joined(separator: ","),
                "removed": removed.map(\.description).joined(separator: ","),
            ])
    }
}

/// The nodes that were removed from the cluster for ever, as far as this process has heard: their
/// certificates are refused in the handshake. Empty at the start of a process, until group 0 has
/// answered; what comes in before is ended then.
package final class RevokedNodes: Sendable {
    private struct State {
        var nodes: Set<NodeID> = []
        var refusals: Counter?
    }

    private let state = Mutex(State())

    package init() {}

    func add(_ nodes: [NodeID]) { self.state.withLock { $0.nodes.formUnion(nodes) } }

    /// Counts each refusal from now on.
    func count(by counter: Counter) { self.state.withLock { $0.refusals = counter } }

    /// Whether the certificate of a node is refused; asked in each handshake.
    func refuses(_ node: NodeID) -> Bool {
        self.state.withLock { state in
            guard state.nodes.contains(node) else { return false }
            state.refusals?.add()
            return true
        }
    }
}
