import Primitives

/// One fault, on machines by their positions.
package enum Fault: Sendable, Equatable {
    case crash(Int)
    case powerCut(Int)
    case dieDuringWork(Int, SimulatedDeath, afterDiskOperations: Int)
    case pause(Int)
    case partition([Int], from: [Int], SimulatedNetwork.Direction)
    case clog(from: Int, to: Int)
    case resetConnections(Int, Int)
    case slowDisk(Int, factor: Double)
    /// The disk has this much room left, whatever it had.
    case fullDisk(Int, leftBytes: UInt64)
    case failedSync(Int)
    case wallClockJump(Int, by: Duration)
    case clockDrift(Int, partsPerMillion: Int64)

    /// Whether it leaves a machine, or any, without room on its disk.
    package func fillsDisk(of node: Int?) -> Bool {
        if case .fullDisk(let filled, _) = self { node == nil || node == filled } else { false }
    }

    /// Whether it sets a wall clock to another time.
    package var setsClock: Bool {
        switch self {
        case .wallClockJump: true
        case .crash, .powerCut, .dieDuringWork, .pause, .partition, .clog, .resetConnections,
            .slowDisk, .fullDisk, .failedSync, .clockDrift:
            false
        }
    }

    /// The machine that is out of service while the fault lasts.
    fileprivate var nodeDown: Int? {
        switch self {
        case .crash(let node), .powerCut(let node), .dieDuringWork(let node, _, _),
            .pause(let node), .failedSync(let node), .fullDisk(let node, _):
            node
        case .partition, .clog, .resetConnections, .slowDisk, .wallClockJump, .clockDrift: nil
        }
    }
}

/// Every fault of a run, drawn before it begins: a value that can be printed, cut down and kept.
package struct FaultPlan: Sendable, Equatable {
    package struct Event: Sendable, Equatable {
        package let start: Duration
        package let length: Duration
        package let fault: Fault
        package var end: Duration { self.start + self.length }

        package init(start: Duration, length: Duration, fault: Fault) {
            self.start = start
            self.length = length
            self.fault = fault
        }
    }

    /// No plan has more; the latest fall away.
    package static let eventLimit = 2000

    /// In the order of their starts.
    package let events: [Event]

    /// A plan made by hand.
    package init(_ events: [Event]) {
        self.events = Array(Self.sorted(events).prefix(Self.eventLimit))
    }

    /// Draws the faults of the first `span`.
    ///
    /// - Parameter maximumDown: how many machines at most are out of service at once. What data
    ///   survive is a promise only up to a number of machines; beyond it a run proves nothing.
    package init(
        _ rates: FaultRates, nodeCount: Int, span: Duration, maximumDown: Int,
        _ generator: inout SeededGenerator
    ) {
        invariant(nodeCount > 0, "faults need machines")
        var events: [Event] = []
        for kind in FaultKind.allCases {
            guard let rate = rates[kind] else { continue }
            let gap = Duration.zero...(rate.meanInterval + rate.meanInterval)
            var start = generator.duration(in: gap)
            while start < span, events.count < Self.eventLimit * FaultKind.allCases.count {
                let length = generator.duration(in: rate.length)
                events += Self.draw(kind, start, length, nodeCount, &generator)
                start = start + max(generator.duration(in: gap), .milliseconds(1))
            }
        }
        let bounded = Self.bounded(Self.sorted(events), maximumDown)
        self.events = Array(bounded.prefix(Self.eventLimit))
    }

    private static func sorted(_ events: [Event]) -> [Event] {
        // By start, then as they were drawn: `sort` alone promises no order among equals.
        events.enumerated()
            .sorted { ($0.element.start, $0.offset) < ($1.element.start, $1.offset) }
            .map(\.element)
    }

    /// Leaves out what would put one machine too many out of service.
    private static func bounded(_ events: [Event], _ maximumDown: Int) -> [Event] {
        var kept: [Event] = []
        var downUntil: [Int: Duration] = [:]
        for event in events {
            if let node = event.fault.nodeDown {
                let others = downUntil.count { $0.key != node && $0.value >= event.start }
                guard others < maximumDown else { continue }
                downUntil[node] = max(downUntil[node] ?? .zero, event.end)
            }
            kept.append(event)
        }
        return kept
    }

    private static func draw(
        _ kind: FaultKind, _ start: Duration, _ length: Duration, _ nodeCount: Int,
        _ generator: inout SeededGenerator
    ) -> [Event] {
        let node = generator.below(nodeCount)
        let other = (node + 1 + generator.below(max(1, nodeCount - 1))) % nodeCount
        func one(_ fault: Fault) -> [Event] { [Event(start: start, length: length, fault: fault)] }
        switch kind {
        case .crash: return one(.crash(node))
        case .powerCut: return one(.powerCut(node))
        case .dieDuringWork:
            let death = generator.chance(0.5) ? SimulatedDeath.killed : .powerCut
            return one(
                .dieDuringWork(node, death, afterDiskOperations: generator.below(40)))
        case .pause: return one(.pause(node))
        case .partition, .oneWayPartition:
            let (left, right) = Self.split(nodeCount, &generator)
            let direction = kind == .partition ? SimulatedNetwork.Direction.bothWays : .oneWay
            return one(.partition(left, from: right, direction))
        case .isolation:
            let rest = (0..<nodeCount).filter { $0 != node }
            return one(.partition([node], from: rest, .bothWays))
        case .clog: return one(.clog(from: node, to: other))
        case .swizzledClog: return Self.swizzle(start, length, nodeCount, &generator)
        case .resetConnections: return one(.resetConnections(node, other))
        case .slowDisk: return one(.slowDisk(node, factor: generator.number(in: 5...100)))
        case .fullDisk:
            return one(.fullDisk(node, leftBytes: UInt64(generator.below(4 << 20))))
        case .failedSync: return one(.failedSync(node))
        case .wallClockJump:
            let hour = Duration.seconds(3600)
            return one(.wallClockJump(node, by: generator.duration(in: .zero - hour...hour)))
        case .clockDrift:
            return one(
                .clockDrift(node, partsPerMillion: Int64(generator.below(2001)) - 1000))
        }
    }

    private static func split(
        _ nodeCount: Int, _ generator: inout SeededGenerator
    ) -> ([Int], [Int]) {
        let nodes = (0..<nodeCount).shuffled(using: &generator)
        let size = nodeCount > 1 ? 1 + generator.below(nodeCount - 1) : 1
        return (nodes.prefix(size).sorted(), nodes.dropFirst(size).sorted())
    }

    /// Clogs the paths to and from some machines one after the other; each lasts to a random end.
    private static func swizzle(
        _ start: Duration, _ length: Duration, _ nodeCount: Int,
        _ generator: inout SeededGenerator
    ) -> [Event] {
        let (left, right) = Self.split(nodeCount, &generator)
        return left.flatMap { from in
            right.map { to in
                let begin = start + generator.duration(in: .zero...length)
                return Event(
                    start: begin, length: generator.duration(in: .zero...length),
                    fault: .clog(from: from, to: to))
            }
        }
    }
}
