import Catalog
import ClusterClient
import IORuntime
import MetaNode
import Node
import Primitives
import SimulatedRuntime
import Wire

/// Slots that move while a story goes on, as an operator would have it.
extension SimulatedCluster {
    /// Asks group 0 to move slots; nil where nobody decides that now.
    package func moveSlots(_ slots: SlotRange, to group: GroupID) async -> CommandResult? {
        guard let machine = await self.leader(of: .system), let meta = self.node(on: machine)?.meta
        else { return nil }
        let command = CatalogCommand(operation: .moveSlots(MoveSlots(slots: slots, to: group)))
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

    /// Whether every move is over, and every edge knows where the slots are, within the limit.
    package func slotsRest(within limit: Duration) async -> Bool {
        let end = self.simulator.now + limit
        while self.simulator.now < end {
            if let table = await self.groupTable(), table.moves.isEmpty,
                self.running.allSatisfy({
                    self.node(on: $0)?.cluster.groupTable?.version == table.version
                })
            {
                return true
            }
            do { try await self.simulator.loop.sleep(for: .milliseconds(250)) } catch {
                return false
            }
        }
        return false
    }

    /// Has a bucket's slot go from group to group, until `end`.
    func moveSlot(
        of bucket: BucketName, until end: Instant, _ seed: SeededGenerator
    ) async {
        var generator = seed
        let slots = SlotRange(first: bucket.slot, last: bucket.slot)
        while self.simulator.now < end {
            let pause = generator.duration(in: .zero...(.seconds(3)))
            do { try await self.simulator.loop.sleep(for: pause) } catch { return }
            guard let table = await self.groupTable() else { continue }
            let owner = table.group(owning: bucket.slot)
            let others = table.groups.map(\.id).filter { $0 != .system && $0 != owner }
            guard let group = generator.pick(others) else { return }
            _ = await self.moveSlots(slots, to: group)
        }
    }
}
