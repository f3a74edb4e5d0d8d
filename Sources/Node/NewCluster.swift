import Catalog
import Cryptography
import IORuntime
import MetaNode
import Placement
import Primitives
import Wire

/// A cluster that does not exist yet: all that `holdfast init` makes for it. The nodes' identities
/// are to be carried to their machines; the authority's key stays with the operator.
package struct NewCluster: Sendable {
    /// One node as the operator wants it.
    package struct NodePlan: Equatable, Sendable {
        package var node: NodeID
        package var zone: String
        package var peer: SocketAddress
        package var edge: SocketAddress
        package var https: SocketAddress
        package var admin: SocketAddress

        package init(
            node: NodeID, zone: String, peer: SocketAddress, edge: SocketAddress,
            https: SocketAddress, admin: SocketAddress
        ) {
            self.node = node
            self.zone = zone
            self.peer = peer
            self.edge = edge
            self.https = https
            self.admin = admin
        }

        /// Such that clear HTTP, in which signatures and bodies are there for all to read, stays on the
        /// machine.
        ///
        /// - Parameters:
        ///   - base: node I listens on this and I (HTTP), and 100 (admin), 200 (peers) and 400 (HTTPS)
        ///     above.
        ///   - isPlainAnywhere: clear HTTP goes where everything goes.
        package init(
            node: NodeID, zone: String, host: String, base: Int, isPlainAnywhere: Bool
        ) {
            func address(_ offset: Int) -> SocketAddress {
                SocketAddress(
                    host: host, port: UInt16(clamping: base + offset + Int(node.rawValue)))
            }
            var edge = address(0)
            if !isPlainAnywhere, !edge.isLoopback { edge.host = "127.0.0.1" }
            self.init(
                node: node, zone: zone, peer: address(200), edge: edge, https: address(400),
                admin: address(100))
        }
    }

    package enum Fault: Error, Equatable, Sendable {
        case layout(LayoutFault)
        case certificate(CertificateFault)
        case badKey(String)
    }

    /// Data groups of a new cluster where nobody says otherwise: with the system group a leader for
    /// each of five nodes.
    package static let defaultDataGroups = 4
    /// Every voter runs every group, at some megabytes each.
    package static let dataGroupsRange = 1...64

    /// Raft's groups in a new cluster: the system group and the data groups.
    package static func groups(dataGroups: Int = Self.defaultDataGroups) -> [GroupID] {
        (0...dataGroups).map { GroupID(UInt32($0)) }
    }

    package static let firstOwner = "root"

    package let cluster: ClusterID
    package let authority: CertificateAuthority
    package let identities: [NodeIdentity]
    /// The first access key, whose secret is nowhere else in the clear.
    package let accessKey: String
    package let secret: String
    package let bootstrap: Bootstrap

    /// - Parameter randomness: unpredictable bytes.
    package init(
        nodes: [NodePlan], dataGroups: Int = Self.defaultDataGroups, now: Timestamp,
        randomness: (Int) -> [UInt8]
    ) throws(Fault) {
        guard let cluster = ClusterID(bytes: randomness(16)),
            let masterKey = SymmetricKey(bytes: randomness(SymmetricKey.sizeBytes))
        else { brokenInvariant("randomness comes in the size that was asked for") }
        self.cluster = cluster
        self.accessKey = "HF" + Hex.encode(randomness(9)).uppercased()
        self.secret = Base64.encodeForURL(randomness(30))
        do throws(CertificateFault) {
            self.authority = try CertificateAuthority.make(cluster: cluster, now: now)
        } catch { throw .certificate(error) }
        let master = MasterKey(masterKey)
        self.bootstrap = try Self.bootstrap(
            cluster: cluster, nodes: nodes, dataGroups: dataGroups, accessKey: self.accessKey,
            secret: self.secret, linkSeed: randomness(Ed25519PrivateKey.seedSizeBytes),
            master: master,
            randomness: randomness)
        let voters = Self.voters(of: nodes)
        let peers = Dictionary(uniqueKeysWithValues: nodes.map { ($0.node, $0.peer) })
        var identities: [NodeIdentity] = []
        for plan in nodes {
            let isMeta = voters.contains(plan.node)
            let configuration = NodeConfiguration(
                cluster: cluster, node: plan.node, zone: plan.zone,
                roles: isMeta ? .all : [.store, .edge], peer: plan.peer, edge: plan.edge,
                https: plan.https, admin: plan.admin, peers: peers, voters: voters,
                groups: Self.groups(dataGroups: dataGroups))
            do throws(CertificateFault) {
                identities.append(
                    NodeIdentity(
                        configuration: configuration,
                        authority: self.authority.pem.certificatePEM,
                        node: try self.authority.issue(
                            node: plan.node, names: [plan.peer.host], now: now),
                        door: try self.authority.issueDoor(
                            names: Self.doorNames(plan), now: now),
                        masterKeys: isMeta ? MasterKeyRing(master) : nil,
                        bootstrap: isMeta ? self.bootstrap : nil))
            } catch { throw .certificate(error) }
        }
        self.identities = identities
    }

    /// Five voters, or three where there are fewer than five nodes, or one; ascending, and spread
    /// over the zones: each next one comes from a zone that has the fewest so far.
    package static func voters(of nodes: [NodePlan]) -> [NodeID] {
        let count = nodes.count >= 5 ? 5 : nodes.count >= 3 ? 3 : 1
        var votersInZone: [String: Int] = [:]
        var waiting = nodes.sorted { $0.node < $1.node }
        var voters: [NodeID] = []
        while voters.count < count, !waiting.isEmpty {
            let fewest = waiting.map { votersInZone[$0.zone, default: 0] }.min() ?? 0
            let place = waiting.firstIndex { votersInZone[$0.zone, default: 0] == fewest } ?? 0
            let next = waiting.remove(at: place)
            votersInZone[next.zone, default: 0] += 1
            voters.append(next.node)
        }
        return voters.sorted()
    }

    static func doorNames(_ plan: NodePlan) -> [String] {
        var names = [plan.https.host]
        for name in ["localhost", "127.0.0.1"] where !names.contains(name) { names.append(name) }
        return names
    }

    /// The cluster's first facts; what they keep secret is wrapped by the master key.
    ///
    /// - Parameters:
    ///   - linkSeed: `Ed25519PrivateKey.seedSizeBytes` of the private link key.
    ///   - partitionBits: the base-2 logarithm of the number of partitions, fixed for ever.
    package static func bootstrap(
        cluster: ClusterID, nodes: [NodePlan], dataGroups: Int = Self.defaultDataGroups,
        accessKey: String, secret: String, linkSeed: [UInt8], master: MasterKey,
        partitionBits: Int = 16,
        randomness: (Int) -> [UInt8]
    ) throws(Fault) -> Bootstrap {
        guard let linkKey = Ed25519PrivateKey(seed: linkSeed) else {
            brokenInvariant("a link key's seed has \(Ed25519PrivateKey.seedSizeBytes) bytes")
        }
        guard let id = AccessKeyID(accessKey), let owner = OwnerID(Self.firstOwner) else {
            throw .badKey(accessKey)
        }
        let descriptors = nodes.map { NodeDescriptor(id: $0.node, zone: $0.zone) }
        let voters = Self.voters(of: nodes)
        let layout: Layout
        do throws(LayoutFault) {
            layout = try LayoutBuilder.build(
                version: LayoutVersion(1), nodes: descriptors, partitionBits: partitionBits)
        } catch { throw .layout(error) }
        func wrap(_ secret: [UInt8], _ context: String) -> [UInt8] {
            master.wrap(secret, context: context, nonce: randomness(MasterKey.nonceSizeBytes))
        }
        // The system group's leader on one voter, those of the data groups on the others in turn.
        let groups = Self.groups(dataGroups: dataGroups).enumerated().map { position, group in
            GroupDescriptor(
                id: group, voters: voters, preferredLeader: voters[position % voters.count])
        }
        return Bootstrap(
            cluster: cluster,
            firstAccessKey: AccessKey(
                id: id, owner: owner, state: .active,
                wrappedSecret: wrap(
                    Array(secret.utf8), MetaSecrets.Context.accessKey(id))),
            linkKey: LinkKey(
                id: "1", algorithm: .ed25519, publicKey: linkKey.publicKeyBytes,
                wrappedPrivateKey: wrap(linkSeed, MetaSecrets.Context.linkKey("1"))),
            nodes: zip(nodes, descriptors).map { plan, descriptor in
                NodeRecord(
                    descriptor: descriptor, address: plan.peer.description,
                    roles: voters.contains(plan.node) ? .all : [.store, .edge])
            },
            layout: layout,
            groupTable: GroupTable(version: 1, dealingSlotsTo: groups))
    }
}
