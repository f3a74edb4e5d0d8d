import Consensus
import Primitives

/// What a group's leader does next so that those vote who should.
enum MembershipStep: Equatable {
    case change(voters: [NodeID], learners: [NodeID])
    /// The leader is to go: somebody who stays leads the group to do without it.
    case handOver(to: NodeID)
}

/// From the members that a group has to those that group 0's table wishes for: who is new learns
/// first (Raft thesis §4.2.1), and when all who are new have caught up, one joint change brings
/// them in and takes the others out, so that no voter is lost on the way.
enum MembershipPlan {
    /// Entries that a learner may be behind what is committed when it is promoted. What it lacks
    /// then, it gets within a heartbeat or two.
    static let lagEntries: UInt64 = 256

    /// Nil: nothing to do, or something to wait for.
    static func step(towards wish: [NodeID], from status: RaftStatus) -> MembershipStep? {
        let members = status.members
        guard status.role == .leader, !wish.isEmpty, !members.isJoint, !status.isChanging else {
            return nil
        }
        let wish = wish.sorted()
        let newcomers = wish.filter { !members.voters.contains($0) }
        guard members.learners == newcomers else {
            return .change(voters: members.voters, learners: newcomers)
        }
        guard wish != members.voters, newcomers.allSatisfy({ Self.hasCaughtUp($0, status) }) else {
            return nil
        }
        if wish.contains(status.node) { return .change(voters: wish, learners: []) }
        // Whoever is to take over must vote already, or it could not lead.
        let heirs = wish.filter { node in
            members.voters.contains(node) && Self.hasCaughtUp(node, status)
                && status.peers.contains { $0.node == node && $0.mayTakeOver }
        }
        if let heir = heirs.first { return .handOver(to: heir) }
        // All who vote are to go: the newcomers come first.
        guard members.voters.allSatisfy({ !wish.contains($0) }) else { return nil }
        return .change(voters: wish + [status.node], learners: [])
    }

    private static func hasCaughtUp(_ node: NodeID, _ status: RaftStatus) -> Bool {
        if node == status.node { return true }
        return status.peers.contains { peer in
            peer.node == node && peer.state == .replicate
                && peer.match.rawValue + Self.lagEntries >= status.commit.rawValue
        }
    }
}
