import Consensus
import MetaNode
import PeerTransport
import Primitives
import Testing
import Wire

@Suite struct FormatEnvelopeTests {
    private static let append = RaftMessage(
        term: Term(3), from: NodeID(1),
        body: .append(
            Append(
                previous: LogAnchor(
                    position: LogPosition(term: Term(2), index: LogIndex(7)), chain: 9),
                entries: FormatLog.entries(
                    2,
                    after: LogAnchor(
                        position: LogPosition(term: Term(2), index: LogIndex(7)), chain: 9),
                    term: 3),
                commit: LogIndex(6))))

    private static func heartbeat(_ group: UInt32, heldByAll: UInt64 = 0) -> RaftEnvelope.Item {
        RaftEnvelope.Item(
            group: GroupID(group),
            message: RaftMessage(
                term: Term(4), from: NodeID(2),
                body: .heartbeat(Heartbeat(commit: LogIndex(5), readPosition: 6))),
            heldByAll: LogIndex(heldByAll))
    }

    private static func append(bytes: Int) -> RaftEnvelope.Item {
        let entry = Entry(
            after: .zero, term: Term(1), kind: .command,
            payload: [UInt8](repeating: 1, count: bytes))
        return RaftEnvelope.Item(
            group: GroupID(1),
            message: RaftMessage(
                term: Term(1), from: NodeID(1),
                body: .append(Append(previous: .zero, entries: [entry], commit: .zero))),
            heldByAll: .zero)
    }

    private static let claim = StateClaim(
        group: GroupID(7), applied: LogIndex(8), mark: StateMark(digest: 9, chain: 10))

    @Test func `an envelope has these bytes for ever`() {
        let envelope = RaftEnvelope(items: [Self.heartbeat(7, heldByAll: 0x0102)])
        #expect(
            Hex.encode(envelope.encoded)
                == "01" + "01" + "00" + "00000000" + "01000000" + "07000000" + "0201000000000000"
                + "01" + "08" + "0400000000000000" + "02000000"
                + "0500000000000000" + "0600000000000000" + "0100")
        let stamp = ClockStamp(
            wall: Timestamp(milliseconds: 3), sent: Instant(nanoseconds: 4),
            echo: .init(sent: Instant(nanoseconds: 5), heldFor: .nanoseconds(6)))
        #expect(
            Hex.encode(RaftEnvelope(items: [], clock: stamp, claims: [Self.claim]).encoded)
                == "01" + "01" + "01" + "0300000000000000" + "0400000000000000" + "01"
                + "0500000000000000" + "0600000000000000" + "01000000" + "07000000"
                + "0800000000000000" + "0900000000000000" + "0a00000000000000" + "00000000")
        #expect(RaftEnvelope.messagesKind == 0x0101)
        #expect(RaftEnvelope.heartbeatsKind == 0x0102)
    }

    @Test func `an envelope comes out as it went in`() throws {
        let items = [
            Self.heartbeat(0, heldByAll: 9),
            RaftEnvelope.Item(group: GroupID(1), message: Self.append, heldByAll: .zero),
            Self.heartbeat(.max, heldByAll: .max),
        ]
        for count in 0...items.count {
            let clock = ClockStamp(
                wall: Timestamp(milliseconds: -1), sent: Instant(nanoseconds: .max),
                echo: count == 0 ? nil : .init(sent: .init(nanoseconds: 1), heldFor: .seconds(2)))
            let envelope = RaftEnvelope(
                items: Array(items.prefix(count)), space: .exhausted,
                clock: count == 1 ? nil : clock,
                claims: Array(repeating: Self.claim, count: count))
            let read = try RaftEnvelope(decoding: envelope.encoded)
            #expect(read.clock == envelope.clock)
            #expect(read.claims == envelope.claims)
            #expect(read.items == envelope.items)
            #expect(read.space == .exhausted)
        }
    }

    @Test func `bytes that are no envelope are refused and never trap`() {
        let sound = RaftEnvelope(
            items: [
                Self.heartbeat(1),
                RaftEnvelope.Item(group: GroupID(1), message: Self.append, heldByAll: .zero),
            ],
            clock: ClockStamp(
                wall: Timestamp(milliseconds: 1), sent: .init(nanoseconds: 2), echo: nil),
            claims: [Self.claim]
        ).encoded
        var generator = SeededGenerator(seed: 21)
        var refused = 0
        for _ in 0..<5_000 {
            let input = generator.mutated(sound)
            do { _ = try RaftEnvelope(decoding: input) } catch { refused += 1 }
        }
        #expect(refused > 2_500)
        for length in 0..<sound.count {
            #expect(throws: FormatFault.self) {
                try RaftEnvelope(decoding: Array(sound.prefix(length)))
            }
        }
        #expect(throws: FormatFault.unknownVersion(2)) {
            try RaftEnvelope(decoding: [2] + sound.dropFirst())
        }
    }

    @Test func `more messages than an envelope holds are refused`() {
        var writer = ByteWriter()
        writer.write(UInt8(1))
        writer.write(DiskSpace.low.rawValue)
        writer.write(false)
        writer.write(UInt32(0))
        writer.write(UInt32(RaftEnvelope.mostMessages + 1))
        writer.writeRaw([UInt8](repeating: 0, count: RaftEnvelope.mostMessages + 1))
        #expect(
            throws: FormatFault.tooLarge(
                field: "messages", size: RaftEnvelope.mostMessages + 1,
                limit: RaftEnvelope.mostMessages)
        ) { try RaftEnvelope(decoding: writer.bytes) }
    }

    @Test func `what goes to one node keeps its order over envelopes of bounded size`() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<10 {
            let items = (0..<Int.random(in: 0...200, using: &generator)).map { number in
                Bool.random(using: &generator)
                    ? Self.heartbeat(UInt32(number))
                    : Self.append(bytes: Int.random(in: 0...4_000, using: &generator))
            }
            let runs = RaftEnvelope.runs(of: items)
            #expect(runs.flatMap { $0 } == items)
            #expect(runs.allSatisfy { !$0.isEmpty && $0.count <= RaftEnvelope.mostMessages })
            for run in runs {
                let bytes = RaftEnvelope(items: run).encoded.count
                // The group, the mark of what all hold, and the head stand beside the messages.
                #expect(bytes <= RaftEnvelope.runBytes + 12 * run.count + 11)
            }
        }
        #expect(RaftEnvelope.runs(of: []).isEmpty)
    }

    @Test func `a large message travels alone, within what the transport takes`() {
        let large = Self.append(bytes: Entry.maximumPayloadBytes / 8)
        let runs = RaftEnvelope.runs(of: [Self.heartbeat(1), large, large, Self.heartbeat(2)])
        #expect(runs.map(\.count) == [1, 1, 1, 1])
        #expect(RaftEnvelope(items: [large]).encoded.count <= PeerLimits.messageLimitBytes)
    }

    @Test func `many small messages fill envelopes to their count`() throws {
        let items = (0..<10_000).map { Self.heartbeat($0) }
        let runs = RaftEnvelope.runs(of: items)
        #expect(runs.flatMap { $0 } == items)
        for run in runs {
            #expect(try RaftEnvelope(decoding: RaftEnvelope(items: run).encoded).items == run)
        }
    }

    @Test func `a message's reckoned size is at least its size`() {
        for item in [Self.heartbeat(1), Self.append(bytes: 0), Self.append(bytes: 1000)] {
            #expect(item.message.encoded.count <= item.message.sizeBytes)
        }
    }
}

extension SeededGenerator {
    /// The bytes with something wrong: cut, flipped, a run replaced, or random altogether.
    fileprivate mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var out = bytes
        switch UInt8.random(in: 0..<4, using: &self) {
        case 0: out.removeLast(Int.random(in: 1...out.count, using: &self))
        case 1:
            for _ in 0..<Int.random(in: 1...4, using: &self) {
                out[Int.random(in: 0..<out.count, using: &self)] ^= UInt8.random(
                    in: 1...255, using: &self)
            }
        case 2:
            let start = Int.random(in: 0..<out.count, using: &self)
            let end = min(out.count, start + Int.random(in: 1...9, using: &self))
            out.replaceSubrange(
                start..<end,
                with: (0..<Int.random(in: 0...12, using: &self)).map { _ in
                    UInt8.random(in: 0...255, using: &self)
                })
        default:
            out = (0..<Int.random(in: 0...120, using: &self)).map { _ in
                UInt8.random(in: 0...255, using: &self)
            }
            if !out.isEmpty { out[0] = 1 }
        }
        return out
    }
}
