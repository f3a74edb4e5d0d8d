package import Primitives

/// What a layout is worth, counted from its table.
package struct LayoutFigures: Equatable, Sendable {
    /// The nodes that keep partitions.
    package let nodeCount: Int
    package let homeSetCount: Int
    /// The most copies a unit of weight keeps, over the mean: how much of the disk must stay empty
    /// because the weights cannot be kept to, be it for the zones' sake.
    package let fullestByWeight: Double
    /// The most that a node keeps over its share, which is its weight's part as far as the rule of
    /// zones allows: how well the builder did.
    package let fullestByShare: Double
    /// The odds that two nodes lost at the same instant, any two being as likely, hold every copy
    /// of some partition.
    package let oddsOfLossOfTwo: Double
    /// The same for three nodes.
    package let oddsOfLossOfThree: Double
}

extension Layout {
    /// How many partitions each node keeps, by ascending identity; nodes that keep none have no row.
    package var copies: [(node: NodeID, partitionCount: Int)] {
        var copies = [Int](repeating: 0, count: self.nodes.count)
        let positions = Dictionary(
            uniqueKeysWithValues: self.nodes.enumerated().map { ($0.element.id, $0.offset) })
        for (homes, count) in zip(self.homeSets, self.partitionsOfHomeSets) {
            for home in homes {
                guard let position = positions[home] else {
                    brokenInvariant("a layout describes every node it names; \(home) is not")
                }
                copies[position] += count
            }
        }
        return zip(self.nodes, copies).filter { $1 > 0 }.map { ($0.id, $1) }
    }

    private var partitionsOfHomeSets: [Int] {
        var counts = [Int](repeating: 0, count: self.homeSets.count)
        for position in self.assignment { counts[Int(position)] += 1 }
        return counts
    }

    private var homeSetsInUse: Set<[NodeID]> {
        Set(zip(self.homeSets, self.partitionsOfHomeSets).filter { $1 > 0 }.map(\.0))
    }

    package var figures: LayoutFigures {
        let copies = self.copies
        let active = self.nodes.filter { $0.state == .active }
        let shares = NodeShares.shares(
            of: active, replicaCount: self.replicaCount, partitionCount: self.partitionCount)
        let totalWeight = active.reduce(0) { $0 + Int($1.weight) }
        let copiesOfWeight =
            Double(self.replicaCount * self.partitionCount) / Double(max(1, totalWeight))
        var fullestByWeight = 0.0
        var fullestByShare = 0.0
        for (node, count) in copies {
            guard let weight = self.descriptor(of: node)?.weight else { continue }
            fullestByWeight = max(fullestByWeight, Double(count) / Double(weight) / copiesOfWeight)
            if let share = shares[node], share > 0 {
                fullestByShare = max(fullestByShare, Double(count) / Double(share))
            }
        }
        return LayoutFigures(
            nodeCount: copies.count, homeSetCount: self.homeSetsInUse.count,
            fullestByWeight: fullestByWeight, fullestByShare: fullestByShare,
            oddsOfLossOfTwo: self.oddsOfLoss(ofNodes: 2),
            oddsOfLossOfThree: self.oddsOfLoss(ofNodes: 3))
    }

    /// The odds that `count` nodes lost at the same instant hold every copy of some partition, any
    /// nodes of those that keep partitions being as likely: the part of all sets of `count` nodes
    /// that contain a set of homes. Exact; the time is the number of sets of homes, and for each
    /// node that `count` has over `replicaCount`, times the number of nodes.
    package func oddsOfLoss(ofNodes count: Int) -> Double {
        var fatal = self.homeSetsInUse
        let nodes = Set(fatal.joined()).sorted()
        guard count >= self.replicaCount else { return 0 }
        guard count < nodes.count else { return 1 }
        for _ in self.replicaCount..<count {
            // The order does not matter: only how many there are in the end does.
            var wider: Set<[NodeID]> = []
            for set in fatal {
                for node in nodes where !set.contains(node) {
                    wider.insert((set + [node]).sorted())
                }
            }
            fatal = wider
        }
        var possible = 1.0
        for step in 0..<count { possible *= Double(nodes.count - step) / Double(step + 1) }
        return Double(fatal.count) / possible
    }
}
