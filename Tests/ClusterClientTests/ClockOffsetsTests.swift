import ClusterClient
import Primitives
import Testing

struct ClockOffsetsTests {
    private static let start = Instant(nanoseconds: 5_000_000_000)
    private static let wall = Timestamp(milliseconds: 1_767_225_600_000)

    /// Node 1 among `offsets.count + 1` voters; node n + 2 shows `offsets[n]` milliseconds more, or
    /// nothing is known of it.
    private static func offsets(_ offsets: [Int64?]) -> ClockOffsets {
        let voters = (1...UInt32(offsets.count + 1)).map { NodeID($0) }
        var clocks = ClockOffsets(node: NodeID(1), voters: voters)
        for (place, offset) in offsets.enumerated() {
            guard let offset else { continue }
            clocks.heard(
                from: voters[place + 1], wall: Self.wall + .milliseconds(offset), roundTrip: .zero,
                at: Self.start)
        }
        return clocks
    }

    struct Case: Sendable {
        /// What the others' clocks show above one's own, in milliseconds.
        let others: [Int64?]
        /// How far the own clock is ahead of the median.
        let offset: Int64?
        let mustNotLead: Bool
        let isUnfit: Bool
    }

    @Test(arguments: [
        // Alone, or in agreement, nobody is off.
        Case(others: [], offset: 0, mustNotLead: false, isUnfit: false),
        Case(others: [0, 0, 0, 0], offset: 0, mustNotLead: false, isUnfit: false),
        // The median of five: neither the one ahead nor the one behind counts.
        Case(
            others: [3_600_000, -3_600_000, 10, 20], offset: -10, mustNotLead: false, isUnfit: false
        ),
        // Oneself an hour ahead, an hour behind.
        Case(
            others: [-3_600_000, -3_600_000, -3_600_000, -3_600_000], offset: 3_600_000,
            mustNotLead: true, isUnfit: true),
        Case(
            others: [3_600_000, 3_600_000, 3_600_000, 3_600_000], offset: -3_600_000,
            mustNotLead: true, isUnfit: true),
        // The limits themselves are within.
        Case(others: [-500, -500], offset: 500, mustNotLead: false, isUnfit: false),
        Case(others: [-501, -501], offset: 501, mustNotLead: true, isUnfit: false),
        Case(others: [5_000, 5_000], offset: -5_000, mustNotLead: true, isUnfit: false),
        Case(others: [5_001, 5_001], offset: -5_001, mustNotLead: true, isUnfit: true),
        // A majority is needed, oneself included; of an even number the earlier middle counts.
        Case(others: [nil, nil, nil, nil], offset: nil, mustNotLead: false, isUnfit: false),
        Case(others: [-1_000, nil, nil, nil], offset: nil, mustNotLead: false, isUnfit: false),
        Case(others: [-1_000, -1_000, nil, nil], offset: 1_000, mustNotLead: true, isUnfit: false),
        Case(others: [-1_000, nil], offset: 1_000, mustNotLead: true, isUnfit: false),
        Case(others: [1_000, nil], offset: 0, mustNotLead: false, isUnfit: false),
    ])
    func `a clock is judged by the median of the voters`(example: Case) {
        let verdict = Self.offsets(example.others).verdict(on: Self.wall, at: Self.start)
        #expect(verdict.offset == example.offset.map { .milliseconds($0) })
        #expect(verdict.mustNotLead == example.mustNotLead)
        #expect(verdict.isUnfitForEdges == example.isUnfit)
    }

    @Test
    func `the time of an entry is within half a second of the median, whatever a clock shows`() {
        let clocks = Self.offsets([0, 0, 0, 0])
        for jump in [-86_400_000, -501, -500, -1, 0, 1, 500, 501, 86_400_000] as [Int64] {
            let verdict = clocks.verdict(on: Self.wall + .milliseconds(jump), at: Self.start)
            let bounded = min(max(jump, -500), 500)
            #expect(verdict.boundedTime == Self.wall + .milliseconds(bounded))
        }
        #expect(
            Self.offsets([nil, nil]).verdict(on: Self.wall, at: Self.start).boundedTime == nil)
    }

    @Test func `a jump of the own clock shows at once, and time that passes does not`() {
        let clocks = Self.offsets([0, 0])
        let later = Self.start + .seconds(300)
        #expect(clocks.verdict(on: Self.wall + .seconds(300), at: later).offset == .zero)
        #expect(clocks.verdict(on: Self.wall + .seconds(310), at: later).offset == .seconds(10))
    }

    @Test func `half of the round trip is added, and one that took too long says nothing`() {
        var clocks = ClockOffsets(node: NodeID(1), voters: [NodeID(1), NodeID(2)])
        for roundTrip in [Duration.milliseconds(501), .milliseconds(-1), .seconds(3_600)] {
            clocks.heard(
                from: NodeID(2), wall: Self.wall, roundTrip: roundTrip, at: Self.start)
        }
        #expect(clocks.knownClocks(at: Self.start) == 1)
        clocks.heard(
            from: NodeID(2), wall: Self.wall + .milliseconds(-300), roundTrip: .milliseconds(400),
            at: Self.start)
        #expect(clocks.knownClocks(at: Self.start) == 2)
        #expect(clocks.verdict(on: Self.wall, at: Self.start).offset == .milliseconds(100))
    }

    @Test func `readings are forgotten, strangers are not heard, and absurd clocks do no harm`() {
        var clocks = Self.offsets([0, 0])
        let late = Self.start + ClockOffsets.readingLifetime + .seconds(1)
        #expect(clocks.verdict(on: Self.wall, at: late).offset == nil)
        clocks.heard(from: NodeID(9), wall: Self.wall, roundTrip: .zero, at: late)
        for absurd in [Int64.min, -1, .max] {
            clocks.heard(
                from: NodeID(2), wall: Timestamp(milliseconds: absurd), roundTrip: .zero, at: late)
            #expect(
                clocks.verdict(on: Timestamp(milliseconds: absurd), at: Self.start).mustNotLead)
        }
        #expect(clocks.knownClocks(at: late) == 1)
    }

    @Test func `a leadership goes to a voter whose clock is right`() {
        let clocks = Self.offsets([-3_600_000, -3_600_000, -3_600_000, 0])
        #expect(clocks.mayLead(NodeID(2), ownWall: Self.wall, at: Self.start))
        #expect(!clocks.mayLead(NodeID(5), ownWall: Self.wall, at: Self.start))
        #expect(!clocks.mayLead(NodeID(6), ownWall: Self.wall, at: Self.start))
    }

    @Test func `a node that does not vote goes by those who do`() {
        let voters = (1...3).map { NodeID($0) }
        var clocks = ClockOffsets(node: NodeID(7), voters: voters)
        for voter in voters {
            clocks.heard(from: voter, wall: Self.wall, roundTrip: .zero, at: Self.start)
        }
        let verdict = clocks.verdict(on: Self.wall + .seconds(6), at: Self.start)
        #expect(verdict.offset == .seconds(6))
        #expect(verdict.isUnfitForEdges)
        clocks.setVoters([NodeID(1), NodeID(8), NodeID(9)])
        #expect(clocks.verdict(on: Self.wall, at: Self.start).offset == nil)
    }
}
