import Primitives

/// Which replica an edge follows: the first choice, unless it was silent or lagged lately; then the
/// others in their order.
package struct StreamSource: Sendable {
    /// For so long another replica is followed before the first choice is tried again.
    package static let turnedAwayTime: Duration = .seconds(5)

    private let replicas: [NodeID]
    private var place = 0
    private var turnedAway: Instant?

    /// - Parameter replicas: the first choice first; not empty.
    package init(_ replicas: [NodeID]) {
        invariant(!replicas.isEmpty, "there is a replica to follow")
        self.replicas = replicas
    }

    /// Whom to ask now.
    package mutating func target(at now: Instant) -> NodeID {
        if let turnedAway, now - turnedAway >= Self.turnedAwayTime {
            self.place = 0
            self.turnedAway = nil
        }
        return self.replicas[self.place]
    }

    /// The replica asked last did not answer, or is behind.
    package mutating func failed(at now: Instant) {
        self.place = (self.place + 1) % self.replicas.count
        self.turnedAway = self.place == 0 ? nil : now
    }
}
