import Placement
import Primitives
import Testing

/// Nodes 1, 2, 3… dealt to zones of the given sizes.
func nodes(zones sizes: [Int], weight: UInt32 = 1) -> [NodeDescriptor] {
    var nodes: [NodeDescriptor] = []
    for (zone, size) in sizes.enumerated() {
        for _ in 0..<size {
            nodes.append(
                NodeDescriptor(
                    id: NodeID(UInt32(nodes.count + 1)), zone: "zone-\(zone + 1)", weight: weight))
        }
    }
    return nodes
}

/// How many partitions each node keeps.
func load(of layout: Layout) -> [NodeID: Int] {
    var partitions = [Int](repeating: 0, count: layout.homeSets.count)
    for position in layout.assignment { partitions[Int(position)] += 1 }
    var load: [NodeID: Int] = [:]
    for (position, homes) in layout.homeSets.enumerated() {
        for home in homes { load[home, default: 0] += partitions[position] }
    }
    return load
}

@Suite struct LayoutBuilderTests {
    @Test(arguments: [
        [1, 1, 1], [2, 2, 1], [2, 1, 1], [3], [4], [2, 1], [2, 2], [3, 1], [3, 2], [5],
        [1, 1, 1, 1],
        [10, 10, 10], [4, 3, 2, 1], [40, 1, 1],
    ])
    func `every partition has three different homes, in as many zones as there can be`(
        sizes: [Int]
    ) throws {
        let nodes = nodes(zones: sizes)
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes, partitionBits: 12)
        let zones = Dictionary(uniqueKeysWithValues: nodes.map { ($0.id, $0.zone) })
        #expect(Set(layout.assignment).count == layout.homeSets.count)
        for homes in layout.homeSets {
            #expect(Set(homes).count == 3)
            #expect(Set(homes.map { zones[$0] }).count == min(3, sizes.count))
        }
    }

    @Test func `five nodes in zones of two, two and one share each zone's copies evenly`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [2, 2, 1]))
        let load = load(of: layout)
        // Each zone keeps one copy of everything, so a zone's share is split among its nodes.
        for node in 1...4 {
            let count = load[NodeID(UInt32(node))] ?? 0
            #expect(abs(count - 32_768) <= 327, "node \(node) keeps \(count) partitions")
        }
        #expect(load[NodeID(5)] == 65_536)
    }

    @Test(arguments: [[10, 10, 10], [5], [2, 2], [1, 1, 1, 1, 1]])
    func `equal nodes in equal zones keep equal shares`(sizes: [Int]) throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: sizes))
        let share = 3 * layout.partitionCount / sizes.reduce(0, +)
        let load = load(of: layout)
        for node in layout.nodes {
            #expect(abs((load[node.id] ?? 0) - share) <= share / 100)
        }
    }

    @Test func `a node of twice the weight keeps twice the share`() throws {
        var nodes = nodes(zones: [3, 3, 3])
        nodes[0] = NodeDescriptor(id: nodes[0].id, zone: nodes[0].zone, weight: 2)
        let layout = try LayoutBuilder.build(version: LayoutVersion(1), nodes: nodes)
        let load = load(of: layout)
        #expect(abs((load[NodeID(1)] ?? 0) - 32_768) <= 327)
        #expect(abs((load[NodeID(2)] ?? 0) - 16_384) <= 163)
    }

    @Test func `the number of distinct triples is bounded`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [20, 20, 20]))
        #expect(layout.homeSets.count <= LayoutBuilder.lineCount * (60 + 3))
        #expect(Set(layout.homeSets).count == layout.homeSets.count)
    }

    @Test func `the order in which nodes are given changes nothing`() throws {
        let nodes = nodes(zones: [4, 3, 2, 1])
        let forward = try LayoutBuilder.build(version: LayoutVersion(7), nodes: nodes)
        let backward = try LayoutBuilder.build(
            version: LayoutVersion(7), nodes: Array(nodes.reversed()))
        #expect(forward == backward)
    }

    @Test func `one node keeps one copy`() throws {
        let layout = try LayoutBuilder.build(version: LayoutVersion(1), nodes: nodes(zones: [1]))
        #expect(layout.replicaCount == 1)
        #expect(layout.homeSets == [[NodeID(1)]])
    }

    @Test func `two nodes are refused, and none`() {
        #expect(throws: LayoutFault.twoNodes) {
            try LayoutBuilder.build(version: LayoutVersion(1), nodes: nodes(zones: [1, 1]))
        }
        #expect(throws: LayoutFault.noNodes) {
            try LayoutBuilder.build(version: LayoutVersion(1), nodes: [])
        }
    }

    @Test func `a draining node keeps its row and gets no partition`() throws {
        var nodes = nodes(zones: [2, 2, 1])
        nodes[1] = NodeDescriptor(id: NodeID(2), zone: "zone-1", state: .draining)
        let layout = try LayoutBuilder.build(version: LayoutVersion(1), nodes: nodes)
        #expect(load(of: layout)[NodeID(2)] == nil)
        #expect(layout.descriptor(of: NodeID(2))?.state == .draining)
    }
}
