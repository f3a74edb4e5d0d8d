import Primitives
import Wire

/// What a replica tells those who follow its group's invalidations.
package enum InvalidationNews: Equatable, Sendable {
    /// Everything that the entries behind `after`, through `through`, invalidated, in their order.
    case marks([InvalidationMark], after: LogIndex, through: LogIndex)
    /// The replica does not remember so far back: what the follower believes of the states before
    /// this index it may believe no longer.
    case reset(LogIndex)

    /// Marks in one message, 16 bytes each. An entry with more is told as one of everything.
    package static let mostMarks = 4_096
}

/// An entry of the log invalidated a name.
package struct InvalidationMark: Hashable, Sendable {
    package let index: LogIndex
    package let name: NameMark

    package init(index: LogIndex, name: NameMark) {
        self.index = index
        self.name = name
    }
}

extension InvalidationNews: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        switch self {
        case .marks(let marks, let after, let through):
            writer.write(UInt8(1))
            writer.write(after.rawValue)
            writer.write(through.rawValue)
            writer.writeArray(marks) {
                $0.write($1.index.rawValue)
                $0.write($1.name.rawValue)
            }
        case .reset(let index):
            writer.write(UInt8(2))
            writer.write(index.rawValue)
        }
    }

    /// Marks that stand outside of what the message is about, or out of order, are refused.
    package init(from reader: inout ByteReader) throws(FormatFault) {
        let version: UInt8 = try reader.read()
        guard version == Self.formatVersion else { throw .unknownVersion(Int(version)) }
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1:
            let after = LogIndex(try reader.read())
            let through = LogIndex(try reader.read())
            guard after <= through else { throw .invalid(field: "through", offset: at) }
            var previous = after
            let marks = try reader.readArray(
                field: "marks", limit: Self.mostMarks
            ) { (reader) throws(FormatFault) in
                let at = reader.offset
                let mark = InvalidationMark(
                    index: LogIndex(try reader.read()),
                    name: NameMark(rawValue: try reader.read()))
                guard after < mark.index, previous <= mark.index, mark.index <= through else {
                    throw .invalid(field: "mark", offset: at)
                }
                previous = mark.index
                return mark
            }
            self = .marks(marks, after: after, through: through)
        case 2: self = .reset(LogIndex(try reader.read()))
        default: throw .invalid(field: "news", offset: at)
        }
    }
}
