package import Primitives

/// Where the copies of a chunk go, as things stand.
package struct WriteSet: Equatable, Sendable {
    /// The nodes to write to at once: the live homes first, then the handoffs in their place. The
    /// write is acknowledged when all of them, or spares in their place, hold the chunk durably.
    package let nodes: [NodeID]
    /// The nodes to turn to next, in order, when one of `nodes` refuses, resets or is late.
    package let spares: [NodeID]
    /// How many different zones `nodes` stand in.
    package let zoneCount: Int
    /// Whether live nodes could not fill the full number of copies (a cluster of three nodes, one
    /// down): what is acknowledged now survives less, and is filed for repair.
    package let isReduced: Bool

    package init(nodes: [NodeID], spares: [NodeID], zoneCount: Int, isReduced: Bool) {
        self.nodes = nodes
        self.spares = spares
        self.zoneCount = zoneCount
        self.isReduced = isReduced
    }
}

package enum WriteChoice: Equatable, Sendable {
    case write(WriteSet)
    /// Too few nodes live to keep the promise; the client hears 503.
    case refused(liveCount: Int, neededCount: Int)
}

extension Layout {
    /// Chooses the nodes for a write to `partition`: the live homes, and for each home that is down
    /// the next of the handoff order. As many zones as live nodes allow while live homes are kept.
    package func chooseWriteSet(
        for partition: Partition, isLive: (NodeID) -> Bool
    ) -> WriteChoice {
        let homes = self.homes(of: partition).filter(isLive)
        let order = self.handoffOrder(for: partition, isLive: isLive)
        let clusterSize = self.nodes.count { $0.state != .removed }
        let liveCount = homes.count + order.count
        // Three nodes go on with two copies while one is down; from four on, three are kept up.
        let neededCount = clusterSize == 3 ? min(2, self.replicaCount) : self.replicaCount
        guard liveCount >= neededCount else {
            return .refused(liveCount: liveCount, neededCount: neededCount)
        }
        let handoffCount = min(self.replicaCount - homes.count, order.count)
        let nodes = homes + order.prefix(handoffCount)
        return .write(
            WriteSet(
                nodes: nodes, spares: Array(order.dropFirst(handoffCount)),
                zoneCount: Set(nodes.map { self.zone(of: $0) }).count,
                isReduced: nodes.count < self.replicaCount))
    }

    /// The live active nodes that are not homes of `partition`, in the order they stand in for
    /// homes: a zone that no live home and no earlier one of the order covers comes first; among
    /// equals the highest random weight (Thaler and Ravishankar 1998) decides, the same everywhere.
    package func handoffOrder(
        for partition: Partition, isLive: (NodeID) -> Bool
    ) -> [NodeID] {
        let homes = self.homes(of: partition)
        var usesOfZone: [String: Int] = [:]
        for home in homes where isLive(home) { usesOfZone[self.zone(of: home), default: 0] += 1 }
        var candidates =
            self.nodes
            .filter { $0.state == .active && !homes.contains($0.id) && isLive($0.id) }
            .map { (node: $0, weight: Self.handoffWeight(of: $0.id, for: partition)) }
            .sorted { ($0.weight, $0.node.id) > ($1.weight, $1.node.id) }
        var order: [NodeID] = []
        while let first = candidates.indices.min(by: {
            let (a, b) = (candidates[$0].node.zone, candidates[$1].node.zone)
            return (usesOfZone[a] ?? 0, $0) < (usesOfZone[b] ?? 0, $1)
        }) {
            let chosen = candidates.remove(at: first).node
            usesOfZone[chosen.zone, default: 0] += 1
            order.append(chosen.id)
        }
        return order
    }

    private static func handoffWeight(of node: NodeID, for partition: Partition) -> UInt64 {
        StableHash.mix(StableHash.mix(UInt64(node.rawValue)) &+ UInt64(partition.rawValue))
    }

    private func zone(of node: NodeID) -> String {
        guard let descriptor = self.descriptor(of: node) else {
            brokenInvariant("a layout describes every node it names; node \(node) is not")
        }
        return descriptor.zone
    }
}
