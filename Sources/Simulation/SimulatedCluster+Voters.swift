import Catalog
import ClusterClient
import Consensus
import IORuntime
import MetaNode
import Node
import Placement
import Primitives
import SimulatedRuntime

/// Voters that change while a story goes on, as an operator would have it.
extension SimulatedCluster {
    private static let voterPause: Duration = .seconds(12)
    private static let lookPause: Duration = .milliseconds(250)

    /// Drains one node, takes it back, and goes on with the next, until `end`.
    func changeVoters(until end: Instant, _ seed: SeededGenerator) async {
        var generator = seed
        while self.simulator.now < end {
            let pause = generator.duration(in: .zero...Self.voterPause)
            do { try await self.simulator.loop.sleep(for: pause) } catch { return }
            guard let nodes = await self.nodeRecords() else { continue }
            if let drained = nodes.first(where: { $0.descriptor.state == .draining }) {
                _ = await self.decide(.registerNode(drained.with(.active)))
            } else if let node = generator.pick(nodes) {
                _ = await self.decide(.registerNode(node.with(.draining)))
            }
        }
    }

    /// Takes every node back; whether, within the limit, each group's voters are those of group 0's
    /// table, and nobody else has a replica of it.
    package func votersRest(within limit: Duration) async -> Bool {
        let end = self.simulator.now + limit
        while self.simulator.now < end {
            if await self.allNodesAreActive(), await self.votersAreAsWanted() { return true }
            do { try await self.simulator.loop.sleep(for: Self.lookPause) } catch { return false }
        }
        return false
    }

    private func allNodesAreActive() async -> Bool {
        guard let nodes = await self.nodeRecords() else { return false }
        let drained = nodes.filter { $0.descriptor.state == .draining }
        for node in drained { _ = await self.decide(.registerNode(node.with(.active))) }
        return drained.isEmpty
    }

    private func votersAreAsWanted() async -> Bool {
        guard let table = await self.groupTable() else { return false }
        let wanted = Dictionary(
            table.groups.map { ($0.id, Configuration(voters: $0.voters)) },
            uniquingKeysWith: { first, _ in first })
        var led: Set<GroupID> = []
        for machine in self.running {
            guard let node = self.node(on: machine), let meta = node.meta else { continue }
            let id = node.identity.configuration.node
            guard let statuses = await self.ask(machine, { await meta.groupStatuses() }) else {
                return false
            }
            for (group, status) in statuses {
                guard let members = wanted[group], members.voters.contains(id) else { return false }
                guard status.role == .leader else { continue }
                guard status.members == members else { return false }
                led.insert(group)
            }
        }
        return led.count == wanted.count
    }
}
