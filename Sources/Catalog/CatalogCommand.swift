package import Primitives
internal import Wire

/// One thing that is asked of a group, decided when its entry is applied.
package struct CatalogCommand: Equatable, Sendable {
    /// What makes a repeat known as one. Nil only where `operation.mayRepeat`.
    package let identity: CommandIdentity?
    package let operation: CatalogOperation

    package init(identity: CommandIdentity? = nil, operation: CatalogOperation) {
        self.identity = identity
        self.operation = operation
    }
}

/// Names a command among all that its client ever sends to the group (Raft thesis §6.3).
package struct CommandIdentity: Equatable, Sendable {
    package let session: SessionID
    /// Counts up by one for each new command, from the `firstSequence` that opening the session
    /// answered; a retry repeats it.
    package let sequence: UInt64
    /// The client has the results of, or has given up on, all commands below this one.
    package let firstUnacknowledged: UInt64

    package init(session: SessionID, sequence: UInt64, firstUnacknowledged: UInt64) {
        self.session = session
        self.sequence = sequence
        self.firstUnacknowledged = firstUnacknowledged
    }
}

extension CatalogCommand: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.writeOptionalMessage(self.identity)
        writer.write(self.operation)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let identity = try reader.readOptionalMessage(CommandIdentity.self)
        let at = reader.offset
        let operation = try CatalogOperation(from: &reader)
        guard identity != nil || operation.mayRepeat else {
            throw .invalid(field: "command identity", offset: at)
        }
        self.init(identity: identity, operation: operation)
    }
}

extension CommandIdentity: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.session.rawValue)
        writer.write(self.sequence)
        writer.write(self.firstUnacknowledged)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let session = SessionID(try reader.read())
        let at = reader.offset
        let sequence = try reader.read(UInt64.self)
        let first = try reader.read(UInt64.self)
        guard first <= sequence, sequence - first < CatalogLimits.sessionWindow else {
            throw .invalid(field: "command window", offset: at)
        }
        self.init(session: session, sequence: sequence, firstUnacknowledged: first)
    }
}
