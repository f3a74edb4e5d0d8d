import Primitives
import Wire

/// A message's bytes: version u8 (1), kind u8, term u64, sender u32, then the fields of the kind.
/// Kinds are for ever.
extension RaftMessage: WireMessage {
    private static let version: UInt8 = 1

    /// How many entries one append may carry on the wire.
    package static let maximumEntries = 65_536

    private enum Kind: UInt8 {
        case preVoteRequest = 1
        case preVoteAnswer = 2
        case voteRequest = 3
        case voteAnswer = 4
        case append = 5
        case appendAccepted = 6
        case appendRefused = 7
        case heartbeat = 8
        case heartbeatAnswer = 9
        case timeoutNow = 10
        case newerTerm = 11
        case snapshotOffer = 12
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.version)
        writer.write(self.kind.rawValue)
        writer.write(self.term.rawValue)
        writer.write(self.from.rawValue)
        switch self.body {
        case .preVoteRequest(let request), .voteRequest(let request):
            writer.write(request.last)
            writer.write(request.isHandover)
        case .preVoteAnswer(let answer):
            writer.write(answer.campaignTerm.rawValue)
            writer.write(answer.granted)
        case .voteAnswer(let answer):
            writer.write(answer.granted)
        case .append(let append):
            writer.write(append.previous.position)
            writer.write(append.previous.chain)
            writer.write(append.commit.rawValue)
            writer.writeArray(append.entries) { $1.encode(into: &$0) }
        case .appendAccepted(let answer):
            writer.write(answer.match.rawValue)
        case .appendRefused(let answer):
            writer.write(answer.previous.rawValue)
            writer.write(answer.hint)
            writer.write(answer.hasLostEntries)
        case .heartbeat(let heartbeat):
            writer.write(heartbeat.commit.rawValue)
            writer.write(heartbeat.readPosition)
            writer.write(heartbeat.isUrgent)
            writer.write(heartbeat.chain != nil)
            if let chain = heartbeat.chain { writer.write(chain) }
        case .heartbeatAnswer(let answer):
            writer.write(answer.readPosition)
            writer.write(answer.mayTakeOver)
        case .snapshotOffer(let offer):
            writer.write(offer.snapshot.rawValue)
            writer.write(offer.anchor.position)
            writer.write(offer.anchor.chain)
        case .timeoutNow, .newerTerm:
            break
        }
    }

    private var kind: Kind {
        switch self.body {
        case .preVoteRequest: .preVoteRequest
        case .preVoteAnswer: .preVoteAnswer
        case .voteRequest: .voteRequest
        case .voteAnswer: .voteAnswer
        case .append: .append
        case .appendAccepted: .appendAccepted
        case .appendRefused: .appendRefused
        case .heartbeat: .heartbeat
        case .heartbeatAnswer: .heartbeatAnswer
        case .timeoutNow: .timeoutNow
        case .newerTerm: .newerTerm
        case .snapshotOffer: .snapshotOffer
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version = try reader.read(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(Int(version)) }
        let kindOffset = reader.offset
        guard let kind = Kind(rawValue: try reader.read()) else {
            throw .invalid(field: "message kind", offset: kindOffset)
        }
        let term = try reader.readTerm()
        let from = NodeID(try reader.read())
        self.init(term: term, from: from, body: try Self.readBody(kind, from: &reader))
    }

    private static func readBody(
        _ kind: Kind, from reader: inout ByteReader
    ) throws(FormatFault) -> Body {
        switch kind {
        case .preVoteRequest: .preVoteRequest(try Self.readVoteRequest(from: &reader))
        case .preVoteAnswer:
            .preVoteAnswer(
                PreVoteAnswer(
                    campaignTerm: try reader.readTerm(),
                    granted: try reader.readBool(field: "granted")))
        case .voteRequest: .voteRequest(try Self.readVoteRequest(from: &reader))
        case .voteAnswer: .voteAnswer(VoteAnswer(granted: try reader.readBool(field: "granted")))
        case .append: .append(try Self.readAppend(from: &reader))
        case .appendAccepted: .appendAccepted(AppendAccepted(match: try reader.readIndex()))
        case .appendRefused:
            .appendRefused(
                AppendRefused(
                    previous: try reader.readIndex(), hint: try reader.readPosition(),
                    hasLostEntries: try reader.readBool(field: "has lost entries")))
        case .heartbeat: .heartbeat(try Self.readHeartbeat(from: &reader))
        case .heartbeatAnswer:
            .heartbeatAnswer(
                HeartbeatAnswer(
                    readPosition: try reader.read(),
                    mayTakeOver: try reader.readBool(field: "may take over")))
        case .timeoutNow: .timeoutNow
        case .newerTerm: .newerTerm
        case .snapshotOffer:
            .snapshotOffer(
                SnapshotOffer(
                    snapshot: SnapshotID(try reader.read()),
                    anchor: LogAnchor(
                        position: try reader.readPosition(), chain: try reader.read())))
        }
    }

    private static func readVoteRequest(
        from reader: inout ByteReader
    ) throws(FormatFault) -> VoteRequest {
        VoteRequest(
            last: try reader.readPosition(), isHandover: try reader.readBool(field: "handover"))
    }

    private static func readHeartbeat(
        from reader: inout ByteReader
    ) throws(FormatFault) -> Heartbeat {
        let commit = try reader.readIndex()
        let readPosition: UInt64 = try reader.read()
        let isUrgent = try reader.readBool(field: "urgent")
        let chain: UInt64? =
            if try reader.readBool(field: "chain known") { try reader.read() } else { nil }
        return Heartbeat(
            commit: commit, chain: chain, readPosition: readPosition, isUrgent: isUrgent)
    }

    private static func readAppend(from reader: inout ByteReader) throws(FormatFault) -> Append {
        let position = try reader.readPosition()
        let previous = LogAnchor(position: position, chain: try reader.read())
        let commit = try reader.readIndex()
        var index = previous.index
        let entries = try reader.readArray(field: "entries", limit: Self.maximumEntries) {
            (reader: inout ByteReader) throws(FormatFault) -> Entry in
            index = index.next
            return try Entry(at: index, from: &reader)
        }
        return Append(previous: previous, entries: entries, commit: commit)
    }
}
