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

    @Test func `too few nodes with room are told from too few nodes`() {
        var full = write(homes: nodes(1, 2, 3), spares: nodes(4, 5))
        _ = full.start()
        #expect(full.refusedFull(NodeID(1)) == nodes(4))
        #expect(full.failed(NodeID(2)) == nodes(5))
        _ = full.stored(by: NodeID(3))
        #expect(full.outcome == .undecided)
        _ = full.refusedFull(NodeID(5))
        #expect(full.outcome == .diskFull(holders: nodes(3)))

        var dead = write(homes: nodes(1, 2, 3), spares: [])
        _ = dead.start()
        _ = dead.failed(NodeID(2))
        #expect(dead.outcome == .unavailable(holders: []))
        _ = dead.refusedFull(NodeID(3))
        #expect(dead.outcome == .unavailable(holders: []))
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
        var full = 0
        while !answers.isEmpty, write.outcome == .undecided {
            let node = answers.remove(at: Int.random(in: 0..<answers.count, using: &random))
            let sends: ChunkWrite.Sends
            switch Int.random(in: 0..<5, using: &random) {
            case 0: sends = write.failed(node)
            case 4:
                full += 1
                sends = write.refusedFull(node)
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
        case .diskFull(let found):
            #expect(Set(found) == holders && found.count < 3)
            #expect(full > 0)
        case .undecided: Issue.record("every node has answered and nothing is decided")
        }
    }
}
