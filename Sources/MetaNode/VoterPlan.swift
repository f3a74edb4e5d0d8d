import Catalog
import Placement
import Primitives

/// Which nodes should vote in which group: what group 0's leader makes of the nodes' records when
/// nodes come, are drained, or are removed.
///
/// A voter that may stay stays. One that is drained or removed goes, and where fewer vote than
/// should, others take its place: from the zone that has the fewest voters of the group. A group
/// never loses its last voter, and an even number of voters is kept rather than taken down by one
/// that is well: it is no worse than the odd number below it.
package enum VoterPlan {
    /// Two of five may be lost; more would make every write wait for more.
    package static let mostVoters = 5

    /// The next table; nil when this one is as it should be.
    package static func next(after table: GroupTable, for nodes: [NodeRecord]) -> GroupTable? {
        let able = nodes.filter { $0.roles.contains(.meta) && $0.descriptor.state == .active }
            .sorted { $0.id < $1.id }
        guard !able.isEmpty else { return nil }
        // The greatest odd number.
        let count = (min(Self.mostVoters, able.count) - 1) / 2 * 2 + 1
        var leaderships: [NodeID: Int] = [:]
        for leader in table.groups.compactMap(\.preferredLeader) {
            leaderships[leader, default: 0] += 1
        }
        let groups = table.groups.map { group in
            let voters = Self.voters(after: group.voters, of: able, atLeast: count)
            var leader = group.preferredLeader
            if let former = leader, !voters.contains(former) {
                leader = voters.min {
                    (leaderships[$0, default: 0], $0) < (leaderships[$1, default: 0], $1)
                }
                if let leader { leaderships[leader, default: 0] += 1 }
            }
            return GroupDescriptor(id: group.id, voters: voters, preferredLeader: leader)
        }
        guard groups != table.groups else { return nil }
        return GroupTable(version: table.version + 1, groups: groups, slots: table.slots)
    }

    private static func voters(
        after voters: [NodeID], of able: [NodeRecord], atLeast count: Int
    ) -> [NodeID] {
        var chosen = able.filter { voters.contains($0.id) }
        while chosen.count < count {
            let inZone = Dictionary(grouping: chosen, by: \.descriptor.zone).mapValues(\.count)
            let waiting = able.filter { node in !chosen.contains { $0.id == node.id } }
            let next = waiting.min {
                (inZone[$0.descriptor.zone, default: 0], $0.id)
                    < (inZone[$1.descriptor.zone, default: 0], $1.id)
            }
            guard let next else { break }
            chosen.append(next)
        }
        return chosen.map(\.id).sorted()
    }
}
