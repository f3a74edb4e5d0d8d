import MetaNode
import Primitives
import Testing

struct ReplicaAuditTests {
    private static let voters = (1...5).map { NodeID($0) }

    private static func mark(_ index: UInt64, digest: UInt64 = 7, chain: UInt64 = 9) -> StateMark {
        StateMark(digest: digest &* index, chain: chain &* index)
    }

    private static func audit(through last: UInt64) -> ReplicaAudit {
        var audit = ReplicaAudit()
        audit.begin(at: .zero, nil)
        for index in 1...last {
            let firstAnswer = audit.applied(Self.mark(index), at: LogIndex(index))
            #expect(firstAnswer == [])
        }
        return audit
    }

    struct Case: Sendable {
        /// What the voters 2 to 5 claim of index 3; nil: they say nothing.
        let claims: [StateMark?]
        let standing: ReplicaAudit.Standing
        let differing: [NodeID]
    }

    private static let same = mark(3)
    private static let state = mark(3, digest: 8)
    private static let log = mark(3, digest: 8, chain: 10)
    private static let third = LogIndex(3)

    @Test(arguments: [
        Case(claims: [nil, nil, nil, nil], standing: .inOrder, differing: []),
        Case(claims: [same, same, same, same], standing: .inOrder, differing: []),
        // Another is wrong, or two are: they find out themselves.
        Case(claims: [state, same, same, same], standing: .inOrder, differing: [NodeID(2)]),
        Case(
            claims: [state, log, same, same], standing: .inOrder,
            differing: [NodeID(2), NodeID(3)]),
        // Two against one are not yet a majority of five.
        Case(
            claims: [state, state, nil, nil], standing: .inOrder,
            differing: [NodeID(2), NodeID(3)]),
        // A majority is, whatever the fifth says.
        Case(
            claims: [state, state, state, same], standing: .wrongState(at: third),
            differing: [NodeID(2), NodeID(3), NodeID(4)]),
        Case(
            claims: [state, state, state, state], standing: .wrongState(at: third),
            differing: [NodeID(2), NodeID(3), NodeID(4), NodeID(5)]),
        Case(
            claims: [log, log, log, same], standing: .wrongLog(at: third),
            differing: [NodeID(2), NodeID(3), NodeID(4)]),
        // Where both are said, the log is not proven wrong.
        Case(
            claims: [log, state, state, same], standing: .wrongState(at: third),
            differing: [NodeID(2), NodeID(3), NodeID(4)]),
    ])
    func `a majority that differs proves a replica wrong`(example: Case) {
        var audit = Self.audit(through: 5)
        for (place, claim) in example.claims.enumerated() {
            guard let claim else { continue }
            _ = audit.claimed(claim, at: LogIndex(3), by: Self.voters[place + 1])
        }
        #expect(audit.standing(among: Self.voters) == example.standing)
        #expect(audit.differing == example.differing)
    }

    @Test func `a claim about what is not applied yet waits until it is`() {
        var audit = Self.audit(through: 2)
        let firstAnswer = audit.claimed(Self.mark(4), at: LogIndex(4), by: NodeID(2))
        #expect(!firstAnswer)
        let secondAnswer = audit.claimed(Self.mark(4, digest: 1), at: LogIndex(4), by: NodeID(3))
        #expect(!secondAnswer)
        // A later claim does not take the place of one that is still to be compared.
        let thirdAnswer = audit.claimed(Self.mark(5), at: LogIndex(5), by: NodeID(3))
        #expect(!thirdAnswer)
        let fourthAnswer = audit.applied(Self.mark(3), at: LogIndex(3))
        #expect(fourthAnswer == [])
        let fifthAnswer = audit.applied(Self.mark(4), at: LogIndex(4))
        #expect(fifthAnswer == [NodeID(3)])
        #expect(audit.finding(of: NodeID(2)) == .same)
        #expect(audit.finding(of: NodeID(3)) == .otherState(at: LogIndex(4)))
    }

    @Test func `a difference is news once, and so is its end`() {
        var audit = Self.audit(through: 3)
        let firstAnswer = audit.claimed(Self.same, at: Self.third, by: NodeID(2))
        #expect(!firstAnswer)
        let secondAnswer = audit.claimed(Self.state, at: Self.third, by: NodeID(2))
        #expect(secondAnswer)
        let thirdAnswer = audit.claimed(Self.state, at: Self.third, by: NodeID(2))
        #expect(!thirdAnswer)
        let fourthAnswer = audit.claimed(Self.same, at: Self.third, by: NodeID(2))
        #expect(fourthAnswer)
        #expect(audit.differing == [])
    }

    @Test func `only so much is remembered, and nothing of another state`() {
        let length = UInt64(ReplicaAudit.marksRemembered)
        var audit = Self.audit(through: length + 10)
        let other = StateMark(digest: 1, chain: 1)
        for index in [0, 1, 10] as [UInt64] {
            let firstAnswer = audit.claimed(other, at: LogIndex(index), by: NodeID(2))
            #expect(!firstAnswer)
        }
        let secondAnswer = audit.claimed(other, at: LogIndex(11), by: NodeID(2))
        #expect(secondAnswer)
        #expect(audit.mark?.applied == LogIndex(length + 10))

        audit.begin(at: LogIndex(20_000), Self.mark(20_000))
        #expect(audit.differing == [])
        let thirdAnswer = audit.claimed(other, at: LogIndex(19_999), by: NodeID(2))
        #expect(!thirdAnswer)
        let fourthAnswer = audit.claimed(Self.mark(20_000), at: LogIndex(20_000), by: NodeID(2))
        #expect(!fourthAnswer)
        #expect(audit.finding(of: NodeID(2)) == .same)
        let fifthAnswer = audit.claimed(other, at: LogIndex(20_000), by: NodeID(3))
        #expect(fifthAnswer)
    }
}
