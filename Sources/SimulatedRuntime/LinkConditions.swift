/// How packets fare on the way from one machine to another.
package struct LinkConditions: Sendable, Equatable {
    /// The time of one packet on its way, drawn anew for each.
    package var delay: ClosedRange<Duration>

    /// How often a packet is lost (0...1). TCP sends it again, so a loss shows as a delay.
    package var lossProbability: Double

    /// What the way carries; nil for more than anybody sends.
    package var bytesPerSecond: Int?

    package init(
        delay: ClosedRange<Duration>, lossProbability: Double = 0, bytesPerSecond: Int? = nil
    ) {
        self.delay = delay
        self.lossProbability = lossProbability
        self.bytesPerSecond = bytesPerSecond
    }

    /// Machines of one place on a good day.
    package static let local = LinkConditions(delay: .microseconds(50)...(.microseconds(500)))

    /// Inside one machine.
    package static let loopback = LinkConditions(delay: .microseconds(5)...(.microseconds(50)))
}

/// One direction between two machines, by their positions in `Simulator.nodes`.
struct NetworkPath: Hashable {
    let from: Int
    let to: Int
    var reversed: NetworkPath { NetworkPath(from: self.to, to: self.from) }
}
