package import Primitives

/// What it takes to go from one layout to the next, and what that changes: computed before anything
/// moves, so that somebody can look at it and decide.
package struct LayoutChange: Equatable, Sendable {
    package let from: LayoutVersion
    package let to: LayoutVersion
    /// The partitions whose homes change, in ascending order.
    package let moves: [PartitionMove]
    /// What each node gains and loses, by ascending identity; nodes without a change have no row.
    package let nodes: [NodeChange]
    /// How many copies of partitions are made anew.
    package let copiesMoved: Int
    /// How many any change must make that brings every node as near to its share as a rebuild does.
    package let leastMoves: Int
    /// The part of all copies that is made anew.
    package let fractionMoved: Double
    package let before: LayoutFigures
    package let after: LayoutFigures

    /// Refuses layouts of different clusters: the number of partitions never changes.
    package init(from old: Layout, to new: Layout) throws(LayoutFault) {
        guard old.partitionBits == new.partitionBits else {
            throw .differentPartitionBits(old.partitionBits, new.partitionBits)
        }
        var moves: [PartitionMove] = []
        for partition in 0..<old.partitionCount {
            let partition = Partition(UInt32(partition))
            let (before, after) = (old.homes(of: partition), new.homes(of: partition))
            guard before != after else { continue }
            moves.append(
                PartitionMove(
                    partition: partition, leaving: before.filter { !after.contains($0) },
                    joining: after.filter { !before.contains($0) }))
        }
        var gained: [NodeID: Int] = [:]
        var lost: [NodeID: Int] = [:]
        for move in moves {
            for node in move.joining { gained[node, default: 0] += 1 }
            for node in move.leaving { lost[node, default: 0] += 1 }
        }
        self.from = old.version
        self.to = new.version
        self.moves = moves
        self.nodes = Set(gained.keys).union(lost.keys).sorted().map {
            NodeChange(node: $0, copiesGained: gained[$0] ?? 0, copiesLost: lost[$0] ?? 0)
        }
        self.copiesMoved = moves.reduce(0) { $0 + $1.joining.count }
        self.leastMoves =
            LayoutRebuild(
                old: old, active: new.nodes.filter { $0.state == .active },
                replicaCount: new.replicaCount
            ).leastMoves
        self.fractionMoved =
            Double(self.copiesMoved) / Double(new.replicaCount * new.partitionCount)
        self.before = old.figures
        self.after = new.figures
    }
}

/// A partition whose homes change.
package struct PartitionMove: Hashable, Sendable {
    package let partition: Partition
    /// The homes that it has no more, by ascending identity.
    package let leaving: [NodeID]
    /// The homes that it had not before, by ascending identity.
    package let joining: [NodeID]

    package init(partition: Partition, leaving: [NodeID], joining: [NodeID]) {
        self.partition = partition
        self.leaving = leaving
        self.joining = joining
    }
}

/// What a change of layout is to one node, in copies of partitions.
package struct NodeChange: Hashable, Sendable {
    package let node: NodeID
    package let copiesGained: Int
    package let copiesLost: Int

    package init(node: NodeID, copiesGained: Int, copiesLost: Int) {
        self.node = node
        self.copiesGained = copiesGained
        self.copiesLost = copiesLost
    }
}
