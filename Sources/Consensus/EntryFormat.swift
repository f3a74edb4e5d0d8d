import Primitives
import Wire

/// An entry's bytes, in messages and in the log's rows alike: term u64, kind u8, chain u64, payload
/// behind its count. The index is not among them: the message's first index or the row's key has
/// it.
extension Entry {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.term.rawValue)
        writer.write(self.kind.rawValue)
        writer.write(self.chain)
        writer.writeBytes(self.payload)
    }

    /// Reads the entry at `index`. Does not check the chain; `follows(_:)` does.
    package init(at index: LogIndex, from reader: inout ByteReader) throws(FormatFault) {
        let term = try reader.readTerm()
        let kindOffset = reader.offset
        guard let kind = EntryKind(rawValue: try reader.read()) else {
            throw .invalid(field: "entry kind", offset: kindOffset)
        }
        let chain = try reader.read(UInt64.self)
        let payload = try reader.readBytes(
            field: "entry payload", limit: Entry.maximumPayloadBytes)
        if kind == .configuration, try !Configuration(decoding: payload).isWellFormed {
            throw .invalid(field: "configuration entry", offset: kindOffset)
        }
        self.init(term: term, index: index, kind: kind, payload: Array(payload), chain: chain)
    }
}

/// Terms and indices count up from zero; one that could overflow was never written by a replica.
private let counterLimit: UInt64 = 1 << 62

extension ByteReader {
    mutating func readTerm() throws(FormatFault) -> Term {
        Term(try self.readCounter(field: "term"))
    }

    mutating func readIndex() throws(FormatFault) -> LogIndex {
        LogIndex(try self.readCounter(field: "index"))
    }

    mutating func readPosition() throws(FormatFault) -> LogPosition {
        LogPosition(term: try self.readTerm(), index: try self.readIndex())
    }

    private mutating func readCounter(field: String) throws(FormatFault) -> UInt64 {
        let at = self.offset
        let value = try self.read(UInt64.self)
        guard value < counterLimit else { throw .invalid(field: field, offset: at) }
        return value
    }
}

extension ByteWriter {
    mutating func write(_ position: LogPosition) {
        self.write(position.term.rawValue)
        self.write(position.index.rawValue)
    }
}
