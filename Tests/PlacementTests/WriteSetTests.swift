import Placement
import Primitives
import Testing

@Suite struct WriteSetTests {
    /// Every way to pick `count` of `nodes`.
    private func combinations(of nodes: [NodeID], count: Int) -> [[NodeID]] {
        guard count > 0 else { return [[]] }
        return nodes.indices.flatMap { first in
            self.combinations(of: Array(nodes[(first + 1)...]), count: count - 1)
                .map { [nodes[first]] + $0 }
        }
    }

    @Test func `a write takes every live home and as many zones as any choice could`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [3, 2, 2]), partitionBits: 8)
        let zones = Dictionary(uniqueKeysWithValues: layout.nodes.map { ($0.id, $0.zone) })
        var random = SeededGenerator(seed: 5)
        for round in 0..<2_000 {
            let partition = Partition(UInt32(round % layout.partitionCount))
            let live = layout.nodes.map(\.id).filter { _ in
                Int.random(in: 0..<3, using: &random) > 0
            }
            let choice = layout.chooseWriteSet(for: partition) { live.contains($0) }
            guard live.count >= 3 else {
                #expect(choice == .refused(liveCount: live.count, neededCount: 3))
                continue
            }
            guard case .write(let set) = choice else {
                Issue.record("three live nodes must do; \(choice)")
                continue
            }
            let homes = Set(layout.homes(of: partition).filter { live.contains($0) })
            let best = self.combinations(of: live, count: 3)
                .filter { homes.isSubset(of: $0) }
                .map { Set($0.map { zones[$0] }).count }.max()
            #expect(Set(set.nodes).count == 3)
            #expect(homes.isSubset(of: set.nodes))
            #expect(set.nodes.allSatisfy { live.contains($0) })
            #expect(set.zoneCount == best)
            #expect(Set(set.nodes + set.spares) == Set(live))
            #expect(set.nodes.count + set.spares.count == live.count)
            #expect(!set.isReduced)
        }
    }

    @Test func `with all alive a write goes to the homes alone`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [2, 2, 1]), partitionBits: 8)
        for partition in 0..<256 {
            let partition = Partition(UInt32(partition))
            guard
                case .write(let set) = layout.chooseWriteSet(for: partition, isLive: { _ in true })
            else {
                Issue.record("refused with all alive")
                return
            }
            #expect(set.nodes == layout.homes(of: partition))
        }
    }

    @Test func `the order of handoffs differs between partitions, so that the load spreads`() throws
    {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [4, 4, 4]), partitionBits: 8)
        let first = (0..<256).compactMap {
            layout.handoffOrder(for: Partition(UInt32($0)), isLive: { _ in true }).first
        }
        #expect(Set(first).count == 12)
    }

    @Test func `three nodes go on with two copies while one is down, and stop at one`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [1, 1, 1]), partitionBits: 4)
        #expect(
            layout.chooseWriteSet(for: Partition(0)) { $0 != NodeID(2) }
                == .write(
                    WriteSet(
                        nodes: [NodeID(1), NodeID(3)], spares: [], zoneCount: 2, isReduced: true)))
        #expect(
            layout.chooseWriteSet(for: Partition(0)) { $0 == NodeID(2) }
                == .refused(liveCount: 1, neededCount: 2))
    }

    @Test func `four nodes go on with three copies while one is down, and stop at two`() throws {
        let layout = try LayoutBuilder.build(
            version: LayoutVersion(1), nodes: nodes(zones: [2, 1, 1]), partitionBits: 4)
        guard
            case .write(let set) = layout.chooseWriteSet(
                for: Partition(0), isLive: { $0 != NodeID(3) })
        else {
            Issue.record("three of four must do")
            return
        }
        #expect(Set(set.nodes) == [NodeID(1), NodeID(2), NodeID(4)])
        #expect(
            layout.chooseWriteSet(for: Partition(0)) { $0.rawValue <= 2 }
                == .refused(liveCount: 2, neededCount: 3))
    }
}
