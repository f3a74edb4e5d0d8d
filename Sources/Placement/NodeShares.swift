internal import Primitives

/// How many partitions each node should keep: in proportion to the weights, as far as the rule of
/// zones lets it.
enum NodeShares {
    /// Splits `replicaCount * length` copies over zones of nodes, and each zone's part over its
    /// nodes, so that no node keeps more than `length`. With zones enough no zone does either; with
    /// fewer, each zone keeps at least one copy of everything.
    static func split(
        over zones: [[NodeDescriptor]], replicaCount: Int, length: Int
    ) -> [[Int]] {
        let met = zones.count >= replicaCount ? 0...1 : 1...(replicaCount - zones.count + 1)
        let zoneShares = Self.apportion(
            replicaCount * length,
            weights: zones.map { $0.reduce(0) { $0 + Int($1.weight) } },
            bounds: zones.map {
                met.lowerBound * length...min(met.upperBound, $0.count) * length
            })
        return zip(zones, zoneShares).map { zone, share in
            Self.apportion(
                share, weights: zone.map { Int($0.weight) }, bounds: zone.map { _ in 0...length })
        }
    }

    /// Splits `total` in proportion to the weights within the bounds; what remains of the fractions
    /// goes where they were largest. The bounds must allow `total`.
    static func apportion(_ total: Int, weights: [Int], bounds: [ClosedRange<Int>]) -> [Int] {
        var shares = [Int](repeating: 0, count: weights.count)
        var free = Array(weights.indices)
        var remaining = total
        // A share outside its bounds is pinned to the bound and the others share what is left; the
        // side that is further out goes first, because pinning it moves the others (CSS Flexible
        // Box Layout §9.7 resolves lengths the same way).
        while true {
            let weight = free.reduce(0) { $0 + weights[$1] }
            let over = free.filter { remaining * weights[$0] > bounds[$0].upperBound * weight }
            let under = free.filter { remaining * weights[$0] < bounds[$0].lowerBound * weight }
            if over.isEmpty, under.isEmpty { break }
            let excess = over.reduce(0) {
                $0 + remaining * weights[$1] - bounds[$1].upperBound * weight
            }
            let shortage = under.reduce(0) {
                $0 + bounds[$1].lowerBound * weight - remaining * weights[$1]
            }
            let pinned = Set(excess >= shortage ? over : under)
            for index in excess >= shortage ? over : under {
                shares[index] =
                    excess >= shortage ? bounds[index].upperBound : bounds[index].lowerBound
                remaining -= shares[index]
            }
            free.removeAll { pinned.contains($0) }
        }
        let weight = free.reduce(0) { $0 + weights[$1] }
        for index in free { shares[index] = remaining * weights[index] / weight }
        let leftOver = remaining - free.reduce(0) { $0 + shares[$1] }
        let byFraction = free.sorted {
            let (a, b) = (remaining * weights[$0] % weight, remaining * weights[$1] % weight)
            return a == b ? $0 < $1 : a > b
        }
        for index in byFraction.prefix(leftOver) { shares[index] += 1 }
        return shares
    }

    /// The active nodes zone by zone, zones by name and nodes by identity, with what each should
    /// keep of all partitions.
    static func shares(
        of active: [NodeDescriptor], replicaCount: Int, partitionCount: Int
    ) -> [NodeID: Int] {
        var members: [String: [NodeDescriptor]] = [:]
        for node in active.sorted(by: { $0.id < $1.id }) {
            members[node.zone, default: []].append(node)
        }
        let zones = members.sorted { $0.key < $1.key }.map(\.value)
        let shares = Self.split(over: zones, replicaCount: replicaCount, length: partitionCount)
        var result: [NodeID: Int] = [:]
        for (zone, zoneShares) in zip(zones, shares) {
            for (node, share) in zip(zone, zoneShares) { result[node.id] = share }
        }
        return result
    }
}
