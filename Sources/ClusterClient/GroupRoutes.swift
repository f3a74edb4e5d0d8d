import Primitives

/// What is known of who leads which group: hints that any answer may correct. A pure value.
package struct GroupRoutes: Sendable {
    private let metaNodes: [NodeID]
    private var leaders: [GroupID: NodeID] = [:]
    /// Where the next blind attempt goes.
    private var turn = 0

    /// - Parameters:
    ///   - metaNodes: every node that votes, ascending; not empty.
    ///   - local: tried first of all when nothing is known, because it is nearest.
    package init(metaNodes: [NodeID], local: NodeID) {
        invariant(!metaNodes.isEmpty, "a cluster has meta nodes")
        self.metaNodes = metaNodes.filter { $0 == local } + metaNodes.filter { $0 != local }
    }

    /// Whom to ask now.
    package mutating func target(of group: GroupID) -> NodeID {
        if let leader = self.leaders[group] { return leader }
        return self.metaNodes[self.turn % self.metaNodes.count]
    }

    /// `node` answered as a leader does.
    package mutating func answered(_ node: NodeID, for group: GroupID) {
        self.leaders[group] = node
    }

    /// `node` does not lead, and perhaps knows who does.
    package mutating func refused(_ node: NodeID, for group: GroupID, hint: NodeID?) {
        if let hint, hint != node, self.metaNodes.contains(hint) {
            self.leaders[group] = hint
        } else {
            self.forget(node, for: group)
        }
    }

    /// `node` did not answer.
    package mutating func failed(_ node: NodeID, for group: GroupID) {
        self.forget(node, for: group)
    }

    private mutating func forget(_ node: NodeID, for group: GroupID) {
        if self.leaders[group] == node { self.leaders[group] = nil }
        self.turn += 1
    }
}
