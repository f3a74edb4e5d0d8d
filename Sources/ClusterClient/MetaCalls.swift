import Catalog
import PeerTransport
import Primitives
import Wire

/// The kinds of calls that a meta node answers; raw values are for ever.
package enum MetaCallKind {
    package static let propose: UInt16 = 0x0110
    package static let query: UInt16 = 0x0111
    /// Without a body; answered with `ClockAnswer`.
    package static let clock: UInt16 = 0x0112
    package static let signingKey: UInt16 = 0x0120
    package static let bucketKey: UInt16 = 0x0121
    package static let signLink: UInt16 = 0x0122
    package static let makeBucketKey: UInt16 = 0x0123
    /// Without a body; answered with `HeldMasterKeys`.
    package static let heldMasterKeys: UInt16 = 0x0124
    package static let sigV2Proof: UInt16 = 0x0125
    package static let follow: UInt16 = 0x0140
    package static let readIndex: UInt16 = 0x0141
}

/// Why a meta node refused a call; raw values are for ever.
package enum MetaCallRefusal {
    package static let malformed: UInt16 = 0x0101
    package static let unknownKind: UInt16 = 0x0102
    package static let state: UInt16 = 0x0103
    /// A command may or may not be applied some day: whoever asked gave up, or the node stopped.
    package static let outcomeUnknown: UInt16 = 0x0104
    /// The command is another's to propose: nothing was done.
    package static let notYours: UInt16 = 0x0105
    /// The node lacks the master key that a secret is wrapped by.
    package static let masterKeyMissing: UInt16 = 0x0106
}

/// Asks a group's leader to have commands decided. The commands travel as bytes: the leader puts
/// them into an entry without reading them again.
package struct ProposeRequest: WireMessage, Equatable {
    package static let mostCommands = 1024
    package let group: GroupID
    /// Each one a `CatalogCommand`, encoded.
    package let commands: [[UInt8]]

    package init(group: GroupID, commands: [[UInt8]]) {
        self.group = group
        self.commands = commands
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        writer.writeArray(self.commands) { $0.writeBytes($1) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        self.group = GroupID(try reader.read())
        self.commands = try reader.readArray(
            field: "commands", limit: Self.mostCommands
        ) { reader throws(FormatFault) in Array(try reader.readBytes(field: "command")) }
    }
}

/// Why a group did not do what it was asked: certainly not done, so it may be tried again.
package enum GroupRefusal: WireMessage, Equatable {
    /// Another node leads, perhaps this one.
    case notLeader(hint: NodeID?)
    /// Too much is waiting here.
    case overloaded
    /// This node holds no replica of the group.
    case noSuchGroup
    /// The group did not get as far in time.
    case tooLate
    /// The command would grow the state, and too few voters have disk space left.
    case diskFull

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .notLeader(let hint):
            writer.write(UInt8(1))
            writer.writeOptional(hint) { $0.write($1.rawValue) }
        case .overloaded: writer.write(UInt8(2))
        case .noSuchGroup: writer.write(UInt8(3))
        case .tooLate: writer.write(UInt8(4))
        case .diskFull: writer.write(UInt8(5))
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1:
            self = .notLeader(
                hint: try reader.readOptional { reader throws(FormatFault) in
                    NodeID(try reader.read())
                })
        case 2: self = .overloaded
        case 3: self = .noSuchGroup
        case 4: self = .tooLate
        case 5: self = .diskFull
        default: throw .invalid(field: "refusal", offset: reader.offset - 1)
        }
    }
}

package enum ProposeAnswer: WireMessage, Equatable {
    /// The commands were applied, with these results in their order.
    case applied(at: LogIndex, results: [CommandResult])
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .applied(let index, let results):
            writer.write(UInt8(1))
            writer.write(index.rawValue)
            writer.writeArray(results) { $1.encode(into: &$0) }
        case .refused(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1:
            let index = LogIndex(try reader.read())
            self = .applied(
                at: index,
                results: try reader.readArray(
                    field: "results", limit: ProposeRequest.mostCommands
                ) { reader throws(FormatFault) in try CommandResult(from: &reader) })
        case 2: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}

extension PeerResponse {
    /// A larger message travels as the body, where it does not hold up small ones.
    package static let fittingHeadBytes = 64 << 10

    /// Carries a message whatever its size.
    package init(fitting message: [UInt8]) {
        if message.count <= Self.fittingHeadBytes {
            self.init(head: message)
        } else {
            self.init(body: [message])
        }
    }

    /// What `init(fitting:)` was given.
    package var fittedMessage: [UInt8] {
        guard self.head.isEmpty else { return self.head }
        return self.body.count == 1 ? self.body[0] : Array(self.body.joined())
    }
}

/// How fresh an answer must be. Raw values are for ever.
package enum Freshness: UInt8, Sendable {
    /// It shows every write acknowledged before the query arrived (Raft thesis §6.4).
    case linearizable = 1
    /// What the replica that is asked has applied; it may lag.
    case local = 2
    /// What the leader has applied, without asking a majority whether it still leads. So a leader
    /// that is cut off answers from an old state until it notices, which takes an election timeout
    /// (Raft thesis §6.2); any other shows every write acknowledged before. It costs one call, and
    /// no round of heartbeats.
    case led = 3
}

package struct QueryRequest: WireMessage, Equatable {
    package let group: GroupID
    package let freshness: Freshness
    package let query: CatalogQuery

    package init(group: GroupID, freshness: Freshness, query: CatalogQuery) {
        self.group = group
        self.freshness = freshness
        self.query = query
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        writer.write(self.freshness.rawValue)
        self.query.encode(into: &writer)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        self.group = GroupID(try reader.read())
        guard let freshness = Freshness(rawValue: try reader.read()) else {
            throw .invalid(field: "freshness", offset: reader.offset - 1)
        }
        self.freshness = freshness
        self.query = try CatalogQuery(from: &reader)
    }
}

package enum QueryAnswer: WireMessage, Equatable {
    /// The answer, from a state that has `applied` applied.
    case answer(CatalogAnswer, applied: LogIndex)
    case refused(GroupRefusal)

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .answer(let answer, let applied):
            writer.write(UInt8(1))
            writer.write(applied.rawValue)
            answer.encode(into: &writer)
        case .refused(let refusal):
            writer.write(UInt8(2))
            refusal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        switch try reader.read(UInt8.self) {
        case 1:
            let applied = LogIndex(try reader.read())
            self = .answer(try CatalogAnswer(from: &reader), applied: applied)
        case 2: self = .refused(try GroupRefusal(from: &reader))
        default: throw .invalid(field: "answer", offset: reader.offset - 1)
        }
    }
}
