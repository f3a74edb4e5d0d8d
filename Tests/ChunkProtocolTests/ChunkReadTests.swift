import ChunkProtocol
import Primitives
import Testing

@Suite struct ChunkReadTests {
    private let name = ChunkName(incarnation: 1, counter: 2)
    private let copies = [NodeID(1), NodeID(2), NodeID(3)]

    private func ask(_ node: UInt32, _ frames: Range<Int>) -> ChunkRead.Ask {
        ChunkRead.Ask(NodeID(node), frames)
    }

    private func bad(_ frames: Int...) -> [(frame: Int, fault: ChunkFault)] {
        frames.map { ($0, .notAuthentic(self.name, frame: $0)) }
    }

    // MARK: Whom first

    private func standing(_ node: UInt32, _ change: (inout CopyStanding) -> Void) -> CopyStanding {
        var standing = CopyStanding(node: NodeID(node))
        change(&standing)
        return standing
    }

    @Test func `the fastest healthy copy comes first, and one believed dead last`() {
        let order = ChunkRead.ranked([
            self.standing(1) {
                $0.isLive = false; $0.expectedMicroseconds = 10
            },
            self.standing(2) {
                $0.isSuspect = true; $0.expectedMicroseconds = 20
            },
            self.standing(3) { $0.expectedMicroseconds = 5000 },
            self.standing(4) { $0.expectedMicroseconds = 300 },
            self.standing(5) { _ in },
        ])
        #expect(order == [4, 5, 3, 2, 1].map { NodeID($0) })
    }

    @Test(arguments: [(400, 2), (402, 1)] as [(Int, UInt32)])
    func `the own copy comes first unless it takes twice as long`(
        expectedMicroseconds: Int, first: UInt32
    ) {
        let order = ChunkRead.ranked([
            self.standing(1) { $0.expectedMicroseconds = 200 },
            self.standing(2) {
                $0.isLocal = true; $0.expectedMicroseconds = expectedMicroseconds
            },
        ])
        #expect(order.first == NodeID(first))
    }

    // MARK: Frames

    @Test func `one bad frame is asked of the next copy alone, and the bad copy is filed`() {
        var read = ChunkRead(0..<16, copies: self.copies)
        #expect(read.start() == self.ask(1, 0..<16))
        #expect(read.answered(by: NodeID(1), bad: self.bad(5)) == self.ask(2, 5..<6))
        #expect(read.outcome == .undecided)
        #expect(read.answered(by: NodeID(2), bad: []) == nil)
        #expect(read.outcome == .complete)
        #expect(read.badCopies == [NodeID(1)])
    }

    @Test func `bad frames far apart are asked for in one request`() {
        var read = ChunkRead(4..<20, copies: self.copies)
        _ = read.start()
        #expect(read.answered(by: NodeID(1), bad: self.bad(6, 17)) == self.ask(2, 6..<18))
        // Frame 9 was good before, so that it is bad here does not matter.
        #expect(read.answered(by: NodeID(2), bad: self.bad(9)) == nil)
        #expect(read.outcome == .complete)
        #expect(read.badCopies == [NodeID(1), NodeID(2)])
    }

    @Test func `two copies that are bad in different frames make one good chunk`() {
        var read = ChunkRead(0..<4, copies: [NodeID(1), NodeID(2)])
        _ = read.start()
        #expect(read.isLate(NodeID(1)) == self.ask(2, 0..<4))
        #expect(read.answered(by: NodeID(1), bad: self.bad(0)) == nil)
        #expect(read.answered(by: NodeID(2), bad: self.bad(3)) == nil)
        #expect(read.outcome == .complete)
    }

    @Test func `a frame that is bad everywhere is unreadable, and nothing is made up for it`() {
        var read = ChunkRead(0..<2, copies: [NodeID(1), NodeID(2)])
        _ = read.start()
        #expect(read.answered(by: NodeID(1), bad: self.bad(1)) == self.ask(2, 1..<2))
        #expect(read.answered(by: NodeID(2), bad: self.bad(1)) == nil)
        let fault = ChunkFault.notAuthentic(self.name, frame: 1)
        #expect(read.outcome == .unreadable([NodeID(1): fault, NodeID(2): fault]))
    }

    @Test func `a node that cannot be reached is not filed for repair`() {
        var read = ChunkRead(0..<1, copies: self.copies)
        _ = read.start()
        #expect(
            read.failed(NodeID(1), .unreachable(self.name, NodeID(1))) == self.ask(2, 0..<1))
        #expect(read.failed(NodeID(2), .missing(self.name)) == self.ask(3, 0..<1))
        #expect(read.badCopies == [NodeID(2)])
    }

    @Test func `when every copy fails the faults are told`() {
        var read = ChunkRead(0..<1, copies: [NodeID(1), NodeID(2)])
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

    // MARK: Time

    @Test func `a hedge asks beside the late one, and the first answer wins`() {
        var read = ChunkRead(0..<3, copies: [NodeID(1), NodeID(2), NodeID(2)])
        _ = read.start()
        #expect(read.isLate(NodeID(1)) == self.ask(2, 0..<3))
        #expect(!read.canHedge)
        #expect(read.isLate(NodeID(1)) == nil)
        #expect(read.answered(by: NodeID(2), bad: []) == nil)
        #expect(read.outcome == .complete)
        #expect(read.isWaiting(for: NodeID(1)))
    }

    @Test func `what is overdue is asked of another, once`() {
        var read = ChunkRead(0..<3, copies: self.copies)
        _ = read.start()
        #expect(read.isOverdue(NodeID(1)) == self.ask(2, 0..<3))
        #expect(read.isOverdue(NodeID(1)) == nil)
        // Its own answer still counts.
        #expect(read.answered(by: NodeID(1), bad: []) == nil)
        #expect(read.outcome == .complete)
    }

    @Test func `what was hedged and is overdue is on its way already`() {
        var read = ChunkRead(0..<3, copies: self.copies)
        _ = read.start()
        #expect(read.isLate(NodeID(1)) == self.ask(2, 0..<3))
        #expect(read.isOverdue(NodeID(1)) == nil)
        #expect(read.failed(NodeID(1), .unreachable(self.name, NodeID(1))) == nil)
        #expect(read.isOverdue(NodeID(2)) == self.ask(3, 0..<3))
        #expect(read.outcome == .undecided)
    }

    @Test(arguments: 1...200 as ClosedRange<UInt64>)
    func `whatever happens in whatever order, each copy is asked once and the end is right`(
        seed: UInt64
    ) {
        var generator = SeededGenerator(seed: seed)
        let frames = 0..<Int.random(in: 1...16, using: &generator)
        var good = Set<Int>()
        var open: [ChunkRead.Ask] = []
        var all: [NodeID] = []
        var read = ChunkRead(frames, copies: self.copies)
        func take(_ ask: ChunkRead.Ask?) {
            guard let ask else { return }
            open.append(ask)
            all.append(ask.node)
        }
        take(read.start())
        while read.outcome == .undecided {
            guard !open.isEmpty else {
                Issue.record("nobody is asked and nothing decided")
                return
            }
            let place = Int.random(in: 0..<open.count, using: &generator)
            let ask = open[place]
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: take(read.isLate(ask.node))
            case 1: take(read.isOverdue(ask.node))
            case 2:
                open.remove(at: place)
                take(read.failed(ask.node, .unreachable(self.name, ask.node)))
            default:
                open.remove(at: place)
                let isBad = ask.frames.map { _ in Int.random(in: 0..<5, using: &generator) == 0 }
                let badFrames = zip(ask.frames, isBad).filter(\.1).map(\.0)
                good.formUnion(Set(ask.frames).subtracting(badFrames))
                take(
                    read.answered(
                        by: ask.node,
                        bad: badFrames.map { ($0, .checksumMismatch(self.name, frame: $0)) }))
            }
        }
        #expect(Set(all).count == all.count)
        #expect((read.outcome == .complete) == good.isSuperset(of: frames))
    }
}

@Suite struct HedgeBudgetTests {
    @Test
    func
        `of a thousand and one reads that are all late, one in twenty is hedged, and what was saved`()
    {
        var budget = HedgeBudget()
        var hedges = 0
        for _ in 0...1000 {
            budget.readBegan()
            if budget.takeHedge() { hedges += 1 }
        }
        #expect(hedges == 50 + HedgeBudget.mostSaved)
    }

    @Test func `a quiet time saves up no more than the named number`() {
        var budget = HedgeBudget()
        for _ in 0..<10_000 { budget.readBegan() }
        var hedges = 0
        while budget.takeHedge() { hedges += 1 }
        #expect(hedges == HedgeBudget.mostSaved)
    }
}
