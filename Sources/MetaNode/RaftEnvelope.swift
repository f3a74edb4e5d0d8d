import Consensus
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// Raft's messages of many groups to one node, as they travel together.
package struct RaftEnvelope: WireMessage {
    /// The kinds of the one-way messages; raw values are for ever.
    package static let messagesKind: UInt16 = 0x0101
    package static let heartbeatsKind: UInt16 = 0x0102

    /// Messages in one envelope; a turn that has more sends several.
    package static let mostMessages = 4096

    package struct Item: Equatable, Sendable {
        package let group: GroupID
        package let message: RaftMessage
        /// With a leader's heartbeat: every voter's log is known to hold the entries up to here, so
        /// nobody will need them from a log again. Zero otherwise.
        package let heldByAll: LogIndex

        package init(group: GroupID, message: RaftMessage, heldByAll: LogIndex) {
            self.group = group
            self.message = message
            self.heldByAll = heldByAll
        }
    }

    package let items: [Item]
    /// How much room the sender's disk has.
    package let space: DiskSpace
    /// The sender's clock; with heartbeats alone.
    package let clock: ClockStamp?
    /// What the sender's replicas have applied; with the heartbeats of a beat alone.
    package let claims: [StateClaim]

    package init(
        items: [Item], space: DiskSpace = .ample, clock: ClockStamp? = nil,
        claims: [StateClaim] = []
    ) {
        self.items = items
        self.space = space
        self.clock = clock
        self.claims = claims
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.space.rawValue)
        writer.write(self.clock != nil)
        if let clock = self.clock { clock.encode(into: &writer) }
        writer.writeArray(self.claims) { $1.encode(into: &$0) }
        writer.writeArray(self.items) { writer, item in
            writer.write(item.group.rawValue)
            writer.write(item.heldByAll.rawValue)
            item.message.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        guard let space = DiskSpace(rawValue: try reader.read()) else {
            throw .invalid(field: "disk space", offset: reader.offset - 1)
        }
        self.space = space
        self.clock = try reader.readFlag("clock") ? try ClockStamp(from: &reader) : nil
        self.claims = try reader.readArray(field: "claims", limit: Self.mostMessages) {
            (reader: inout ByteReader) throws(FormatFault) in try StateClaim(from: &reader)
        }
        self.items = try reader.readArray(
            field: "messages", limit: Self.mostMessages
        ) { reader throws(FormatFault) in
            let group = GroupID(try reader.read())
            let heldByAll = LogIndex(try reader.read())
            return Item(
                group: group, message: try RaftMessage(from: &reader), heldByAll: heldByAll)
        }
    }
}

/// A node's clocks as it says something to another node, and what it last heard of the other's: what
/// takes to tell the offset of two clocks without trusting the way between them.
package struct ClockStamp: WireMessage, Equatable {
    /// What the receiver had sent, given back to it.
    package struct Echo: Equatable, Sendable {
        /// The receiver's monotonic clock as it sent what is echoed.
        package let sent: Instant
        /// How long the sender kept it.
        package let heldFor: Duration

        package init(sent: Instant, heldFor: Duration) {
            self.sent = sent
            self.heldFor = heldFor
        }
    }

    package let wall: Timestamp
    /// The sender's monotonic clock; it means nothing to anybody else.
    package let sent: Instant
    /// Nil before anything was heard.
    package let echo: Echo?

    package init(wall: Timestamp, sent: Instant, echo: Echo?) {
        self.wall = wall
        self.sent = sent
        self.echo = echo
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt64(bitPattern: self.wall.milliseconds))
        writer.write(self.sent.nanoseconds)
        writer.write(self.echo != nil)
        guard let echo = self.echo else { return }
        writer.write(echo.sent.nanoseconds)
        writer.write(UInt64(clamping: echo.heldFor.wholeNanoseconds))
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.wall = Timestamp(milliseconds: Int64(bitPattern: try reader.read()))
        self.sent = Instant(nanoseconds: try reader.read())
        guard try reader.readFlag("echo") else {
            self.echo = nil
            return
        }
        let sent = Instant(nanoseconds: try reader.read())
        let held: UInt64 = try reader.read()
        self.echo = Echo(sent: sent, heldFor: .nanoseconds(Int64(clamping: held)))
    }
}

extension ByteReader {
    fileprivate mutating func readFlag(_ field: String) throws(FormatFault) -> Bool {
        let byte: UInt8 = try self.read()
        guard byte <= 1 else { throw .invalid(field: field, offset: self.offset - 1) }
        return byte == 1
    }
}

extension RaftEnvelope {
    /// Bytes of messages in one envelope, beside the first message's.
    package static let runBytes = 192 << 10

    /// Cuts what goes to one node into envelopes of bounded size, in order.
    package static func runs(of items: [Item]) -> [[Item]] {
        var runs: [[Item]] = []
        var current: [Item] = []
        var sizeBytes = 0
        for item in items {
            let size = item.message.sizeBytes
            if !current.isEmpty,
                sizeBytes + size > Self.runBytes || current.count == Self.mostMessages
            {
                runs.append(current)
                current = []
                sizeBytes = 0
            }
            current.append(item)
            sizeBytes += size
        }
        return current.isEmpty ? runs : runs + [current]
    }
}

extension RaftMessage {
    /// At least its bytes on the wire.
    package var sizeBytes: Int {
        guard case .append(let append) = self.body else { return 64 }
        return append.entries.reduce(64) { $0 + $1.sizeBytes }
    }
}
