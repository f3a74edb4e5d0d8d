import Placement
import Primitives
import Testing

/// The figures at the sizes that matter, with all 65,536 partitions.
@Suite struct LayoutTableTests {
    struct Size: CustomTestStringConvertible, Sendable {
        let zones: [Int]
        /// What the partitions of the busiest node are over the mean: one zone of a single node
        /// keeps a copy of everything; equal zones leave only what rounding leaves.
        let fullestByWeight: Double
        /// The most sets that the table may have: eight lines of (nodes + 3), or all there can be.
        let homeSets: Int
        var testDescription: String { "\(self.zones.reduce(0, +)) nodes" }
    }

    private static let sizes = [
        Size(zones: [2, 2, 1], fullestByWeight: 1.667, homeSets: 4),
        Size(zones: [10, 10, 10], fullestByWeight: 1.002, homeSets: 8 * 33),
        Size(zones: [25, 25, 25, 25], fullestByWeight: 1.005, homeSets: 8 * 103),
        Size(zones: [200, 200, 200, 200, 200], fullestByWeight: 1.02, homeSets: 8 * 1_003),
    ]

    enum Change: String, CaseIterable, Sendable {
        case joins = "one joins"
        case leaves = "one leaves"
        case doubles = "one doubles"
        case grows = "a tenth join"

        func applied(to nodes: [NodeDescriptor]) -> [NodeDescriptor] {
            let fresh = UInt32(nodes.count + 1)
            let zones = Set(nodes.map(\.zone)).sorted()
            switch self {
            case .joins:
                return nodes + [NodeDescriptor(id: NodeID(fresh), zone: zones[0])]
            case .leaves:
                return nodes.map {
                    $0.id == NodeID(1)
                        ? NodeDescriptor(id: $0.id, zone: $0.zone, state: .draining) : $0
                }
            case .doubles:
                return nodes.map {
                    $0.id == NodeID(1)
                        ? NodeDescriptor(id: $0.id, zone: $0.zone, weight: 2) : $0
                }
            case .grows:
                return nodes
                    + (0..<UInt32(max(1, nodes.count / 10))).map {
                        NodeDescriptor(
                            id: NodeID(fresh + $0), zone: zones[Int($0) % zones.count])
                    }
            }
        }
    }

    /// How many copies a change may move over the least that any must: a rebuild brings whoever is
    /// short up to its share, of which the least leaves 2 % out, and at 1,000 nodes a copy is half
    /// a percent of a share.
    private static let movesOverLeast = 1.12

    @Test(arguments: Self.sizes)
    func `the figures hold at every size`(size: Size) throws {
        let nodes = nodes(zones: size.zones)
        let fresh = try LayoutBuilder.build(version: LayoutVersion(1), nodes: nodes)
        let figures = fresh.figures
        var rows = [Self.row(nodes.count, "new", figures)]
        #expect(figures.fullestByWeight <= size.fullestByWeight)
        #expect(figures.homeSetCount <= size.homeSets)
        for change in Change.allCases {
            let layout = try LayoutBuilder.rebuild(from: fresh, nodes: change.applied(to: nodes))
            let plan = try LayoutChange(from: fresh, to: layout)
            rows.append(Self.row(nodes.count, change.rawValue, plan.after, plan))
            #expect(plan.after.fullestByShare <= 1.02)
            // Within a tenth of what a new table would have, so the odds stay what they were.
            #expect(plan.after.homeSetCount <= max(size.homeSets * 11 / 10, 10))
            #expect(plan.after.oddsOfLossOfTwo == 0)
            #expect(plan.copiesMoved >= plan.leastMoves)
            #expect(Double(plan.copiesMoved) <= Self.movesOverLeast * Double(plan.leastMoves))
        }
        print(rows.joined(separator: "\n"))
    }

    /// One row of the table: nodes, what happened, fullest by weight and by share, sets of homes,
    /// odds of loss of two and of three, copies moved, the least that must, part of all copies.
    private static func row(
        _ nodeCount: Int, _ change: String, _ figures: LayoutFigures, _ plan: LayoutChange? = nil
    ) -> String {
        var cells = [
            "\(nodeCount)", change, Self.text(figures.fullestByWeight, decimals: 3),
            Self.text(figures.fullestByShare, decimals: 3), "\(figures.homeSetCount)",
            Self.text(figures.oddsOfLossOfTwo, decimals: 0),
            "1 in \(Self.text(1 / figures.oddsOfLossOfThree, decimals: 1))",
        ]
        if let plan {
            cells += [
                "\(plan.copiesMoved)", "\(plan.leastMoves)",
                Self.text(100 * plan.fractionMoved, decimals: 2) + " %",
            ]
        }
        return "| " + cells.joined(separator: " | ") + " |"
    }

    private static func text(_ value: Double, decimals: Int) -> String {
        let scale = (0..<decimals).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: max(0, decimals - fraction.count))
        return decimals == 0 ? "\(scaled)" : "\(scaled / scale).\(zeros)\(fraction)"
    }
}
