import Placement
import Primitives
import Testing

@Suite struct LayoutRebuildTests {
    struct Instance: CustomTestStringConvertible, Sendable {
        let name: String
        let before: [NodeDescriptor]
        let after: [NodeDescriptor]
        var testDescription: String { self.name }
    }

    private static func node(
        _ id: UInt32, _ zone: String, weight: UInt32 = 1, state: NodeState = .active
    ) -> NodeDescriptor {
        NodeDescriptor(id: NodeID(id), zone: zone, weight: weight, state: state)
    }

    private static let instances: [Instance] = {
        let five = nodes(zones: [2, 2, 1])
        let flat = nodes(zones: [5])
        let four = nodes(zones: [1, 1, 1, 1])
        let leaving = node(1, "zone-1", state: .draining)
        return [
            Instance(name: "nothing changes", before: five, after: five),
            Instance(
                name: "one joins the small zone", before: five, after: five + [node(6, "zone-3")]),
            Instance(
                name: "one joins a full zone", before: five, after: five + [node(6, "zone-1")]),
            Instance(name: "one joins a new zone", before: five, after: five + [node(6, "zone-4")]),
            Instance(name: "one leaves", before: five, after: [leaving] + five.dropFirst()),
            Instance(name: "one has gone", before: five, after: Array(five.dropFirst())),
            Instance(
                name: "one comes, one goes", before: five,
                after: [leaving] + five.dropFirst() + [node(6, "zone-1")]),
            Instance(name: "two leave", before: five, after: Array(five.dropFirst(2))),
            Instance(
                name: "a whole zone leaves", before: nodes(zones: [2, 2, 2]),
                after: Array(nodes(zones: [2, 2, 2]).dropLast(2))),
            Instance(
                name: "a weight doubles", before: five,
                after: [node(1, "zone-1", weight: 2)] + five.dropFirst()),
            Instance(
                name: "one joins without zones", before: flat, after: flat + [node(6, "zone-1")]),
            Instance(name: "one leaves without zones", before: flat, after: Array(flat.dropLast())),
            Instance(
                name: "a second zone opens", before: flat,
                after: flat + [node(6, "zone-2")]),
            Instance(
                name: "a third zone opens", before: nodes(zones: [2, 2]),
                after: nodes(zones: [2, 2]) + [node(5, "zone-3")]),
            Instance(
                name: "a node moves house", before: four,
                after: [node(1, "zone-2")] + four.dropFirst()),
            Instance(
                name: "weights turn round", before: four,
                after: four.enumerated().map {
                    node(UInt32($0 + 1), $1.zone, weight: UInt32($0 + 1))
                }
            ),
        ]
    }()

    /// What a rebuild keeps to: a node's share, give or take one partition or 2 %.
    private static func bounds(of layout: Layout, shares: [NodeID: Int]) -> [NodeID: ClosedRange<
        Int
    >] {
        shares.mapValues {
            let tolerance = max(1, $0 / 50)
            return max(0, $0 - tolerance)...min(layout.partitionCount, $0 + tolerance)
        }
    }

    /// The shares of a new layout, whose balance other tests count.
    private static func shares(_ nodes: [NodeDescriptor], partitionBits: Int) throws -> [NodeID:
        Int]
    {
        NaivePlacement.load(
            of: try LayoutBuilder.build(
                version: LayoutVersion(1), nodes: nodes, partitionBits: partitionBits))
    }

    @Test(arguments: Self.instances)
    func `a small table moves no more copies than trying everything finds`(
        instance: Instance
    ) throws {
        let old = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: instance.before, partitionBits: 3)
        let new = try LayoutBuilder.rebuild(from: old, nodes: instance.after)
        let change = try LayoutChange(from: old, to: new)
        let shares = try Self.shares(instance.after, partitionBits: 3)
        let least = try #require(
            NaivePlacement.leastMoves(
                from: old, to: instance.after.filter { $0.state == .active },
                bounds: Self.bounds(of: old, shares: shares)))
        #expect(change.leastMoves <= least)
        #expect(change.copiesMoved <= least + 2)
    }

    @Test(arguments: Self.instances)
    func `a rebuild keeps the rules, the balance and most copies`(instance: Instance) throws {
        let old = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: instance.before, partitionBits: 12)
        let new = try LayoutBuilder.rebuild(from: old, nodes: instance.after)
        let change = try LayoutChange(from: old, to: new)
        let active = instance.after.filter { $0.state == .active }
        let zones = Dictionary(uniqueKeysWithValues: active.map { ($0.id, $0.zone) })
        for homes in new.homeSets {
            #expect(Set(homes.compactMap { zones[$0] }).count == min(3, Set(zones.values).count))
            #expect(homes.allSatisfy { zones[$0] != nil })
        }
        let load = NaivePlacement.load(of: new)
        for (node, bounds) in Self.bounds(
            of: new, shares: try Self.shares(active, partitionBits: 12))
        {
            #expect(bounds.contains(load[node] ?? 0), "node \(node) keeps \(load[node] ?? 0)")
        }
        #expect(change.copiesMoved == NaivePlacement.copiesMoved(from: old, to: new))
        #expect(change.leastMoves <= change.copiesMoved)
        #expect(Double(change.copiesMoved) <= 1.25 * Double(change.leastMoves))
        #expect(new.version == LayoutVersion(2))
    }

    @Test func `nodes may come and go for years and the table stays good`() throws {
        var generator = SeededGenerator(seed: 7)
        var nodes = nodes(zones: [8, 8, 8])
        var layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes, partitionBits: 11)
        var moved = 0
        var least = 0
        for step in 0..<100 {
            let position = Int.random(in: 0..<nodes.count, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0 where nodes.count < 40:
                nodes.append(Self.node(UInt32(100 + step), "zone-\(step % 4 + 1)"))
            case 1 where nodes.count > 12:
                nodes.remove(at: position)
            default:
                nodes[position] = Self.node(
                    nodes[position].id.rawValue, nodes[position].zone,
                    weight: UInt32.random(in: 1...4, using: &generator))
            }
            let next = try LayoutBuilder.rebuild(from: layout, nodes: nodes)
            let change = try LayoutChange(from: layout, to: next)
            moved += change.copiesMoved
            least += change.leastMoves
            // A share is some hundred partitions, of which two are 2 %.
            #expect(change.after.fullestByShare <= 1.025)
            #expect(change.after.homeSetCount <= Self.homeSetLimit(of: nodes))
            layout = next
        }
        #expect(Double(moved) <= 1.25 * Double(least), "moved \(moved), least \(least)")
    }

    private static func homeSetLimit(of nodes: [NodeDescriptor]) -> Int {
        LayoutBuilder.homeSetsPerNodeLimit * (nodes.count + 3)
    }

    @Test func `a table with too many sets of homes comes back below the limit`() throws {
        var generator = SeededGenerator(seed: 11)
        let nodes = nodes(zones: [20])
        var homeSets: [[NodeID]] = []
        for _ in 0..<1_024 {
            let homes = nodes.map(\.id).shuffled(using: &generator).prefix(3).sorted()
            if !homeSets.contains(homes) { homeSets.append(homes) }
        }
        let limit = Self.homeSetLimit(of: nodes)
        try #require(homeSets.count > 2 * limit)
        let layout = try LayoutBuilder.rebuild(
            from: Layout(
                version: LayoutVersion(1), replicaCount: 3, partitionBits: 10, nodes: nodes,
                homeSets: homeSets,
                assignment: (0..<1_024).map { UInt16($0 % homeSets.count) }),
            nodes: nodes)
        #expect(layout.figures.homeSetCount <= limit)
        #expect(layout.figures.fullestByShare <= 1.025)
    }

    @Test(arguments: [([1], [1, 1, 1]), ([1], [2, 2, 1]), ([1, 1, 1], [1]), ([2, 2, 1], [1])])
    func `between one home and three nothing moves that need not`(
        before: [Int], after: [Int]
    ) throws {
        let old = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: before), partitionBits: 8)
        let new = try LayoutBuilder.rebuild(from: old, nodes: nodes(zones: after))
        let change = try LayoutChange(from: old, to: new)
        #expect(change.copiesMoved <= change.leastMoves + change.nodes.count * 5)
    }

    @Test func `a change says what moves, from where and to where`() throws {
        let before = try Layout(
            version: LayoutVersion(3), replicaCount: 3, partitionBits: 2,
            nodes: nodes(zones: [1, 1, 1, 1]),
            homeSets: [[NodeID(1), NodeID(2), NodeID(3)]], assignment: [0, 0, 0, 0])
        let after = try Layout(
            version: LayoutVersion(4), replicaCount: 3, partitionBits: 2,
            nodes: nodes(zones: [1, 1, 1, 1]),
            homeSets: [[NodeID(1), NodeID(2), NodeID(3)], [NodeID(1), NodeID(3), NodeID(4)]],
            assignment: [0, 1, 0, 1])
        let change = try LayoutChange(from: before, to: after)
        #expect(
            change.moves
                == [1, 3].map {
                    PartitionMove(
                        partition: Partition($0), leaving: [NodeID(2)], joining: [NodeID(4)])
                })
        #expect(
            change.nodes == [
                NodeChange(node: NodeID(2), copiesGained: 0, copiesLost: 2),
                NodeChange(node: NodeID(4), copiesGained: 2, copiesLost: 0),
            ])
        #expect(change.copiesMoved == 2)
        #expect(change.fractionMoved == 2.0 / 12.0)
        #expect(change.before.oddsOfLossOfThree == 1)
        #expect(change.after.oddsOfLossOfThree == 0.5)
    }

    @Test func `tables with different numbers of partitions are of different clusters`() throws {
        let nodes = nodes(zones: [1, 1, 1])
        let small = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes, partitionBits: 2)
        let large = try LayoutBuilder.build(
            version: LayoutVersion(2), nodes: nodes, partitionBits: 3)
        #expect(throws: LayoutFault.differentPartitionBits(2, 3)) {
            try LayoutChange(from: small, to: large)
        }
    }

    @Test func `a node named twice is refused`() throws {
        let nodes = nodes(zones: [1, 1, 1])
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes, partitionBits: 2)
        #expect(throws: LayoutFault.duplicateNode(NodeID(3))) {
            try LayoutBuilder.rebuild(from: layout, nodes: nodes + [Self.node(3, "zone-9")])
        }
    }
}
