import Catalog
import ClusterClient
import IORuntime
import MetaNode
import Node
import Primitives
import SimulatedRuntime
import Wire

/// What an operator asks of group 0, by whoever leads it.
extension SimulatedCluster {
    private static let questionLimit: Duration = .seconds(5)

    /// Has group 0 decide something; nil where nobody does now.
    func decide(_ operation: CatalogOperation) async -> CommandResult? {
        guard let machine = await self.leader(of: .system), let meta = self.node(on: machine)?.meta
        else { return nil }
        let command = CatalogCommand(operation: operation)
        let answer: ProposeAnswer?? = await self.ask(machine) {
            await meta.propose(ProposeRequest(group: .system, commands: [command.encoded]))
        }
        guard case .applied(_, let results) = answer ?? nil else { return nil }
        return results.first
    }

    /// The table as the leader of group 0 has it.
    package func groupTable() async -> GroupTable? {
        guard let machine = await self.leader(of: .system), let meta = self.node(on: machine)?.meta
        else { return nil }
        return await self.ask(machine) { await meta.knownGroupTable() } ?? nil
    }

    /// The nodes as group 0 knows them; nil where nobody says it now.
    func nodeRecords() async -> [NodeRecord]? {
        guard let machine = await self.leader(of: .system),
            let cluster = self.node(on: machine)?.cluster
        else { return nil }
        let deadline = machine.environment.now + Self.questionLimit
        let found: [NodeRecord]?? = await self.ask(machine) {
            do throws(ClusterFault) {
                let answer = try await cluster.query(
                    .nodes, in: .system, freshness: .linearizable, deadline: deadline)
                guard case .nodes(let nodes) = answer else { return nil }
                return nodes
            } catch { return nil }
        }
        return found ?? nil
    }
}
