import Primitives

/// Why a copy of a chunk could not be read.
package enum ChunkFault: Error, Equatable, Sendable {
    /// The store does not hold the chunk.
    case missing(ChunkName)
    /// A frame at rest is not what was written.
    case checksumMismatch(ChunkName, frame: Int)
    /// A frame arrived that its tag does not prove.
    case notAuthentic(ChunkName, frame: Int)
    /// The device failed.
    case device(ChunkName, reason: String)
    /// The node could not be reached, or did not answer in time.
    case unreachable(ChunkName, NodeID)

    /// What the reader does next; a new fault does not compile until it has an answer here.
    package var remedy: Remedy {
        switch self {
        case .missing, .checksumMismatch, .notAuthentic: .readAnotherCopyAndRepair
        case .device, .unreachable: .readAnotherCopy
        }
    }

    package enum Remedy: Equatable, Sendable {
        case readAnotherCopy
        /// This copy is bad for good: file it for repair as well.
        case readAnotherCopyAndRepair
    }
}

/// One read of some frames of a chunk: a pure decision about whom to ask, and whom next.
///
/// Every copy is the same sealed bytes, so any one verified copy will do. The reader asks the copy
/// with the best score first, a second one when the first is late, and the next when one fails.
package struct ChunkRead: Sendable {
    package enum Outcome: Equatable, Sendable {
        case undecided
        case answered(by: NodeID)
        /// No copy could be read; the faults in the order they came.
        case unreadable([NodeID: ChunkFault])
    }

    /// Copies not yet asked, the next one last.
    private var reserve: [NodeID]
    /// Copies asked that have not answered.
    package private(set) var waiting: [NodeID] = []
    private var faults: [NodeID: ChunkFault] = [:]
    package private(set) var outcome: Outcome = .undecided
    /// Copies found bad on the way, in the order found: to be filed for repair.
    package private(set) var needsRepair: [NodeID] = []

    /// - Parameter copies: the nodes that may hold the chunk, best first: new homes, old homes,
    ///   named exceptions, in the order of `ranked`.
    package init(copies: [NodeID]) {
        var seen: [NodeID] = []
        for node in copies where !seen.contains(node) { seen.append(node) }
        self.reserve = seen.reversed()
        if seen.isEmpty { self.outcome = .unreadable([:]) }
    }

    /// The copies in the order to ask them: `local` first, then by expected latency, then by id.
    ///
    /// - Parameter expectedMicroseconds: a running estimate; unknown nodes count as 1,000.
    package static func ranked(
        _ copies: [NodeID], local: NodeID?, expectedMicroseconds: [NodeID: Int]
    ) -> [NodeID] {
        copies.sorted { a, b in
            if (a == local) != (b == local) { return a == local }
            let left = expectedMicroseconds[a] ?? 1000
            let right = expectedMicroseconds[b] ?? 1000
            return left == right ? a < b : left < right
        }
    }

    /// Begins: whom to ask.
    package mutating func start() -> NodeID? { self.callUp() }

    /// The copy asked last is later than its 95th percentile: whom to ask beside it.
    package mutating func isLate() -> NodeID? { self.callUp() }

    /// A copy answered, and what it sent is proven.
    package mutating func answered(by node: NodeID) {
        guard self.outcome == .undecided, self.waiting.contains(node) else { return }
        self.outcome = .answered(by: node)
    }

    /// A copy could not be read: whom to ask instead.
    package mutating func failed(_ node: NodeID, _ fault: ChunkFault) -> NodeID? {
        guard self.waiting.contains(node) else { return nil }
        self.waiting.removeAll { $0 == node }
        self.faults[node] = fault
        if fault.remedy == .readAnotherCopyAndRepair { self.needsRepair.append(node) }
        let next = self.callUp()
        if self.waiting.isEmpty, self.outcome == .undecided {
            self.outcome = .unreadable(self.faults)
        }
        return next
    }

    private mutating func callUp() -> NodeID? {
        guard self.outcome == .undecided, let node = self.reserve.popLast() else { return nil }
        self.waiting.append(node)
        return node
    }
}
