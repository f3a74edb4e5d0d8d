import Catalog
import Cryptography
import IORuntime
import Node
import Placement
import Primitives

/// The first access key of a simulated cluster.
package struct SimulatedCredentials: Sendable, Equatable {
    package let accessKey: String
    package let secret: String
}

/// Who the nodes of a simulated cluster are: the identities that `holdfast init` would make, without
/// certificates, for nothing here shakes hands by TLS.
struct SimulatedIdentities {
    static let peerPort: UInt16 = 9200
    static let edgePort: UInt16 = 9000
    static let adminPort: UInt16 = 9100
    static let httpsPort: UInt16 = 9400

    /// Enough for every set of three homes among five nodes.
    private static let partitionBits = 8

    let credentials = SimulatedCredentials(
        accessKey: "HF0123456789ABCDEF", secret: "secretOfTheSimulatedCluster")
    private let plans: [NewCluster.NodePlan]
    private let buckets: [BucketName]

    init(_ settings: SimulatedClusterSettings) {
        self.buckets = settings.buckets
        self.plans = (1...settings.nodeCount).map { number in
            Self.plan(
                NodeID(UInt32(number)),
                zone: settings.zones[(number - 1) % settings.zones.count])
        }
    }

    /// Where the machine of a node is.
    static func host(of node: NodeID) -> String { "10.0.0.\(node)" }

    static func plan(_ node: NodeID, zone: String) -> NewCluster.NodePlan {
        func address(_ port: UInt16) -> SocketAddress {
            SocketAddress(host: Self.host(of: node), port: port)
        }
        return NewCluster.NodePlan(
            node: node, zone: zone, peer: address(Self.peerPort), edge: address(Self.edgePort),
            https: address(Self.httpsPort), admin: address(Self.adminPort))
    }

    /// Who a node is that joins a cluster which runs.
    static func joining(
        as record: NodeRecord, among others: [NodeIdentity], voters: [NodeID]
    ) -> NodeIdentity? {
        guard let first = others.first, let ring = others.lazy.compactMap(\.masterKeys).first else {
            return nil
        }
        let plan = Self.plan(record.id, zone: record.descriptor.zone)
        let known = others.map { ($0.configuration.node, $0.configuration.peer) }
        return NodeIdentity(
            configuration: NodeConfiguration(
                cluster: first.configuration.cluster, node: plan.node, zone: plan.zone,
                roles: record.roles, peer: plan.peer, edge: plan.edge, https: plan.https,
                admin: plan.admin,
                peers: Dictionary(
                    known + [(plan.node, plan.peer)], uniquingKeysWith: { _, last in last }),
                voters: voters, groups: first.configuration.groups),
            authority: first.authority, node: first.node, door: first.door,
            masterKeys: record.roles.contains(.meta) ? ring : nil, bootstrap: nil)
    }

    func make(randomness: (Int) -> [UInt8]) throws -> [NodeIdentity] {
        guard let cluster = ClusterID(bytes: randomness(16)),
            let masterKey = SymmetricKey(bytes: randomness(SymmetricKey.sizeBytes))
        else { brokenInvariant("randomness comes in the size that was asked for") }
        let master = MasterKey(masterKey)
        let whole = try NewCluster.bootstrap(
            cluster: cluster, nodes: self.plans, accessKey: self.credentials.accessKey,
            secret: self.credentials.secret,
            linkSeed: randomness(Ed25519PrivateKey.seedSizeBytes), master: master,
            partitionBits: Self.partitionBits, randomness: randomness)
        let bootstrap = self.owningOnlyWhatIsUsed(whole)
        let voters = NewCluster.voters(of: self.plans)
        let peers = Dictionary(uniqueKeysWithValues: self.plans.map { ($0.node, $0.peer) })
        let none = CertifiedKey(certificatePEM: "", keyPEM: "")
        return self.plans.map { plan in
            let isMeta = voters.contains(plan.node)
            return NodeIdentity(
                configuration: NodeConfiguration(
                    cluster: cluster, node: plan.node, zone: plan.zone,
                    roles: isMeta ? .all : [.store, .edge], peer: plan.peer, edge: plan.edge,
                    https: plan.https, admin: plan.admin, peers: peers, voters: voters,
                    groups: NewCluster.groups()),
                authority: "", node: none, door: none,
                masterKeys: isMeta ? MasterKeyRing(master) : nil,
                bootstrap: isMeta ? bootstrap : nil)
        }
    }

    /// The same cluster, whose groups own no slots but those of the buckets and the access key.
    private func owningOnlyWhatIsUsed(_ whole: Bootstrap) -> Bootstrap {
        let used = Set(self.buckets.map(\.slot) + [whole.firstAccessKey.id.slot]).sorted()
        let slots = used.compactMap { slot in
            whole.groupTable.group(owning: slot).map { group in
                SlotAssignment(slots: SlotRange(first: slot, last: slot), group: group)
            }
        }
        return Bootstrap(
            cluster: whole.cluster, firstAccessKey: whole.firstAccessKey,
            linkKey: whole.linkKey, nodes: whole.nodes, layout: whole.layout,
            groupTable: GroupTable(
                version: whole.groupTable.version, groups: whole.groupTable.groups,
                slots: slots))
    }
}
