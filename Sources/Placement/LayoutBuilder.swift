internal import Primitives

/// Makes a layout for the nodes there are, balanced exactly and with few distinct sets of nodes.
///
/// The method is systematic sampling (Madow 1949). Lay the nodes on a line, zone by zone, each as
/// long as the number of partitions it should keep; the line is `replicaCount` times as long as
/// there are partitions. The homes of partition k are the nodes under the points k, k + P, k + 2P….
/// No node is longer than P, so the homes differ; no zone is, where there are zones enough, so
/// their zones differ; and each node keeps exactly as many partitions as its length. One line makes
/// at most (nodes + replicas) different sets; several lines in different orders, each for a part of
/// the partitions, spread the repair of one node over more of the others (Cidon et al.,
/// "Copysets", 2013).
package enum LayoutBuilder {
    /// How many different orders of the nodes the partitions are dealt to.
    package static let lineCount = 8
    /// Below this many partitions a line, fewer lines are used, for rounding would show.
    private static let partitionsPerLineMinimum = 64

    /// The layout of the active nodes: three homes a partition, or one where there is one node.
    package static func build(
        version: LayoutVersion, nodes: [NodeDescriptor], partitionBits: Int = 16
    ) throws(LayoutFault) -> Layout {
        guard Layout.partitionBitsRange.contains(partitionBits) else {
            throw .partitionBitsOutOfRange(partitionBits)
        }
        let active = nodes.filter { $0.state == .active }.sorted { $0.id < $1.id }
        let replicaCount = try Self.replicaCount(of: active)

        let partitionCount = 1 << partitionBits
        let lineCount = min(Self.lineCount, max(1, partitionCount / Self.partitionsPerLineMinimum))
        let lineLength = partitionCount / lineCount
        var sets = HomeSets()
        var assignment = [UInt16](repeating: 0, count: partitionCount)
        for line in 0..<lineCount {
            let owners = Self.line(
                number: line, of: active, replicaCount: replicaCount, length: lineLength)
            for point in 0..<lineLength {
                let homes = (0..<replicaCount).map { owners[point + $0 * lineLength] }.sorted()
                assignment[point * lineCount + line] = sets.position(of: homes)
            }
        }
        return try Layout(
            version: version, replicaCount: replicaCount, partitionBits: partitionBits,
            nodes: nodes, homeSets: sets.all, assignment: assignment)
    }

    private static func replicaCount(of active: [NodeDescriptor]) throws(LayoutFault) -> Int {
        guard active.count <= Layout.nodeLimit else { throw .tooManyNodes(active.count) }
        for node in active where !(1...NodeDescriptor.weightLimit).contains(node.weight) {
            throw .weightOutOfRange(node.id)
        }
        switch active.count {
        case 0: throw .noNodes
        case 1: return 1
        case 2: throw .twoNodes
        default: return 3
        }
    }

    /// One line: at each of its `replicaCount * length` points the node that lies there.
    private static func line(
        number: Int, of active: [NodeDescriptor], replicaCount: Int, length: Int
    ) -> [NodeID] {
        func rank(_ seed: UInt64) -> UInt64 {
            StableHash.mix(StableHash.mix(seed) &+ UInt64(number))
        }
        var members: [String: [NodeDescriptor]] = [:]
        for node in active { members[node.zone, default: []].append(node) }
        let zones = members.keys.sorted {
            let (a, b) = (rank(StableHash.of($0.utf8)), rank(StableHash.of($1.utf8)))
            return (a, $0) < (b, $1)
        }.map { zone in
            (members[zone] ?? []).sorted {
                let (a, b) = (rank(UInt64($0.id.rawValue)), rank(UInt64($1.id.rawValue)))
                return (a, $0.id) < (b, $1.id)
            }
        }

        // With zones enough, none is met twice; with fewer, each is met at least once.
        let met = zones.count >= replicaCount ? 0...1 : 1...(replicaCount - zones.count + 1)
        let zoneLengths = Self.apportion(
            replicaCount * length,
            weights: zones.map { $0.reduce(0) { $0 + Int($1.weight) } },
            bounds: zones.map {
                met.lowerBound * length...min(met.upperBound, $0.count) * length
            })
        var owners: [NodeID] = []
        owners.reserveCapacity(replicaCount * length)
        for (zone, zoneLength) in zip(zones, zoneLengths) {
            let lengths = Self.apportion(
                zoneLength, weights: zone.map { Int($0.weight) },
                bounds: zone.map { _ in 0...length })
            for (node, length) in zip(zone, lengths) {
                owners.append(contentsOf: repeatElement(node.id, count: length))
            }
        }
        invariant(owners.count == replicaCount * length, "a line has a node at every point")
        return owners
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
            for index in excess >= shortage ? over : under {
                shares[index] =
                    excess >= shortage ? bounds[index].upperBound : bounds[index].lowerBound
                remaining -= shares[index]
                free.removeAll { $0 == index }
            }
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
}

/// The distinct sets of homes, in the order they were first met.
private struct HomeSets {
    private(set) var all: [[NodeID]] = []
    private var positions: [[NodeID]: UInt16] = [:]

    mutating func position(of homes: [NodeID]) -> UInt16 {
        if let known = self.positions[homes] { return known }
        let position = UInt16(self.all.count)
        self.all.append(homes)
        self.positions[homes] = position
        return position
    }
}
