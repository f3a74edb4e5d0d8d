import Catalog
import Primitives

/// What is known of who leads which group: hints that any answer may correct. A pure value.
struct GroupRoutes: Sendable {
    private let metaNodes: [NodeID]
    private var leaders: [GroupID: NodeID] = [:]
    /// Where the next blind attempt goes.
    private var turn = 0

    /// - Parameters:
    ///   - metaNodes: every node that votes, ascending; not empty.
    ///   - local: tried first of all when nothing is known, because it is nearest.
    init(metaNodes: [NodeID], local: NodeID) {
        invariant(!metaNodes.isEmpty, "a cluster has meta nodes")
        self.metaNodes = metaNodes.filter { $0 == local } + metaNodes.filter { $0 != local }
    }

    /// Whom to ask now.
    mutating func target(of group: GroupID) -> NodeID {
        if let leader = self.leaders[group] { return leader }
        return self.metaNodes[self.turn % self.metaNodes.count]
    }

    /// `node` answered as a leader does.
    mutating func answered(_ node: NodeID, for group: GroupID) { self.leaders[group] = node }

    /// `node` does not lead, and perhaps knows who does.
    mutating func refused(_ node: NodeID, for group: GroupID, hint: NodeID?) {
        if let hint, hint != node, self.metaNodes.contains(hint) {
            self.leaders[group] = hint
        } else {
            self.forget(node, for: group)
        }
    }

    /// `node` did not answer.
    mutating func failed(_ node: NodeID, for group: GroupID) { self.forget(node, for: group) }

    private mutating func forget(_ node: NodeID, for group: GroupID) {
        if self.leaders[group] == node { self.leaders[group] = nil }
        self.turn += 1
    }
}

/// The numbers of the commands that one process sends to one group (Raft thesis §6.3). A pure value.
struct CommandWindow: Sendable {
    private var next: UInt64
    /// Numbers given out whose outcome is not yet known here, ascending.
    private var open: [UInt64] = []

    init(firstSequence: UInt64) { self.next = firstSequence }

    /// The identity of a new command; nil while the window is full.
    mutating func begin(in session: SessionID) -> CommandIdentity? {
        let first = self.open.first ?? self.next
        guard self.next - first < UInt64(CatalogLimits.sessionWindow) else { return nil }
        let sequence = self.next
        self.next += 1
        self.open.append(sequence)
        return CommandIdentity(session: session, sequence: sequence, firstUnacknowledged: first)
    }

    /// The command's result is here, or nobody waits for it any more.
    mutating func end(_ identity: CommandIdentity) {
        var low = 0
        var high = self.open.count
        while low < high {
            let middle = (low + high) / 2
            if self.open[middle] < identity.sequence { low = middle + 1 } else { high = middle }
        }
        if low < self.open.count, self.open[low] == identity.sequence { self.open.remove(at: low) }
    }
}
