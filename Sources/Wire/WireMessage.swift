import Primitives

/// A value that travels between nodes or rests in the log. Its codec stands beside the type.
///
/// Formats begin with whatever tells their cases and versions apart; raw values are for ever.
package protocol WireMessage: Sendable {
    func encode(into writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(FormatFault)
}

extension WireMessage {
    /// The message alone, as bytes.
    package var encoded: [UInt8] {
        var writer = ByteWriter()
        self.encode(into: &writer)
        return writer.bytes
    }

    /// Reads a message that fills `bytes` exactly.
    package init(decoding bytes: [UInt8]) throws(FormatFault) {
        try self.init(decoding: bytes[...])
    }

    /// Reads a message that fills `bytes` exactly.
    package init(decoding bytes: ArraySlice<UInt8>) throws(FormatFault) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}
