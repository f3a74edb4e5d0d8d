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
    /// How many sets of homes a table may hold for each node, and for each of three more, which
    /// counts in the smallest clusters; after any number of rebuilds.
    ///
    /// Three nodes lost at once lose data when they are one of the sets, so the odds are at most
    /// this many times (nodes + 3) in all the triples there are: at 1,000 nodes 1 in 14,000, where
    /// homes drawn by lot for each of 65,536 partitions would make it 1 in 2,500. Fewer sets would
    /// better the odds and slow the repair of a node, which each of its sets gives two sources. A
    /// new table takes two thirds of the limit, so that a rebuild seldom has to merge sets.
    package static let homeSetsPerNodeLimit = 12
    /// One line of so many nodes fills the table of sets.
    private static let activeNodeLimit = Layout.homeSetLimit - 3
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
        let lineCount = max(
            1,
            min(
                Self.lineCount, partitionCount / Self.partitionsPerLineMinimum,
                Layout.homeSetLimit / (active.count + replicaCount)))
        let lineLength = partitionCount / lineCount
        var sets = HomeSets()
        var assignment = [UInt16](repeating: 0, count: partitionCount)
        for line in 0..<lineCount {
            let owners = Self.line(
                number: line, of: active, replicaCount: replicaCount, length: lineLength)
            var position: UInt16 = 0
            for point in 0..<lineLength {
                let met = (0..<replicaCount).lazy.map { point + $0 * lineLength }
                // The nodes are long beside a point, so most points have their neighbour's homes.
                if point == 0 || met.contains(where: { owners[$0] != owners[$0 - 1] }) {
                    position = sets.position(of: met.map { owners[$0] }.sorted())
                }
                assignment[point * lineCount + line] = position
            }
        }
        return try Layout(
            version: version, replicaCount: replicaCount, partitionBits: partitionBits,
            nodes: nodes, homeSets: sets.all, assignment: assignment)
    }

    /// The layout that follows `old` when the nodes are these: as balanced as a rebuild keeps it,
    /// with as few copies moved as that allows (`LayoutChange.leastMoves` says how few it could be).
    ///
    /// Where the number of homes changes, between a cluster of one node and one of three or more,
    /// the table is made anew, and that moves no more than must be: all copies are on one node.
    package static func rebuild(
        from old: Layout, nodes: [NodeDescriptor]
    ) throws(LayoutFault) -> Layout {
        let active = nodes.filter { $0.state == .active }
        let replicaCount = try Self.replicaCount(of: active)
        guard replicaCount == old.replicaCount else {
            return try Self.build(
                version: old.version.next, nodes: nodes, partitionBits: old.partitionBits)
        }
        var known: Set<NodeID> = []
        for node in nodes where !known.insert(node.id).inserted { throw .duplicateNode(node.id) }
        var rebuild = LayoutRebuild(old: old, active: active, replicaCount: replicaCount)
        rebuild.run()
        let (homeSets, assignment) = rebuild.assignment()
        return try Layout(
            version: old.version.next, replicaCount: replicaCount,
            partitionBits: old.partitionBits, nodes: nodes, homeSets: homeSets,
            assignment: assignment)
    }

    static func replicaCount(of active: [NodeDescriptor]) throws(LayoutFault) -> Int {
        guard active.count <= Self.activeNodeLimit else { throw .tooManyNodes(active.count) }
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

        let shares = NodeShares.split(over: zones, replicaCount: replicaCount, length: length)
        var owners: [NodeID] = []
        owners.reserveCapacity(replicaCount * length)
        for (zone, zoneShares) in zip(zones, shares) {
            for (node, share) in zip(zone, zoneShares) {
                owners.append(contentsOf: repeatElement(node.id, count: share))
            }
        }
        invariant(owners.count == replicaCount * length, "a line has a node at every point")
        return owners
    }
}

/// The distinct sets of homes, in the order they were first met.
struct HomeSets {
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
