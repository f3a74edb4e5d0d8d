import ChunkProtocol
import Placement
import Primitives
import Testing

@Suite struct ChunkWriteTests {
    private func nodes(_ ids: UInt32...) -> [NodeID] { ids.map { NodeID($0) } }

    private func write(homes: [NodeID], spares: [NodeID]) -> ChunkWrite {
        ChunkWrite(
            WriteSet(nodes: homes, spares: spares, zoneCount: 1, isReduced: false), homes: homes)
    }

    @Test func `a stand-in for a home known to be down is an exception from the start`() {
        let set = WriteSet(nodes: nodes(1, 2, 4), spares: [], zoneCount: 2, isReduced: false)
        var write = ChunkWrite(set, homes: nodes(1, 2, 3))
        #expect(write.start() == nodes(1, 2, 4))
        for node in nodes(1, 2, 4) { _ = write.stored(by: node) }
        #expect(write.outcome == .durable(holders: nodes(1, 2, 4), exceptions: nodes(4)))
    }

    @Test func `three homes that store make the chunk durable, without exceptions`() {
        var write = write(homes: nodes(1, 2, 3), spares: nodes(4, 5))
        #expect(write.start() == nodes(1, 2, 3))
        #expect(write.stored(by: NodeID(2)) == [])
        #expect(write.stored(by: NodeID(1)) == [])
        #expect(write.outcome == .undecided)
        #expect(write.stored(by: NodeID(3)) == [])
        #expect(write.outcome == .durable(holders: nodes(1, 2, 3), exceptions: []))
    }

    @Test
    func `a home that refuses is replaced by the next of the handoff order, named as exception`() {
        var write = write(homes: nodes(1, 2, 3), spares: nodes(5, 4))
        _ = write.start()
        #expect(write.failed(NodeID(1)) == nodes(5))
        _ = write.stored(by: NodeID(2))
        _ = write.stored(by: NodeID(3))
        _ = write.stored(by: NodeID(5))
        #expect(write.outcome == .durable(holders: nodes(2, 3, 5), exceptions: nodes(5)))
    }

    @Test func `a node that answers twice is counted once`() {
        var write = write(homes: nodes(1, 2, 3), spares: [])
        _ = write.start()
        _ = write.stored(by: NodeID(1))
        _ = write.stored(by: NodeID(1))
        _ = write.stored(by: NodeID(2))
        #expect(write.outcome == .undecided)
    }

    @Test func `a node that was never asked is not counted`() {
        var write = write(homes: nodes(1, 2, 3), spares: nodes(4))
        _ = write.start()
        _ = write.stored(by: NodeID(1))
        _ = write.stored(by: NodeID(2))
        _ = write.stored(by: NodeID(4))
        #expect(write.outcome == .undecided)
    }

    @Test func `a late home may still be the third copy, and its failure calls nobody twice`() {
        var write = write(homes: nodes(1, 2, 3), spares: nodes(4, 5))
        _ = write.start()
        #expect(write.isLate(NodeID(1)) == nodes(4))
        #expect(write.isLate(NodeID(1)) == [])
        #expect(write.failed(NodeID(1)) == [])
        _ = write.stored(by: NodeID(2))
        _ = write.stored(by: NodeID(3))
        _ = write.stored(by: NodeID(4))
        #expect(write.outcome == .durable(holders: nodes(2, 3, 4), exceptions: nodes(4)))
    }

    @Test func `two dead nodes of five leave just enough`() {
        var write = write(homes: nodes(1, 2, 3), spares: nodes(4, 5))
        _ = write.start()
        #expect(write.failed(NodeID(1)) == nodes(4))
        #expect(write.failed(NodeID(2)) == nodes(5))
        for node in nodes(3, 4, 5) { _ = write.stored(by: node) }
        #expect(write.outcome == .durable(holders: nodes(3, 4, 5), exceptions: nodes(4, 5)))
    }

    @Test func `with three dead of five nothing is promised`() {
        var write = write(homes: nodes(1, 2, 3), spares: nodes(4, 5))
        _ = write.start()
        _ = write.failed(NodeID(1))
        _ = write.failed(NodeID(2))
        #expect(write.outcome == .undecided)
        _ = write.failed(NodeID(4))
        #expect(write.outcome == .unavailable(holders: []))
    }

    @Test(arguments: 0..<400)
    func `whatever order answers come in, durable means enough different nodes that were asked`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        let homes = nodes(1, 2, 3).shuffled(using: &random)
        let handoff = nodes(4, 5, 6).shuffled(using: &random)
        var write = self.write(homes: homes, spares: handoff)
        var asked = write.start()
        var answers = asked
        var holders: Set<NodeID> = []
        while !answers.isEmpty, write.outcome == .undecided {
            let node = answers.remove(at: Int.random(in: 0..<answers.count, using: &random))
            let sends: ChunkWrite.Sends
            switch Int.random(in: 0..<4, using: &random) {
            case 0: sends = write.failed(node)
            case 1:
                sends = write.isLate(node)
                answers.append(node)
            default:
                holders.insert(node)
                sends = write.stored(by: node)
            }
            #expect(Set(sends).isDisjoint(with: asked), "nobody is asked twice")
            asked += sends
            answers += sends
        }
        switch write.outcome {
        case .durable(let found, let exceptions):
            #expect(Set(found) == holders && found.count == 3)
            #expect(Set(exceptions) == holders.subtracting(homes))
        case .unavailable(let found): #expect(Set(found) == holders && found.count < 3)
        case .undecided: Issue.record("every node has answered and nothing is decided")
        }
    }
}

@Suite struct ChunkReadTests {
    private let name = ChunkName(incarnation: 1, counter: 2)

    @Test func `the copy on this node comes first, then the fastest`() {
        let order = ChunkRead.ranked(
            [NodeID(1), NodeID(2), NodeID(3), NodeID(4)], local: NodeID(4),
            expectedMicroseconds: [NodeID(1): 900, NodeID(2): 300, NodeID(3): 300])
        #expect(order == [NodeID(4), NodeID(2), NodeID(3), NodeID(1)])
    }

    @Test func `a bad copy is answered from another and filed for repair`() {
        var read = ChunkRead(copies: [NodeID(1), NodeID(2)])
        #expect(read.start() == NodeID(1))
        #expect(read.failed(NodeID(1), .notAuthentic(self.name, frame: 0)) == NodeID(2))
        read.answered(by: NodeID(2))
        #expect(read.outcome == .answered(by: NodeID(2)))
        #expect(read.needsRepair == [NodeID(1)])
    }

    @Test func `a node that cannot be reached is not filed for repair`() {
        var read = ChunkRead(copies: [NodeID(1), NodeID(2)])
        _ = read.start()
        _ = read.failed(NodeID(1), .unreachable(self.name, NodeID(1)))
        #expect(read.needsRepair == [])
    }

    @Test func `a hedge asks beside the late one, and the first answer wins`() {
        var read = ChunkRead(copies: [NodeID(1), NodeID(2), NodeID(2)])
        _ = read.start()
        #expect(read.isLate() == NodeID(2))
        #expect(read.isLate() == nil)
        read.answered(by: NodeID(2))
        read.answered(by: NodeID(1))
        #expect(read.outcome == .answered(by: NodeID(2)))
    }

    @Test func `when every copy fails the faults are told`() {
        var read = ChunkRead(copies: [NodeID(1), NodeID(2)])
        _ = read.start()
        _ = read.failed(NodeID(1), .missing(self.name))
        #expect(read.failed(NodeID(2), .unreachable(self.name, NodeID(2))) == nil)
        #expect(
            read.outcome
                == .unreadable([
                    NodeID(1): .missing(self.name),
                    NodeID(2): .unreachable(self.name, NodeID(2)),
                ]))
    }
}
