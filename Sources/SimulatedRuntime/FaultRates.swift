import Primitives

/// A kind of fault that strikes at random times.
package enum FaultKind: String, Sendable, CaseIterable {
    case crash
    case powerCut
    /// A death in the middle of the disk operations of one piece of work.
    case dieDuringWork
    case pause
    /// The machines fall into two groups that do not hear each other.
    case partition
    /// Packets from one group to the other are lost, the others arrive.
    case oneWayPartition
    case isolation
    case clog
    /// Paths are clogged one by one and let go in another order (FoundationDB's "swizzle").
    case swizzledClog
    case resetConnections
    case slowDisk
    /// Nothing more finds room, but for what is freed.
    case fullDisk
    case failedSync
    case wallClockJump
    case clockDrift
}

/// How often each kind of fault strikes the whole world, and how the world fares in between.
package struct FaultRates: Sendable, Equatable {
    package struct Rate: Sendable, Equatable {
        /// The mean time between two faults of the kind.
        package var meanInterval: Duration
        /// How long one lasts; what ends a fault is the machine's restart or the path's mending.
        package var length: ClosedRange<Duration>

        package init(every meanInterval: Duration, for length: ClosedRange<Duration>) {
            self.meanInterval = meanInterval
            self.length = length
        }
    }

    package var link = LinkConditions.local
    package var disk = DiskConditions()
    /// By `FaultKind.allCases`; nil where the kind never strikes.
    private var rates = [Rate?](repeating: nil, count: FaultKind.allCases.count)

    /// A world without faults.
    package init() {}

    package subscript(_ kind: FaultKind) -> Rate? {
        get { self.rates[Self.position(kind)] }
        set { self.rates[Self.position(kind)] = newValue }
    }

    private static func position(_ kind: FaultKind) -> Int {
        FaultKind.allCases.firstIndex(of: kind) ?? 0
    }

    /// Draws a world: each kind of fault is left out in every second one, for a fault that always
    /// strikes hides what only its absence lets happen ("swarm testing", Groce et al. 2012). The
    /// ranges are those of TigerBeetle's simulator where it has the fault.
    package static func swarm(_ generator: inout SeededGenerator) -> FaultRates {
        var rates = FaultRates()
        let shortest = Duration.microseconds(generator.below(5000))
        let spread = Duration.microseconds(100 + generator.below(50_000))
        rates.link = LinkConditions(
            delay: shortest...(shortest + spread),
            lossProbability: generator.chance(0.5) ? generator.number(in: 0...0.1) : 0)
        rates.disk.syncTime = .microseconds(100)...(.microseconds(200 + generator.below(20_000)))
        for kind in FaultKind.allCases where generator.chance(0.5) {
            let seconds = generator.number(in: 5...60)
            rates[kind] = Rate(every: .seconds(seconds), for: Self.usualLength(of: kind))
        }
        return rates
    }

    private static func usualLength(of kind: FaultKind) -> ClosedRange<Duration> {
        switch kind {
        case .crash, .powerCut, .dieDuringWork, .failedSync: .milliseconds(100)...(.seconds(20))
        case .pause: .milliseconds(10)...(.seconds(10))
        case .partition, .oneWayPartition, .isolation: .milliseconds(500)...(.seconds(20))
        case .clog, .swizzledClog: .milliseconds(10)...(.seconds(5))
        case .resetConnections, .wallClockJump: .zero...(.zero)
        case .slowDisk, .fullDisk: .seconds(1)...(.seconds(30))
        case .clockDrift: .seconds(10)...(.seconds(60))
        }
    }
}
