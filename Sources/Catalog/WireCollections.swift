internal import Primitives
internal import Wire

extension WireMessage {
    /// The message as a row's value: `encoded`, specialised, and with room for most rows at once.
    var row: [UInt8] {
        var writer = ByteWriter(capacity: 192)
        self.encode(into: &writer)
        return writer.bytes
    }
}

extension ByteWriter {
    mutating func write(_ message: some WireMessage) { message.encode(into: &self) }

    mutating func writeMessages(_ messages: [some WireMessage]) {
        self.write(UInt32(messages.count))
        for message in messages { message.encode(into: &self) }
    }

    mutating func writeOptionalMessage(_ message: (some WireMessage)?) {
        self.write(message != nil)
        message?.encode(into: &self)
    }

    mutating func write(_ time: Timestamp) { self.write(time.milliseconds) }
}

extension ByteReader {
    mutating func readMessages<Message: WireMessage>(
        _ type: Message.Type = Message.self, field: String, limit: Int
    ) throws(FormatFault) -> [Message] {
        try self.readArray(field: field, limit: limit) { (reader) throws(FormatFault) in
            try Message(from: &reader)
        }
    }

    mutating func readOptionalMessage<Message: WireMessage>(
        _ type: Message.Type = Message.self
    ) throws(FormatFault) -> Message? {
        try self.readBool(field: "presence") ? try Message(from: &self) : nil
    }

    mutating func readTimestamp() throws(FormatFault) -> Timestamp {
        Timestamp(milliseconds: try self.read())
    }

    /// Text whose length is within `bounds`.
    mutating func readString(
        field: String, bounds: ClosedRange<Int>
    ) throws(FormatFault) -> String {
        let at = self.offset
        let text = try self.readString(field: field, limit: bounds.upperBound)
        guard text.utf8.count >= bounds.lowerBound else { throw .invalid(field: field, offset: at) }
        return text
    }

    mutating func readVersion(_ known: UInt8) throws(FormatFault) {
        let version = try self.read(UInt8.self)
        guard version == known else { throw .unknownVersion(Int(version)) }
    }
}
