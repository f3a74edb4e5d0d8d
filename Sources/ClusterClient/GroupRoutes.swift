import Primitives

/// What is known of who leads which group: hints that any answer may correct. A pure value.
package struct GroupRoutes: Sendable {
    private var metaNodes: [NodeID]
    private let local: NodeID
    private var leaders: [GroupID: NodeID] = [:]
    /// Where the next blind attempt goes.
    private var turn = 0
    /// Nodes that let a call's time pass, and until when others are asked instead.
    private var silentUntil: [NodeID: Instant] = [:]

    /// How long a silent node is left alone. A call is given up after a second; the first of the
    /// other voters tires of a leader that has stopped between one and two seconds after it did, most
    /// likely soon after one. A node that only one answer was lost of is kept waiting no longer.
    package static let silence: Duration = .milliseconds(600)

    /// - Parameters:
    ///   - metaNodes: every node that votes, ascending; not empty.
    ///   - local: tried first of all when nothing is known, because it is nearest.
    package init(metaNodes: [NodeID], local: NodeID) {
        invariant(!metaNodes.isEmpty, "a cluster has meta nodes")
        self.local = local
        self.metaNodes = Self.ordered(metaNodes, local)
    }

    private static func ordered(_ metaNodes: [NodeID], _ local: NodeID) -> [NodeID] {
        metaNodes.filter { $0 == local } + metaNodes.filter { $0 != local }
    }

    /// Others vote now. None at all is no news.
    package mutating func metaNodesChanged(to metaNodes: [NodeID]) {
        let ordered = Self.ordered(metaNodes, self.local)
        guard !ordered.isEmpty, ordered != self.metaNodes else { return }
        self.metaNodes = ordered
        self.leaders = self.leaders.filter { ordered.contains($0.value) }
    }

    /// Whom to ask now: nobody who was silent lately, while there is somebody else.
    package func target(of group: GroupID, at now: Instant) -> NodeID {
        if let leader = self.leaders[group] { return leader }
        let count = self.metaNodes.count
        let order = (0..<count).lazy.map { self.metaNodes[(self.turn + $0) % count] }
        return order.first { !self.isSilent($0, at: now) } ?? self.metaNodes[self.turn % count]
    }

    /// `node` answered as a leader does.
    package mutating func answered(_ node: NodeID, for group: GroupID) {
        self.leaders[group] = node
        self.silentUntil[node] = nil
    }

    /// `node` does not lead, and perhaps knows who does.
    ///
    /// - Returns: whether its hint is followed. One that names a silent node is not: for an election
    ///   timeout everybody follows a leader that has stopped, and would send us back to it.
    package mutating func refused(
        _ node: NodeID, for group: GroupID, hint: NodeID?, at now: Instant
    ) -> Bool {
        if let hint, hint != node, self.metaNodes.contains(hint), !self.isSilent(hint, at: now) {
            self.leaders[group] = hint
            return true
        }
        self.forget(node, for: group)
        return false
    }

    /// `node` could not be reached, or broke off.
    package mutating func failed(_ node: NodeID, for group: GroupID) {
        self.forget(node, for: group)
    }

    /// `node` let a call's time pass.
    package mutating func wasSilent(_ node: NodeID, for group: GroupID, at now: Instant) {
        self.silentUntil[node] = now + Self.silence
        self.forget(node, for: group)
    }

    private func isSilent(_ node: NodeID, at now: Instant) -> Bool {
        self.silentUntil[node].map { now < $0 } ?? false
    }

    private mutating func forget(_ node: NodeID, for group: GroupID) {
        if self.leaders[group] == node { self.leaders[group] = nil }
        self.turn += 1
    }
}
