import Placement
import Primitives

/// One chunk on its way to its copies: a pure decision, fed with what the stores answered.
///
/// A chunk is durable when enough *different nodes* hold it: its homes, or, where a home refuses,
/// is lost or is late, the next node of the partition's handoff order. A late home is not given up:
/// whoever answers first counts, and a surplus copy does no harm.
package struct ChunkWrite: Sendable {
    /// What the shell does next: send the sealed chunk to this node.
    package typealias Sends = [NodeID]

    package enum Outcome: Equatable, Sendable {
        case undecided
        /// Enough nodes hold the chunk durably; those among them that are not homes are named in
        /// the commit, which makes that row the repair record.
        case durable(holders: [NodeID], exceptions: [NodeID])
        /// Too few nodes can hold it: 503, and nothing was promised.
        case unavailable(holders: [NodeID])
        /// As many nodes would do, but those that have no room for it: 507.
        case diskFull(holders: [NodeID])
    }

    private let homes: [NodeID]
    /// Whom to ask at once: live homes, and stand-ins for those that are not.
    private let first: [NodeID]
    private let copies: Int
    /// Nodes not yet asked, the next one last.
    private var reserve: [NodeID]
    /// Nodes asked that have not answered.
    package private(set) var waiting: [NodeID] = []
    /// Nodes whose lateness has already sent for a replacement.
    private var late: [NodeID] = []
    private var holders: [NodeID] = []
    /// How many nodes have refused for want of disk space.
    private var fullCount = 0

    /// - Parameters:
    ///   - set: where the copies go as things stand; as many copies are needed as it names nodes.
    ///   - homes: the partition's nodes by the layout.
    package init(_ set: WriteSet, homes: [NodeID]) {
        invariant(!set.nodes.isEmpty, "a write needs at least one copy")
        self.homes = homes
        self.first = set.nodes
        self.copies = set.nodes.count
        self.reserve = set.spares.filter { !set.nodes.contains($0) }.reversed()
    }

    package private(set) var outcome: Outcome = .undecided

    /// Begins: whom to ask at once.
    package mutating func start() -> Sends {
        self.waiting = self.first
        return self.first
    }

    /// `node` has the chunk on durable storage.
    package mutating func stored(by node: NodeID) -> Sends {
        guard self.waiting.contains(node) else { return [] }
        self.waiting.removeAll { $0 == node }
        self.holders.append(node)
        self.decide()
        return []
    }

    /// `node` said no, its connection broke, or its deadline passed: it may or may not hold the
    /// chunk, and is not counted.
    package mutating func failed(_ node: NodeID) -> Sends {
        guard self.waiting.contains(node) else { return [] }
        self.waiting.removeAll { $0 == node }
        let wasReplaced = self.late.contains(node)
        let sends = wasReplaced ? [] : self.callUp(1)
        self.decide()
        return sends
    }

    /// `node` refused because its disk is full.
    package mutating func refusedFull(_ node: NodeID) -> Sends {
        if self.waiting.contains(node) { self.fullCount += 1 }
        return self.failed(node)
    }

    /// `node` has taken longer than twice its usual 99th percentile: somebody else is asked as well.
    package mutating func isLate(_ node: NodeID) -> Sends {
        guard self.waiting.contains(node), !self.late.contains(node) else { return [] }
        self.late.append(node)
        return self.callUp(1)
    }

    private mutating func callUp(_ count: Int) -> Sends {
        guard self.outcome == .undecided else { return [] }
        var sends: [NodeID] = []
        while sends.count < count, let node = self.reserve.popLast() { sends.append(node) }
        self.waiting += sends
        return sends
    }

    private mutating func decide() {
        guard self.outcome == .undecided else { return }
        let holders = self.holders.sorted()
        let possible = holders.count + self.waiting.count + self.reserve.count
        if holders.count >= self.copies {
            self.outcome = .durable(
                holders: holders, exceptions: holders.filter { !self.homes.contains($0) })
        } else if possible < self.copies {
            self.outcome =
                possible + self.fullCount >= self.copies
                ? .diskFull(holders: holders) : .unavailable(holders: holders)
        }
    }
}
