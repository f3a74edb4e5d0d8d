import Primitives

/// Why a copy of a chunk, or one frame of it, could not be read.
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
        /// The store may be well again soon; till then it is asked last.
        case readAnotherCopy
        /// This copy is bad for good: file it for repair as well. Its store answers as ever.
        case readAnotherCopyAndRepair
    }
}

/// What a reader knows of one node that may hold a copy.
package struct CopyStanding: Equatable, Sendable {
    package let node: NodeID
    package var isLocal = false
    /// Whether the node's process is believed to run.
    package var isLive = true
    /// Whether it failed or was late a short while ago.
    package var isSuspect = false
    /// A running estimate of how long an answer takes; nil where none is fresh.
    package var expectedMicroseconds: Int?

    package init(node: NodeID) { self.node = node }

    /// What a store is taken to need of which nothing is known: between one in the same process and
    /// one under load, so that a stranger is tried before a store that is known to be slow.
    static let strangerMicroseconds = 1000

    /// The reader's own store counts as twice as fast as it is: what it answers does not take the
    /// network's time from others.
    private var scoreMicroseconds: Int {
        let expected = self.expectedMicroseconds ?? Self.strangerMicroseconds
        return self.isLocal ? expected / 2 : expected
    }

    /// Whether this copy is asked before another: a live one before one believed dead, a healthy one
    /// before a suspect, then by score, the reader's own store where it is as good, then by number.
    func isBetter(than other: CopyStanding) -> Bool {
        if self.isLive != other.isLive { return self.isLive }
        if self.isSuspect != other.isSuspect { return other.isSuspect }
        if self.scoreMicroseconds != other.scoreMicroseconds {
            return self.scoreMicroseconds < other.scoreMicroseconds
        }
        return self.isLocal == other.isLocal ? self.node < other.node : self.isLocal
    }
}

/// One read of a run of a chunk's frames: a pure decision about whom to ask for which of them.
///
/// Every copy is the same sealed bytes, so each frame may come from another copy. The reader asks
/// the best copy for all of them. What it still lacks when an ask fails, or brings some frames that
/// do not hold, it asks of the next copy; what is late it asks of another *beside* the first (Dean
/// and Barroso, "The Tail at Scale", 2013: a hedged request).
package struct ChunkRead: Sendable {
    /// What the shell does next: ask this node for these frames.
    package struct Ask: Equatable, Sendable {
        package let node: NodeID
        package let frames: Range<Int>

        package init(_ node: NodeID, _ frames: Range<Int>) {
            self.node = node
            self.frames = frames
        }
    }

    package enum Outcome: Equatable, Sendable {
        case undecided
        /// Every frame is there.
        case complete
        /// Some frame is in no copy that could be read; the last fault of each.
        case unreadable([NodeID: ChunkFault])
    }

    private struct Waiting {
        let ask: Ask
        /// Whether it took so long that it no longer counts as coming.
        var isOverdue = false
    }

    /// Copies not yet asked, the next one last. Each is asked once: whatever is lacking later is part
    /// of what it was asked for.
    private var reserve: [NodeID]
    private var waiting: [Waiting] = []
    /// Frames that no copy has brought, ascending.
    private var lacking: [Int]
    private var faults: [NodeID: ChunkFault] = [:]
    package private(set) var outcome: Outcome = .undecided
    /// Copies found bad on the way, in the order found: to be filed for repair.
    package private(set) var badCopies: [NodeID] = []

    /// - Parameter copies: the nodes that may hold the chunk, best first: see `ranked`.
    package init(_ frames: Range<Int>, copies: [NodeID]) {
        var seen: [NodeID] = []
        for node in copies where !seen.contains(node) { seen.append(node) }
        self.reserve = seen.reversed()
        self.lacking = Array(frames)
        if seen.isEmpty { self.outcome = .unreadable([:]) }
        if frames.isEmpty { self.outcome = .complete }
    }

    /// The copies in the order to ask them.
    package static func ranked(_ copies: [CopyStanding]) -> [NodeID] {
        copies.sorted { $0.isBetter(than: $1) }.map(\.node)
    }

    /// Whether there is a copy that could be asked beside those that were.
    package var canHedge: Bool { self.outcome == .undecided && !self.reserve.isEmpty }

    package func isWaiting(for node: NodeID) -> Bool {
        self.waiting.contains { $0.ask.node == node }
    }

    /// Begins: whom to ask.
    package mutating func start() -> Ask? { self.askForUncovered() }

    /// An answer takes longer than 19 of 20 do, and the budget for hedges has room: whom to ask
    /// beside it. Nil also where every copy is asked already.
    package mutating func isLate(_ node: NodeID) -> Ask? {
        guard self.outcome == .undecided,
            let late = self.waiting.first(where: { $0.ask.node == node })?.ask
        else { return nil }
        return self.ask(for: self.lacking.filter(late.frames.contains))
    }

    /// An answer takes so long that it is treated like a failure, except that it may still come:
    /// whom to ask instead. Nil where somebody was asked beside it already.
    package mutating func isOverdue(_ node: NodeID) -> Ask? {
        guard let place = self.waiting.firstIndex(where: { $0.ask.node == node }) else {
            return nil
        }
        self.waiting[place].isOverdue = true
        return self.askForUncovered()
    }

    /// A copy answered, and every frame asked for is proven but those in `bad`: whom to ask for what
    /// is lacking now.
    package mutating func answered(by node: NodeID, bad: [(frame: Int, fault: ChunkFault)]) -> Ask?
    {
        guard self.outcome == .undecided, let ask = self.endWaiting(for: node) else { return nil }
        let badFrames = bad.map(\.frame)
        self.lacking.removeAll { ask.frames.contains($0) && !badFrames.contains($0) }
        if let fault = bad.last?.fault { self.note(fault, of: node) }
        return self.goOn()
    }

    /// A copy could not be read at all: whom to ask instead.
    package mutating func failed(_ node: NodeID, _ fault: ChunkFault) -> Ask? {
        guard self.outcome == .undecided, self.endWaiting(for: node) != nil else { return nil }
        self.note(fault, of: node)
        return self.goOn()
    }

    private mutating func endWaiting(for node: NodeID) -> Ask? {
        guard let place = self.waiting.firstIndex(where: { $0.ask.node == node }) else {
            return nil
        }
        return self.waiting.remove(at: place).ask
    }

    private mutating func note(_ fault: ChunkFault, of node: NodeID) {
        self.faults[node] = fault
        switch fault.remedy {
        case .readAnotherCopyAndRepair: self.badCopies.append(node)
        case .readAnotherCopy: break
        }
    }

    private mutating func goOn() -> Ask? {
        if self.lacking.isEmpty {
            self.outcome = .complete
            return nil
        }
        let ask = self.askForUncovered()
        if self.waiting.isEmpty { self.outcome = .unreadable(self.faults) }
        return ask
    }

    /// Asks the next copy for what is lacking and on its way from nobody.
    private mutating func askForUncovered() -> Ask? {
        let coming = self.waiting.filter { !$0.isOverdue }.map(\.ask.frames)
        return self.ask(
            for: self.lacking.filter { frame in !coming.contains { $0.contains(frame) } })
    }

    /// One ask for all frames from the first to the last of `frames`: where two far apart are bad,
    /// one request that brings the good ones between them again costs less than two.
    private mutating func ask(for frames: [Int]) -> Ask? {
        guard self.outcome == .undecided, let first = frames.first, let last = frames.last,
            let node = self.reserve.popLast()
        else { return nil }
        let ask = Ask(node, first..<last + 1)
        self.waiting.append(Waiting(ask: ask))
        return ask
    }
}
