import Primitives

/// Which replica an edge follows: the first choice, unless it was silent or lagged lately; then the
/// others in their order.
package struct StreamSource: Sendable {
    /// For so long another replica is followed before the first choice is tried again.
    package static let turnedAwayTime: Duration = .seconds(5)

    private var replicas: [NodeID]
    private var place = 0
    private var turnedAway: Instant?

    /// - Parameter replicas: the first choice first; not empty.
    package init(_ replicas: [NodeID]) {
        invariant(!replicas.isEmpty, "there is a replica to follow")
        self.replicas = replicas
    }

    /// These can be followed from now on. Who is followed stays so where that is possible: another
    /// replica may have to say that all is to be forgotten.
    ///
    /// - Parameter replicas: as with `init`.
    package mutating func replicasChanged(to replicas: [NodeID], at now: Instant) {
        guard replicas != self.replicas else { return }
        invariant(!replicas.isEmpty, "there is a replica to follow")
        let followed = self.replicas[self.place]
        self.replicas = replicas
        self.place = replicas.firstIndex(of: followed) ?? 0
        self.turnedAway = self.place == 0 ? nil : self.turnedAway ?? now
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
