import Primitives

/// Who decides: the voters of the configuration, and while it changes also those of the one before
/// (joint consensus, Raft thesis §4.3). Every decision needs a majority of each.
package struct Quorum: Hashable, Sendable {
    /// The voters of the configuration, in order.
    package let incoming: [NodeID]
    /// The voters of the configuration that is being left, in order; empty outside a change.
    package let outgoing: [NodeID]

    package init(
        voters incoming: some Sequence<NodeID>, leaving outgoing: some Sequence<NodeID> = []
    ) {
        self.incoming = Set(incoming).sorted()
        self.outgoing = Set(outgoing).sorted()
    }

    /// All voters, in order, each once.
    package var members: [NodeID] {
        self.outgoing.isEmpty ? self.incoming : Set(self.incoming + self.outgoing).sorted()
    }

    package func contains(_ node: NodeID) -> Bool {
        self.incoming.contains(node) || self.outgoing.contains(node)
    }

    /// The highest value that a quorum has reached, when each voter has reached `value(of:)`.
    package func reached<Value: Comparable>(_ value: (NodeID) -> Value) -> Value {
        let incoming = Self.reached(by: self.incoming, value)
        guard !self.outgoing.isEmpty else { return incoming }
        return min(incoming, Self.reached(by: self.outgoing, value))
    }

    private static func reached<Value: Comparable>(
        by voters: [NodeID], _ value: (NodeID) -> Value
    ) -> Value {
        let values = voters.map(value).sorted()
        // With n values in rising order, all from position (n - 1) / 2 on are a majority.
        return values[(values.count - 1) / 2]
    }

    package enum Verdict: Sendable {
        case won
        case lost
        case open
    }

    /// How an election stands, when `answer(of:)` is nil for those who have not answered.
    package func verdict(_ answer: (NodeID) -> Bool?) -> Verdict {
        let incoming = Self.verdict(of: self.incoming, answer)
        guard !self.outgoing.isEmpty else { return incoming }
        switch (incoming, Self.verdict(of: self.outgoing, answer)) {
        case (.won, .won): return .won
        case (.lost, _), (_, .lost): return .lost
        case (.open, _), (_, .open): return .open
        }
    }

    private static func verdict(of voters: [NodeID], _ answer: (NodeID) -> Bool?) -> Verdict {
        let majority = voters.count / 2 + 1
        let answers = voters.map(answer)
        let granted = answers.count { $0 == true }
        let refused = answers.count { $0 == false }
        if granted >= majority { return .won }
        return voters.count - refused < majority ? .lost : .open
    }
}
