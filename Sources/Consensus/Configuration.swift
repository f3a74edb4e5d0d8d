import Primitives
import Wire

/// Who takes part in a group, and who of them decides.
///
/// A group changes from one set of voters to another through a *joint* configuration, in which both
/// decide (joint consensus, Raft thesis §4.3): never by steps of one voter, which are unsafe around
/// a change of leader unless more is done (Ongaro, raft-dev, July 2015). Every configuration entry
/// of a log holds the whole configuration that it leads to, so a replica needs no other to read it.
package struct Configuration: Hashable, Sendable {
    /// Who decides, in order; during a change, who will.
    package let voters: [NodeID]
    /// Who decided before the change that is going on, in order; empty outside a change.
    package let outgoingVoters: [NodeID]
    /// Who gets the log and has no say, in order. A voter that is to become a learner stands here
    /// and among `outgoingVoters` until the change is over.
    package let learners: [NodeID]

    /// Bounds the members of a group, of every kind together.
    package static let maximumMembers = 64

    package init(
        voters: some Sequence<NodeID>, outgoingVoters: some Sequence<NodeID> = [],
        learners: some Sequence<NodeID> = []
    ) {
        self.voters = Set(voters).sorted()
        self.outgoingVoters = Set(outgoingVoters).sorted()
        self.learners = Set(learners).sorted()
    }

    /// Of a replica that nobody has told anything yet. It takes what a leader sends it, answers who
    /// asks for its vote, and never stands itself.
    package static let unknown = Configuration(voters: [])

    /// Whether a change of the voters is going on.
    package var isJoint: Bool { !self.outgoingVoters.isEmpty }

    package var quorum: Quorum { Quorum(voters: self.voters, leaving: self.outgoingVoters) }

    /// Everybody, in order, each once.
    package var members: [NodeID] {
        Set(self.voters + self.outgoingVoters + self.learners).sorted()
    }

    /// Whether a group can go on with it.
    package var isWellFormed: Bool {
        !self.voters.isEmpty && self.members.count <= Self.maximumMembers
            && self.learners.allSatisfy { !self.voters.contains($0) }
    }

    /// The first step from here to a group of these members: the last one, unless the voters change.
    package func step(toVoters voters: [NodeID], learners: [NodeID]) -> Configuration {
        let goal = Configuration(voters: voters, learners: learners)
        return goal.voters == self.voters
            ? goal
            : Configuration(
                voters: voters, outgoingVoters: self.voters, learners: learners)
    }

    /// What follows a joint configuration.
    package var withoutOutgoing: Configuration {
        Configuration(voters: self.voters, learners: self.learners)
    }
}

extension Configuration: CustomStringConvertible {
    /// As log lines and scripts have it: `1,2,4 out=1,2,3 learn=5`.
    package var description: String {
        func list(_ nodes: [NodeID]) -> String { nodes.map(\.description).joined(separator: ",") }
        var words = [self.voters.isEmpty ? "nobody" : list(self.voters)]
        if self.isJoint { words.append("out=" + list(self.outgoingVoters)) }
        if !self.learners.isEmpty { words.append("learn=" + list(self.learners)) }
        return words.joined(separator: " ")
    }
}

/// A configuration's bytes, in entries, rows and answers alike: version u8 (1), then voters, outgoing
/// voters and learners, each as u32 behind their count, in rising order.
extension Configuration: WireMessage {
    private static let version: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.version)
        for nodes in [self.voters, self.outgoingVoters, self.learners] {
            writer.writeArray(nodes) { $0.write($1.rawValue) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(Int(version)) }
        self.init(
            voters: try reader.readNodes(field: "voters"),
            outgoingVoters: try reader.readNodes(field: "outgoing voters"),
            learners: try reader.readNodes(field: "learners"))
        guard self.isWellFormed || self == .unknown else {
            throw .invalid(field: "configuration", offset: at)
        }
    }
}

extension ByteReader {
    fileprivate mutating func readNodes(field: String) throws(FormatFault) -> [NodeID] {
        let at = self.offset
        let nodes = try self.readArray(field: field, limit: Configuration.maximumMembers) {
            (reader) throws(FormatFault) in NodeID(try reader.read(UInt32.self))
        }
        for (previous, next) in zip(nodes, nodes.dropFirst()) where previous >= next {
            throw .invalid(field: field, offset: at)
        }
        return nodes
    }
}
