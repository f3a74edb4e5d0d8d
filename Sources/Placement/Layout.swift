package import Primitives

/// Counts the layouts of a cluster, from 1; 0 is "none yet".
package struct LayoutVersion: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static let none = LayoutVersion(0)
    package var next: LayoutVersion { LayoutVersion(self.rawValue + 1) }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "\(self.rawValue)" }
}

/// The versioned table from partitions to the nodes that keep their chunks.
///
/// The hash of a chunk's name never changes, only this table does; group 0 alone writes it. Each
/// distinct set of nodes stands in it once, so that a table of 65,536 partitions takes 64 KiB in a
/// small cluster and 128 KiB in a big one.
package struct Layout: Equatable, Sendable {
    package static let partitionBitsRange = 1...20
    package static let replicaLimit = 7
    package static let nodeLimit = 65_536
    /// How many distinct sets of nodes a table may name; an assignment fits 16 bits.
    package static let homeSetLimit = 65_536

    package let version: LayoutVersion
    /// How many homes each partition has.
    package let replicaCount: Int
    /// The base-2 logarithm of the number of partitions.
    package let partitionBits: Int
    /// Every node of the cluster, by ascending identity.
    package let nodes: [NodeDescriptor]
    /// The distinct sets of homes, each by ascending identity.
    package let homeSets: [[NodeID]]
    /// For each partition the position of its homes in `homeSets`.
    package let assignment: [UInt16]

    private let positions: [NodeID: Int]

    package var partitionCount: Int { 1 << self.partitionBits }

    /// Refuses a table that names a node it does not describe, names one twice in a set, or does not
    /// give every partition its homes.
    package init(
        version: LayoutVersion, replicaCount: Int, partitionBits: Int, nodes: [NodeDescriptor],
        homeSets: [[NodeID]], assignment: [UInt16]
    ) throws(LayoutFault) {
        guard Self.partitionBitsRange.contains(partitionBits) else {
            throw .partitionBitsOutOfRange(partitionBits)
        }
        guard (1...Self.replicaLimit).contains(replicaCount) else {
            throw .replicaCountOutOfRange(replicaCount)
        }
        guard nodes.count <= Self.nodeLimit else { throw .tooManyNodes(nodes.count) }
        let sorted = nodes.sorted { $0.id < $1.id }
        var positions: [NodeID: Int] = [:]
        for (position, node) in sorted.enumerated() {
            guard positions.updateValue(position, forKey: node.id) == nil else {
                throw .duplicateNode(node.id)
            }
        }
        guard homeSets.count <= Self.homeSetLimit, assignment.count == 1 << partitionBits,
            assignment.allSatisfy({ Int($0) < homeSets.count })
        else { throw .incompleteAssignment }
        for homes in homeSets {
            guard homes.count == replicaCount, zip(homes, homes.dropFirst()).allSatisfy({ $0 < $1 })
            else { throw .malformedHomes(homes) }
            if let stranger = homes.first(where: { positions[$0] == nil }) {
                throw .unknownNode(stranger)
            }
        }
        self.version = version
        self.replicaCount = replicaCount
        self.partitionBits = partitionBits
        self.nodes = sorted
        self.homeSets = homeSets
        self.assignment = assignment
        self.positions = positions
    }

    package func partition(of chunk: ChunkName) -> Partition {
        chunk.partition(partitionBits: self.partitionBits)
    }

    /// The nodes that keep the partition's chunks, by ascending identity.
    package func homes(of partition: Partition) -> [NodeID] {
        self.homeSets[Int(self.assignment[Int(partition.rawValue)])]
    }

    package func homes(of chunk: ChunkName) -> [NodeID] {
        self.homes(of: self.partition(of: chunk))
    }

    package func descriptor(of node: NodeID) -> NodeDescriptor? {
        self.positions[node].map { self.nodes[$0] }
    }
}

/// Why nodes make no layout, or a table is not one.
package enum LayoutFault: Error, Equatable, Sendable {
    /// No active node is there to take a partition.
    case noNodes
    /// Two nodes are refused: a write could survive the loss of neither.
    case twoNodes
    case tooManyNodes(Int)
    case duplicateNode(NodeID)
    case weightOutOfRange(NodeID)
    case partitionBitsOutOfRange(Int)
    case replicaCountOutOfRange(Int)
    /// A change is between tables of one cluster, whose number of partitions never changes.
    case differentPartitionBits(Int, Int)
    /// Some partition has no homes.
    case incompleteAssignment
    /// A set of homes is not `replicaCount` different nodes in ascending order.
    case malformedHomes([NodeID])
    /// A set of homes names a node that the layout does not describe.
    case unknownNode(NodeID)
}
