import Consensus
import Primitives

extension SimulatedGroup {
    /// All faults end; then everybody must agree, and soon.
    mutating func heal() throws(Broken) {
        self.cut.removeAll()
        for at in self.nodes.indices { self.restart(at) }
        for round in 0..<400 {
            for at in self.nodes.indices {
                try self.input(.tick, at)
                try self.drain(at)
            }
            for _ in 0..<6 { try self.settleOnce() }
            if round == 200 {
                for at in self.nodes.indices { try self.propose(at) }
            }
        }
        guard let leader = self.nodes.first(where: { $0.replica.role == .leader }) else {
            let standings = self.nodes.map { "\($0.replica.status)" }
            throw .notConverged("nobody leads: \(standings.joined(separator: "; "))")
        }
        let members = leader.replica.members
        if members.isJoint { throw .notConverged("\(members) is not left") }
        for node in self.nodes where members.members.contains(node.id) {
            guard node.replica.leader == leader.id,
                node.replica.applied == leader.disk.last.index,
                node.disk.last == leader.disk.last, node.replica.members == members
            else { throw .notConverged("\(node.replica.status) against \(leader.replica.status)") }
        }
    }

    private mutating func settleOnce() throws(Broken) {
        for at in self.nodes.indices {
            try self.syncSome(at)
            try self.applySome(at)
            try self.installWhatWasOffered(at)
            try self.drain(at)
        }
        while !self.loads.isEmpty { try self.answerLoad() }
        let waiting = self.network
        self.network.removeAll()
        for (_, outgoing) in waiting {
            guard let to = self.nodes.firstIndex(where: { $0.id == outgoing.to }) else { continue }
            try self.input(.message(outgoing.message), to)
        }
    }
}
