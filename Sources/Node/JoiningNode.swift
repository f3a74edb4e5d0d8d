import Catalog
import Cryptography
import IORuntime
import Placement
import Primitives

/// A node that joins a cluster which runs: what `holdfast node add` makes for it, where the
/// cluster's authority is.
package struct JoiningNode: Sendable {
    /// What the operator decides; the rest follows from the cluster.
    package struct Wish: Sendable {
        /// Nil: the zone with the fewest nodes.
        package var zone: String?
        package var host: String?
        /// Of which the node's number is added, as with `holdfast init`.
        package var basePort: Int?

        package init(zone: String? = nil, host: String? = nil, basePort: Int? = nil) {
            self.zone = zone
            self.host = host
            self.basePort = basePort
        }
    }

    private let directory: String
    private let identity: OperatorIdentity
    private let masterKeys: MasterKeyRing
    private let wish: Wish

    /// Reads what the cluster's directory holds: the authority, a node's configuration, and the
    /// master keys, which the new node needs as a meta node. Blocking.
    package init(
        _ identity: OperatorIdentity, clusterDirectory: String, wish: Wish,
        _ files: any FileSystem
    ) throws(OperatorFault) {
        self.directory = clusterDirectory
        self.identity = identity
        self.wish = wish
        let directories = try OperatorIdentity.identityDirectories(in: clusterDirectory, files)
        do throws(MasterKeyFilesFault) {
            let held = try MasterKeyFiles(identityDirectories: directories, files)
            guard let ring = MasterKeyRing(held.keys) else { throw .tooManyKeys }
            self.masterKeys = ring
        } catch {
            throw .refused("the master keys cannot be read from \(clusterDirectory): \(error)")
        }
    }

    /// What group 0 is to know of the node.
    package func record(_ node: NodeID, among nodes: [NodeRecord]) -> NodeRecord {
        NodeRecord(
            descriptor: NodeDescriptor(id: node, zone: self.wish.zone ?? Self.zone(among: nodes)),
            address: self.plan(node, zone: "").peer.description, roles: .all)
    }

    /// Of all zones that there ever were, the one with the fewest nodes; of equal ones the first by
    /// name.
    private static func zone(among nodes: [NodeRecord]) -> String {
        let counts = Dictionary(grouping: nodes, by: \.descriptor.zone)
            .mapValues { $0.count { $0.descriptor.state == .active } }
        return counts.min { ($0.value, $0.key) < ($1.value, $1.key) }?.key ?? "a"
    }

    private func plan(_ node: NodeID, zone: String) -> NewCluster.NodePlan {
        let known = self.identity.configuration
        let base = self.wish.basePort ?? Int(known.edge.port) - Int(known.node.rawValue)
        return NewCluster.NodePlan(
            node: node, zone: zone, host: self.wish.host ?? known.peer.host, base: base,
            isPlainAnywhere: known.edge.host == known.peer.host && !known.edge.isLoopback)
    }

    /// The node's identity. It votes once the groups' logs say so, so it is not among the voters.
    package func identity(
        of record: NodeRecord, among nodes: [NodeRecord], voters: [NodeID], groups: [GroupID],
        now: Timestamp
    ) throws(OperatorFault) -> NodeIdentity {
        let plan = self.plan(record.id, zone: record.descriptor.zone)
        let known = (nodes + [record]).filter { !$0.isRemoved }.compactMap { record in
            SocketAddress(record.address).map { (record.id, $0) }
        }
        let peers = Dictionary(known, uniquingKeysWith: { _, last in last })
        let configuration = NodeConfiguration(
            cluster: self.identity.configuration.cluster, node: plan.node, zone: plan.zone,
            roles: record.roles, peer: plan.peer, edge: plan.edge, https: plan.https,
            admin: plan.admin, peers: peers, voters: voters.filter { peers[$0] != nil },
            groups: groups)
        do throws(CertificateFault) {
            let authority = try CertificateAuthority(self.identity.authority)
            return NodeIdentity(
                configuration: configuration,
                authority: self.identity.authority.certificatePEM,
                node: try authority.issue(node: plan.node, names: [plan.peer.host], now: now),
                door: try authority.issueDoor(names: NewCluster.doorNames(plan), now: now),
                masterKeys: self.masterKeys, bootstrap: nil)
        } catch { throw .certificate(error) }
    }

    package func identityDirectory(of node: NodeID) -> String {
        "\(self.directory)/node-\(node)/identity"
    }
}
