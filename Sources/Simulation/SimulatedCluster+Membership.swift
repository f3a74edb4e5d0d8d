import Catalog
import ClusterClient
import Cryptography
import IORuntime
import Node
import Placement
import Primitives
import SimulatedRuntime

/// Nodes that come and go while a story goes on, as `holdfast node add|drain|remove` has it.
extension SimulatedCluster {
    /// What an operator's command is waited for.
    private static let patience: Duration = .seconds(240)

    /// An operator at the laptop, who knows the nodes that there are now.
    package func makeOperator() -> ClusterOperator {
        let identities = self.identities
        guard var configuration = identities.first?.configuration else {
            brokenInvariant("a cluster without a machine has no operator")
        }
        configuration.peers = Dictionary(
            identities.map { ($0.configuration.node, $0.configuration.peer) },
            uniquingKeysWith: { _, last in last })
        let identity = PeerIdentity.node(
            OperatorIdentity.node, cluster: configuration.cluster)
        return ClusterOperator(
            configuration,
            security: ClearChannelSecurity(identity: identity, requiresNode: true),
            in: self.laptop.environment)
    }

    /// Registers a node, makes a machine for it, and starts it there.
    @discardableResult
    package func addNode(
        _ roles: NodeRoles = .all, zone: String, by admin: ClusterOperator
    ) async throws(OperatorFault) -> SimulatedNode {
        let record = try await self.operate { () async throws(OperatorFault) in
            try await admin.allocate { node, _ in
                NodeRecord(
                    descriptor: NodeDescriptor(id: node, zone: zone),
                    address: SimulatedIdentities.plan(node, zone: zone).peer.description,
                    roles: roles)
            }
        }
        let others = self.identities
        let peers = Set(others.map(\.configuration.node))
        let voters = Set((admin.cluster.groupTable?.groups ?? []).flatMap(\.voters))
        guard
            let identity = SimulatedIdentities.joining(
                as: record, among: others, voters: voters.filter(peers.contains).sorted())
        else { throw .refused("no node is left that a new one could learn from") }
        let machine = self.simulator.makeNode(
            "n\(record.id)", host: SimulatedIdentities.host(of: record.id),
            capacityBytes: self.settings.diskBytes)
        let files = machine.environment.files
        do throws(FileFault) {
            try await machine.environment.blocking(.disk) { () throws(FileFault) in
                try files.makeDirectoryDurably(Self.identityDirectory)
            }
        } catch { throw .refused("a new disk fails: \(error)") }
        self.add(machine, as: identity)
        return machine
    }

    /// Takes a node's votes away, and waits until it has none.
    package func drain(
        _ machine: SimulatedNode, by admin: ClusterOperator
    ) async throws(OperatorFault) {
        let node = self.nodeID(of: machine)
        // By the operator's own clock.
        let end = self.laptop.environment.now + Self.patience
        let isDone = try await self.operate { () async throws(OperatorFault) in
            try await admin.beginDrain(of: node)
            return try await admin.awaitDrain(of: node, by: end) { _ in }
        }
        guard isDone else {
            let standings = try await self.operate { () async throws(OperatorFault) in
                try await admin.standings()
            }
            throw .refused("node \(node) still votes: \(standings)")
        }
    }

    /// Takes a drain back.
    package func undrain(
        _ machine: SimulatedNode, by admin: ClusterOperator
    ) async throws(OperatorFault) {
        let node = self.nodeID(of: machine)
        try await self.operate { () async throws(OperatorFault) in try await admin.undrain(node) }
    }

    /// Takes a node out for ever.
    ///
    /// - Parameter isLost: it may still vote; its machine is gone.
    package func remove(
        _ node: NodeID, isLost: Bool, by admin: ClusterOperator
    ) async throws(OperatorFault) {
        try await self.operate { () async throws(OperatorFault) in
            try await admin.remove(node, isLost: isLost)
        }
    }

    /// Waits until a node votes in every group.
    package func awaitVotes(
        of machine: SimulatedNode, by admin: ClusterOperator
    ) async throws(OperatorFault) {
        let node = self.nodeID(of: machine)
        let groups = NewCluster.groups()
        let end = self.simulator.now + Self.patience
        while self.simulator.now < end {
            let standings = try await self.operate { () async throws(OperatorFault) in
                try await admin.standings()
            }
            if standings.first(where: { $0.record.id == node })?.votesIn == groups { return }
            do { try await self.simulator.loop.sleep(for: .milliseconds(250)) } catch { break }
        }
        throw .refused("node \(node) does not vote everywhere")
    }

    /// Which node runs on a machine of the cluster.
    package func nodeID(of machine: SimulatedNode) -> NodeID {
        guard let place = self.machines.firstIndex(where: { $0 === machine }) else {
            brokenInvariant("\(machine.name) is no machine of the cluster")
        }
        return self.identities[place].configuration.node
    }

    /// Does on the laptop what an operator's process does.
    private func operate<Value: Sendable>(
        _ work: @escaping @Sendable () async throws(OperatorFault) -> Value
    ) async throws(OperatorFault) -> Value {
        let answer = await self.ask(self.laptop, patience: Self.patience) {
            () -> Result<Value, OperatorFault> in
            do throws(OperatorFault) { return .success(try await work()) } catch {
                return .failure(error)
            }
        }
        guard let answer else { throw .refused("the operator loses patience") }
        return try answer.get()
    }
}
