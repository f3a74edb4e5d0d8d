import Consensus
import Primitives
import Testing

struct QuorumTests {
    private static func voters(_ numbers: [UInt32]) -> [NodeID] { numbers.map { NodeID($0) } }

    /// A value is reached when a majority of each configuration has it or more; found by trying.
    private static func reachedByTrying(
        _ configurations: [[NodeID]], _ values: [NodeID: Int]
    ) -> Int {
        let candidates = Set(values.values).union([0]).sorted(by: >)
        return candidates.first { candidate in
            configurations.filter { !$0.isEmpty }.allSatisfy { voters in
                voters.count { values[$0, default: 0] >= candidate } * 2 > voters.count
            }
        } ?? 0
    }

    @Test func `what a quorum has reached is what trying every value finds`() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<3000 {
            let nodes = (1...7).map { NodeID($0) }
            let incoming = nodes.filter { _ in generator.next() % 2 == 0 }
            let outgoing = nodes.filter { _ in generator.next() % 3 == 0 }
            guard !incoming.isEmpty else { continue }
            let values = Dictionary(
                uniqueKeysWithValues: nodes.map { ($0, Int(generator.next() % 5)) })
            let quorum = Quorum(voters: incoming, leaving: outgoing)
            #expect(
                quorum.reached { values[$0, default: 0] }
                    == Self.reachedByTrying([incoming, outgoing], values))
        }
    }

    @Test(arguments: [
        ([true, true, nil], Quorum.Verdict.won), ([true, false, nil], .open),
        ([false, false, nil], .lost), ([true, nil, nil], .open), ([nil, nil, nil], .open),
        ([true, true, false], .won), ([false, false, true], .lost),
    ])
    func `three voters decide by two`(answers: [Bool?], verdict: Quorum.Verdict) {
        let quorum = Quorum(voters: Self.voters([1, 2, 3]))
        #expect(quorum.verdict { answers[Int($0.rawValue) - 1] } == verdict)
    }

    @Test func `a joint election needs both majorities and is lost with either`() {
        let quorum = Quorum(voters: Self.voters([1, 2, 3]), leaving: Self.voters([3, 4, 5]))
        #expect(quorum.members == Self.voters([1, 2, 3, 4, 5]))
        #expect(quorum.verdict { $0.rawValue <= 3 ? true : nil } == .open)
        #expect(quorum.verdict { $0.rawValue <= 4 ? true : nil } == .won)
        #expect(quorum.verdict { $0.rawValue <= 3 } == .lost)
    }

    @Test func `a voter who is named twice is counted once`() {
        let quorum = Quorum(voters: Self.voters([1, 2, 2, 2]))
        #expect(quorum.incoming == Self.voters([1, 2]))
        #expect(quorum.verdict { $0.rawValue == 2 ? true : nil } == .open)
    }
}
