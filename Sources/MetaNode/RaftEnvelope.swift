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

    package init(items: [Item], space: DiskSpace = .ample) {
        self.items = items
        self.space = space
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.space.rawValue)
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
