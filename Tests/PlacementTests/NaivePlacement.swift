import Placement
import Primitives

/// Slow and obviously right computations, which the layouts are held against.
enum NaivePlacement {
    /// Goes through the partitions one by one.
    static func load(of layout: Layout) -> [NodeID: Int] {
        var load: [NodeID: Int] = [:]
        for partition in 0..<layout.partitionCount {
            for home in layout.homes(of: Partition(UInt32(partition))) {
                load[home, default: 0] += 1
            }
        }
        return load
    }

    /// Copies that stand on a node where the partition had none before.
    static func copiesMoved(from old: Layout, to new: Layout) -> Int {
        (0..<old.partitionCount).reduce(0) { sum, partition in
            let partition = Partition(UInt32(partition))
            return sum + Set(new.homes(of: partition)).subtracting(old.homes(of: partition)).count
        }
    }

    /// Loses every set of `count` nodes in turn, and looks at every partition.
    static func oddsOfLoss(of layout: Layout, ofNodes count: Int) -> Double {
        let homes = (0..<layout.partitionCount).map {
            Set(layout.homes(of: Partition(UInt32($0))))
        }
        let losses = Self.subsets(of: Set(homes.joined()).sorted(), size: count)
        let fatal = losses.count { lost in homes.contains { $0.isSubset(of: lost) } }
        return Double(fatal) / Double(losses.count)
    }

    static func subsets(of nodes: [NodeID], size: Int) -> [[NodeID]] {
        guard size > 0 else { return [[]] }
        return nodes.indices.flatMap { first in
            Self.subsets(of: Array(nodes[(first + 1)...]), size: size - 1).map {
                [nodes[first]] + $0
            }
        }
    }

    /// The fewest copies that must move so that every partition has homes in as many zones as there
    /// can be and every node keeps what `bounds` allow: tries every set of homes for every
    /// partition, and remembers only the loads that the partitions so far add up to (four bits a
    /// node, so at most 15 partitions).
    static func leastMoves(
        from old: Layout, to active: [NodeDescriptor], bounds: [NodeID: ClosedRange<Int>]
    ) -> Int? {
        let zones = Dictionary(uniqueKeysWithValues: active.map { ($0.id, $0.zone) })
        let zoneGoal = min(old.replicaCount, Set(zones.values).count)
        let nodes = active.map(\.id).sorted()
        let choices = Self.subsets(of: nodes, size: old.replicaCount).filter { homes in
            Set(homes.compactMap { zones[$0] }).count >= zoneGoal
        }
        func bits(_ homes: [NodeID]) -> UInt64 {
            homes.reduce(0) { sum, home in
                sum | (nodes.firstIndex(of: home).map { UInt64(1) << UInt64(4 * $0) } ?? 0)
            }
        }
        func isWithin(_ loads: UInt64, _ isWithin: (Int, ClosedRange<Int>) -> Bool) -> Bool {
            nodes.indices.allSatisfy {
                isWithin(Int(loads >> UInt64(4 * $0) & 15), bounds[nodes[$0]] ?? 0...0)
            }
        }
        var leastOfLoads: [UInt64: Int] = [0: 0]
        for partition in 0..<old.partitionCount {
            let homes = old.homes(of: Partition(UInt32(partition)))
            let steps = choices.map {
                (loads: bits($0), moves: Set($0).subtracting(homes).count)
            }
            var next: [UInt64: Int] = [:]
            for (loads, moves) in leastOfLoads {
                for step in steps {
                    let total = moves + step.moves
                    if total < next[loads + step.loads] ?? .max {
                        next[loads + step.loads] = total
                    }
                }
            }
            leastOfLoads = next.filter { isWithin($0.key) { $0 <= $1.upperBound } }
        }
        return leastOfLoads.filter { isWithin($0.key) { $0 >= $1.lowerBound } }.values.min()
    }
}
