import Catalog
import ClusterClient
import Consensus
import Cryptography
import IORuntime
import PeerTransport
import Placement
import Primitives
import Wire

/// An operator's process that has joined a cluster as a peer without a role: it asks group 0 and
/// has it decide, and answers nothing.
///
/// What lasts is done by the groups' leaders; the operator only says so and looks on, and a process
/// that ends or loses patience stops nothing.
package struct ClusterOperator: Sendable {
    private static let askTimeout: Duration = .seconds(30)
    /// Who adds a node at the same time as another may have to think of another number.
    private static let allocationAttempts = 8
    static let pollPause: Duration = .milliseconds(500)

    package let environment: any Environment
    package let cluster: ClusterClient
    private let configuration: NodeConfiguration

    /// - Parameter security: proves the operator's certificate.
    package init(
        _ configuration: NodeConfiguration, security: any ChannelSecurity,
        in environment: any Environment
    ) {
        let loop = environment.loops[0]
        let switchboard = Switchboard(
            environment: environment, loop: loop,
            identity: PeerIdentityCard(
                node: OperatorIdentity.node, cluster: configuration.cluster, security: security),
            answerer: NothingToAnswer())
        switchboard.setAddresses(configuration.peers)
        self.configuration = configuration
        self.environment = environment
        self.cluster = ClusterClient(
            // Who is asked first may be gone, or have no role; some node says who votes.
            ClusterClientSettings(metaNodes: configuration.peers.keys.sorted()),
            node: OperatorIdentity.node,
            environment: environment, loop: loop, peers: switchboard)
        self.cluster.whenNodesChange { nodes in
            let addresses = nodes.filter { !$0.isRemoved }.compactMap { record in
                SocketAddress(record.address).map { (record.id, $0) }
            }
            switchboard.setAddresses(Dictionary(uniqueKeysWithValues: addresses))
        }
    }

    /// A process that asks by TLS, as peers do.
    package init(
        _ identity: OperatorIdentity, in environment: any Environment
    ) throws(OperatorFault) {
        do throws(CertificateFault) {
            self.init(
                identity.configuration,
                security: try TLSChannelSecurity.peers(
                    identity: identity.certificate, authority: identity.authority.certificatePEM,
                    cluster: identity.configuration.cluster, isRevoked: { _ in false }),
                in: environment)
        } catch { throw .certificate(error) }
    }

    var deadline: Instant { self.environment.now + Self.askTimeout }

    // MARK: - Looking

    /// A node, and where it votes.
    package struct NodeStanding: Equatable, Sendable, CustomStringConvertible {
        package let record: NodeRecord
        package let votesIn: [GroupID]
        package let learnsIn: [GroupID]

        package var description: String {
            func list(_ groups: [GroupID]) -> String {
                groups.isEmpty ? "none" : groups.map(\.description).joined(separator: ",")
            }
            let node = self.record.descriptor
            var words = [
                "node \(node.id): \(node.state)", "zone \(node.zone)", self.record.address,
            ]
            if !self.record.isRemoved { words.append("votes in \(list(self.votesIn))") }
            if !self.learnsIn.isEmpty { words.append("learns \(list(self.learnsIn))") }
            return words.joined(separator: ", ")
        }
    }

    package func standings() async throws(OperatorFault) -> [NodeStanding] {
        let nodes = try await self.nodes()
        var members: [(GroupID, Configuration)] = []
        for group in self.cluster.groupTable?.groups ?? [] {
            members.append((group.id, try await self.members(of: group.id)))
        }
        return nodes.map { record in
            NodeStanding(
                record: record,
                votesIn: members.filter { $1.quorum.contains(record.id) }.map(\.0),
                learnsIn: members.filter {
                    $1.learners.contains(record.id) && !$1.quorum.contains(record.id)
                }.map(\.0))
        }
    }

    private func nodes() async throws(OperatorFault) -> [NodeRecord] {
        try await self.ask { () async throws(ClusterFault) in
            try await self.cluster.refreshTables(by: self.deadline)
        }
        guard !self.cluster.nodes.isEmpty else { throw .cluster("group 0 knows no nodes yet") }
        return self.cluster.nodes
    }

    /// The nodes that were removed for ever, as of the last look.
    package var removedNodes: Set<NodeID> {
        Set(self.cluster.nodes.filter(\.isRemoved).map(\.id))
    }

    /// The group's configuration, by its leader's word.
    private func members(of group: GroupID) async throws(OperatorFault) -> Configuration {
        let answer = try await self.ask { () async throws(ClusterFault) in
            try await self.cluster.query(
                .configuration, in: group, freshness: .linearizable, deadline: self.deadline)
        }
        guard case .configuration(let bytes) = answer else {
            return Configuration(voters: self.firstVoters)
        }
        do throws(FormatFault) { return try Configuration(decoding: bytes) } catch {
            throw .cluster("the members of group \(group) cannot be read: \(error)")
        }
    }

    /// Who votes in a group whose log never brought another configuration: the table's first word.
    private var firstVoters: [NodeID] { self.configuration.voters }

    // MARK: - Changing

    /// Registers a node under a number that no node ever had; `plan` says what it is, given that
    /// number and the nodes that there are.
    package func allocate(
        _ plan: (NodeID, [NodeRecord]) -> NodeRecord
    ) async throws(OperatorFault) -> NodeRecord {
        for _ in 0..<Self.allocationAttempts {
            let nodes = try await self.nodes()
            let last = nodes.map(\.id.rawValue).max() ?? 0
            let record = plan(NodeID(last + 1), nodes)
            switch try await self.register(record) {
            case .nodeRegistered: return record
            case .nodeIdentityUsed, .nodeRemoved: continue
            case let other: throw .refused("group 0 does not add the node: \(other)")
            }
        }
        throw .refused("others add nodes all the time; try again")
    }

    /// Registers a node and makes its identity, which the caller writes.
    package func add(_ joining: JoiningNode) async throws(OperatorFault) -> NodeIdentity {
        let record = try await self.allocate { joining.record($0, among: $1) }
        let groups = self.cluster.groupTable?.groups ?? []
        return try joining.identity(
            of: record, among: self.cluster.nodes,
            voters: Set(groups.flatMap(\.voters)).sorted(), groups: groups.map(\.id),
            now: self.environment.wallClock)
    }

    /// Fewer voters than this outlive the loss of none.
    private static let fewestVoters = 3

    /// Says that a node is to vote nowhere any more; the groups' leaders see to it.
    ///
    /// - Parameter mayLeaveTwo: goes on where fewer than three nodes would be left to vote.
    package func beginDrain(
        of node: NodeID, mayLeaveTwo: Bool = false
    ) async throws(OperatorFault) {
        let nodes = try await self.nodes()
        let record = try Self.find(node, in: nodes)
        guard record.descriptor.state != .draining else { return }
        let able = nodes.filter {
            $0.id != node && $0.roles.contains(.meta) && $0.descriptor.state == .active
        }
        guard !record.roles.contains(.meta) || !able.isEmpty else {
            throw .refused("no other node could vote in node \(node)'s place: add one first")
        }
        guard !record.roles.contains(.meta) || able.count >= Self.fewestVoters || mayLeaveTwo else {
            throw .refused(
                "without node \(node) only \(able.count) would vote, and "
                    + "every write stops when one of them fails: `holdfast node add` first, or "
                    + "--below-three")
        }
        try await self.set(.draining, of: record)
    }

    /// Takes a drain back: the node votes again wherever a group has fewer voters than it should.
    package func undrain(_ node: NodeID) async throws(OperatorFault) {
        let record = try Self.find(node, in: try await self.nodes())
        guard record.descriptor.state != .active else { return }
        try await self.set(.active, of: record)
    }

    /// Waits until a node votes nowhere and learns nowhere; false when the time is over before.
    ///
    /// - Parameter progress: told the groups that are left, whenever they are others.
    package func awaitDrain(
        of node: NodeID, by end: Instant, progress: ([GroupID]) -> Void
    ) async throws(OperatorFault) -> Bool {
        var told: [GroupID]?
        while true {
            let standing = try await self.standings().first { $0.record.id == node }
            let left = (standing?.votesIn ?? []) + (standing?.learnsIn ?? [])
            if left != told { progress(left) }
            told = left
            if left.isEmpty { return true }
            guard self.environment.now < end else { return false }
            do { try await self.environment.loops[0].sleep(for: Self.pollPause) } catch {
                return false
            }
        }
    }

    /// Removes a node for ever.
    ///
    /// - Parameter isLost: it may still vote: it will not come back, whatever it held.
    package func remove(_ node: NodeID, isLost: Bool) async throws(OperatorFault) {
        let standings = try await self.standings()
        guard let standing = standings.first(where: { $0.record.id == node }) else {
            throw .noSuchNode(node)
        }
        if standing.record.isRemoved { return }
        guard isLost || standing.votesIn.isEmpty && standing.learnsIn.isEmpty else {
            let groups = standing.votesIn.map(\.description).joined(separator: ",")
            throw .refused(
                "node \(node) votes in groups \(groups): `holdfast node drain` first, or --lost "
                    + "when it will never come back")
        }
        try await self.set(.removed, of: standing.record)
    }

    private static func find(
        _ node: NodeID, in nodes: [NodeRecord]
    ) throws(OperatorFault) -> NodeRecord {
        guard let record = nodes.first(where: { $0.id == node }) else { throw .noSuchNode(node) }
        guard !record.isRemoved else {
            throw .refused("node \(node) was removed; its number is never used again")
        }
        return record
    }

    private func set(_ state: NodeState, of record: NodeRecord) async throws(OperatorFault) {
        let result = try await self.register(record.with(state))
        guard result == .nodeRegistered else {
            throw .refused("group 0 does not change node \(record.id): \(result)")
        }
    }

    private func register(_ record: NodeRecord) async throws(OperatorFault) -> CommandResult {
        try await self.ask { () async throws(ClusterFault) in
            try await self.cluster.propose(
                .registerNode(record), in: .system, deadline: self.deadline)
        }
    }

    func ask<Value>(
        _ work: () async throws(ClusterFault) -> Value
    ) async throws(OperatorFault) -> Value {
        do throws(ClusterFault) { return try await work() } catch { throw .cluster("\(error)") }
    }
}

private struct NothingToAnswer: PeerAnswerer {
    /// The raw value is for ever.
    private static let noRole: UInt16 = 0x0001

    func answer(_ request: PeerRequest, from peer: NodeID) async -> PeerAnswer {
        .refused(code: Self.noRole, message: "this process has no role")
    }

    func receive(_ message: [UInt8], kind: UInt16, from peer: NodeID) {}
}
