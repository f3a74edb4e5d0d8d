import Catalog
import MetaNode
import Placement
import Primitives
import Testing

struct VoterPlanTests {
    private static func nodes(
        _ zones: String, draining: [UInt32] = [], removed: [UInt32] = []
    ) -> [NodeRecord] {
        zones.enumerated().map { place, zone in
            let id = UInt32(place + 1)
            let state: NodeState =
                removed.contains(id) ? .removed : draining.contains(id) ? .draining : .active
            return NodeRecord(
                descriptor: NodeDescriptor(id: NodeID(id), zone: "\(zone)", state: state),
                address: "h:\(id)", roles: .all)
        }
    }

    private static func table(_ voters: [UInt32], leader: UInt32) -> GroupTable {
        GroupTable(
            version: 4,
            groups: (0...2).map {
                GroupDescriptor(
                    id: GroupID($0), voters: voters.map { NodeID($0) },
                    preferredLeader: NodeID(leader))
            }, slots: [])
    }

    /// The voters of every group, and its preferred leader, after the plan.
    private static func plan(
        _ table: GroupTable, _ nodes: [NodeRecord]
    ) -> (voters: [UInt32], leaders: [UInt32?])? {
        guard let next = VoterPlan.next(after: table, for: nodes) else { return nil }
        #expect(next.version == table.version + 1)
        #expect(VoterPlan.next(after: next, for: nodes) == nil, "a plan is carried out once")
        #expect(Set(next.groups.map(\.voters)).count == 1)
        return (
            next.groups[0].voters.map(\.rawValue), next.groups.map { $0.preferredLeader?.rawValue }
        )
    }

    @Test func `nothing changes while all is well`() {
        #expect(Self.plan(Self.table([1, 2, 3, 4, 5], leader: 1), Self.nodes("aabbc")) == nil)
        #expect(Self.plan(Self.table([1, 2, 3, 4, 5], leader: 1), Self.nodes("aabbcc")) == nil)
    }

    @Test(
        arguments: [
            // A voter drained, with a spare and without.
            ([1, 2, 3, 4, 5], "aabbcc", [2], [], [1, 3, 4, 5, 6]),
            ([1, 2, 3, 4, 5], "aabbc", [2], [], [1, 3, 4, 5]),
            // One lost; then another node comes.
            ([1, 2, 3, 4, 5], "aabbc", [], [5], [1, 2, 3, 4]),
            ([1, 2, 3, 4], "aabbcc", [], [5], [1, 2, 3, 4, 6]),
            // Of two spares the one in the zone that has fewer voters.
            ([1, 2, 3, 4, 5], "aabbcbc", [5], [], [1, 2, 3, 4, 7]),
            // Three nodes grow to five, not to four.
            ([1, 2, 3], "abca", [], [], nil),
            ([1, 2, 3], "abcab", [], [], [1, 2, 3, 4, 5]),
            // Nobody else is there.
            ([1], "a", [1], [], nil),
            // All go, and others are there.
            ([1, 2, 3], "abcabc", [1, 2, 3], [], [4, 5, 6]),
        ] as [([UInt32], String, [UInt32], [UInt32], [UInt32]?)])
    func `voters go where nodes go, and others take their place`(
        voters: [UInt32], zones: String, draining: [UInt32], removed: [UInt32],
        expected: [UInt32]?
    ) {
        let nodes = Self.nodes(zones, draining: draining, removed: removed)
        #expect(Self.plan(Self.table(voters, leader: voters[0]), nodes)?.voters == expected)
    }

    @Test func `leaderships of a node that goes are spread`() {
        let nodes = Self.nodes("aabbc", draining: [1])
        let plan = Self.plan(Self.table([1, 2, 3, 4, 5], leader: 1), nodes)
        #expect(plan?.leaders == [2, 3, 4])
    }
}
