import Placement
import Primitives
import Testing

@Suite struct LayoutFiguresTests {
    @Test(arguments: [[2, 2, 1], [5], [1, 1, 1], [2, 2], [4, 3, 2, 1], [4, 4, 4]])
    func `balance, sets and odds of loss are what a recount finds`(sizes: [Int]) throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: sizes), partitionBits: 8)
        let figures = layout.figures
        let load = NaivePlacement.load(of: layout)
        #expect(Dictionary(uniqueKeysWithValues: layout.copies) == load)
        #expect(figures.nodeCount == load.count)
        let mean = Double(3 * layout.partitionCount) / Double(layout.nodes.count)
        #expect(figures.fullestByWeight == Double(load.values.max() ?? 0) / mean)
        #expect(figures.oddsOfLossOfTwo == 0)
        #expect(figures.oddsOfLossOfTwo == NaivePlacement.oddsOfLoss(of: layout, ofNodes: 2))
        #expect(figures.oddsOfLossOfThree == NaivePlacement.oddsOfLoss(of: layout, ofNodes: 3))
        for count in [4, 5] where count < layout.nodes.count {
            let odds = NaivePlacement.oddsOfLoss(of: layout, ofNodes: count)
            #expect(layout.oddsOfLoss(ofNodes: count) == odds)
        }
    }

    @Test func `two copies are lost with their two nodes`() throws {
        let layout = try Layout(
            version: LayoutVersion(1), replicaCount: 2, partitionBits: 1,
            nodes: nodes(zones: [1, 1, 1, 1]),
            homeSets: [[NodeID(1), NodeID(2)], [NodeID(3), NodeID(4)]], assignment: [0, 1])
        #expect(layout.figures.oddsOfLossOfTwo == 2.0 / 6.0)
        #expect(layout.figures.oddsOfLossOfThree == 1)
    }

    @Test func `a set that no partition has endangers nothing`() throws {
        let layout = try Layout(
            version: LayoutVersion(1), replicaCount: 1, partitionBits: 1,
            nodes: nodes(zones: [1, 1, 1]),
            homeSets: [[NodeID(1)], [NodeID(2)], [NodeID(3)]], assignment: [0, 1])
        #expect(layout.figures.homeSetCount == 2)
        #expect(layout.oddsOfLoss(ofNodes: 1) == 1)
    }

    @Test func `one node loses everything with itself`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [1]), partitionBits: 4)
        #expect(layout.figures.oddsOfLossOfTwo == 1)
    }
}
