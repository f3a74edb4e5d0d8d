import Consensus
import Primitives
import Testing
import Wire

/// The bytes of messages, for ever.
struct RaftMessageTests {
    private static let first = Entry(
        after: .zero, term: Term(3), kind: .noop, payload: [])
    private static let second = Entry(
        after: first.anchor, term: Term(3), kind: .command, payload: Array("put a".utf8))

    private static func message(_ body: RaftMessage.Body) -> RaftMessage {
        RaftMessage(term: Term(3), from: NodeID(2), body: body)
    }

    private static let position = LogPosition(term: Term(2), index: LogIndex(9))

    /// One message of every kind, with its bytes.
    static let golden: [(RaftMessage, String)] = [
        (
            message(.preVoteRequest(VoteRequest(last: position, isHandover: false))),
            "0101" + "0300000000000000" + "02000000" + "0200000000000000" + "0900000000000000"
                + "00"
        ),
        (
            message(.preVoteAnswer(PreVoteAnswer(campaignTerm: Term(4), granted: true))),
            "0102" + "0300000000000000" + "02000000" + "0400000000000000" + "01"
        ),
        (
            message(.voteRequest(VoteRequest(last: position, isHandover: true))),
            "0103" + "0300000000000000" + "02000000" + "0200000000000000" + "0900000000000000"
                + "01"
        ),
        (
            message(.voteAnswer(VoteAnswer(granted: true))),
            "0104" + "0300000000000000" + "02000000" + "01"
        ),
        (
            message(
                .append(
                    Append(previous: .zero, entries: [first, second], commit: LogIndex(1)))),
            "0105" + "0300000000000000" + "02000000" + "0000000000000000" + "0000000000000000"
                + "0000000000000000" + "0100000000000000" + "02000000"
                + "0300000000000000" + "00" + "ffb17a19aa571bd1" + "00000000"
                + "0300000000000000" + "01" + "0432a60a9315157e" + "05000000" + "7075742061"
        ),
        (
            message(.appendAccepted(AppendAccepted(match: LogIndex(7)))),
            "0106" + "0300000000000000" + "02000000" + "0700000000000000"
        ),
        (
            message(
                .appendRefused(
                    AppendRefused(previous: LogIndex(12), hint: position, hasLostEntries: true))),
            "0107" + "0300000000000000" + "02000000" + "0c00000000000000" + "0200000000000000"
                + "0900000000000000" + "01"
        ),
        (
            message(
                .heartbeat(Heartbeat(commit: LogIndex(7), readPosition: 5, isUrgent: false))),
            "0108" + "0300000000000000" + "02000000" + "0700000000000000" + "0500000000000000"
                + "0000"
        ),
        (
            message(.heartbeat(Heartbeat(commit: LogIndex(7), chain: 9, readPosition: 5))),
            "0108" + "0300000000000000" + "02000000" + "0700000000000000" + "0500000000000000"
                + "0101" + "0900000000000000"
        ),
        (
            message(.heartbeatAnswer(HeartbeatAnswer(readPosition: 5, mayTakeOver: true))),
            "0109" + "0300000000000000" + "02000000" + "0500000000000000" + "01"
        ),
        (message(.timeoutNow), "010a" + "0300000000000000" + "02000000"),
        (message(.newerTerm), "010b" + "0300000000000000" + "02000000"),
        (
            message(
                .snapshotOffer(
                    SnapshotOffer(
                        snapshot: SnapshotID(9),
                        anchor: LogAnchor(
                            position: LogPosition(term: Term(2), index: LogIndex(7)),
                            chain: 0x1122_3344_5566_7788)))),
            "010c" + "0300000000000000" + "02000000" + "0900000000000000"
                + "0200000000000000" + "0700000000000000" + "8877665544332211"
        ),
    ]

    @Test func `every kind of message has the bytes it always had`() throws {
        for (message, bytes) in Self.golden {
            #expect(Hex.encode(message.encoded) == bytes)
            #expect(try RaftMessage(decoding: message.encoded) == message)
        }
    }

    @Test func `heartbeats and their answers are told apart from everything else`() {
        let heartbeats = Self.golden.map(\.0).filter(\.isHeartbeat)
        #expect(heartbeats.count == 3)
    }

    @Test(arguments: [
        // A later version, an unknown kind, a snapshot's kind that no release writes yet, a term
        // that could overflow, a flag that is neither, bytes behind the end.
        "02010300000000000000020000000200000000000000090000000000000000",
        "01630300000000000000020000000200000000000000090000000000000000",
        "010c030000000000000002000000",
        "010affffffffffffffff02000000",
        "010403000000000000000200000002",
        "010a03000000000000000200000000",
    ])
    func `bytes that no replica writes are refused`(hex: String) throws {
        let bytes = try #require(Hex.decode(hex))
        #expect(throws: FormatFault.self) { try RaftMessage(decoding: bytes) }
    }

    @Test func `mutated and random bytes are read or refused, and what is read is written back`() {
        var generator = SeededGenerator(seed: 11)
        var readable = 0
        for round in 0..<20_000 {
            var bytes = Self.golden[round % Self.golden.count].0.encoded
            for _ in 0...generator.next() % 4 {
                let at = Int(generator.next() % UInt64(bytes.count))
                switch generator.next() % 4 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
                case 1: bytes[at] ^= 1 << UInt8(generator.next() % 8)
                case 2: bytes.removeLast(min(bytes.count - 1, at))
                default: bytes.insert(UInt8(truncatingIfNeeded: generator.next()), at: at)
                }
            }
            guard let message = Self.read(bytes) else { continue }
            readable += 1
            #expect(message.encoded == bytes)
        }
        #expect(readable > 1000)
    }

    private static func read(_ bytes: [UInt8]) -> RaftMessage? {
        do {
            return try RaftMessage(decoding: bytes)
        } catch {
            return nil
        }
    }
}
