package import Primitives
internal import Wire

/// The payload of one Raft entry: when the leader proposed it, and the commands that share it.
///
/// Each command stands behind its length, so that one that cannot be read spoils no other: it reads
/// as `.unreadable` on every replica alike, and its result is `.malformed`.
package struct CatalogEntry: Equatable, Sendable {
    /// The leader's wall clock. The time of the entry is this or the time of the entry before,
    /// whichever is later.
    package let timestamp: Timestamp
    package let commands: [CatalogCommand]

    package init(timestamp: Timestamp, commands: [CatalogCommand]) {
        self.timestamp = timestamp
        self.commands = commands
    }

    /// The payload for commands that are encoded already, as they came from edges: a leader batches
    /// them without reading them again.
    package static func payload(timestamp: Timestamp, commands: [[UInt8]]) -> [UInt8] {
        var writer = ByteWriter(capacity: commands.reduce(13) { $0 + $1.count + 4 })
        Self.writeHead(timestamp: timestamp, into: &writer)
        writer.writeArray(commands) { $0.writeBytes($1) }
        return writer.bytes
    }

    private static func writeHead(timestamp: Timestamp, into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(timestamp)
    }
}

extension CatalogEntry: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        Self.writeHead(timestamp: self.timestamp, into: &writer)
        writer.write(UInt32(self.commands.count))
        for command in self.commands {
            let lengthOffset = writer.count
            writer.write(UInt32(0))
            command.encode(into: &writer)
            writer.patch(UInt32(writer.count - lengthOffset - 4), at: lengthOffset)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let timestamp = try reader.readTimestamp()
        let commands = try reader.readArray(
            field: "commands", limit: CatalogLimits.commandsPerEntry
        ) { (reader) throws(FormatFault) in
            let bytes = try reader.readBytes(field: "command")
            do throws(FormatFault) {
                return try CatalogCommand(decoding: bytes)
            } catch {
                return CatalogCommand(operation: .unreadable)
            }
        }
        self.init(timestamp: timestamp, commands: commands)
    }
}
