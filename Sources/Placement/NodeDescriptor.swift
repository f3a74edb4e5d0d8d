package import Primitives
internal import Wire

/// What placement knows of a node: who it is, what fails with it, how much it takes.
package struct NodeDescriptor: Hashable, Sendable {
    package static let zoneLimitBytes = 64
    /// Keeps every product of a weight and a number of partitions within 64 bits.
    package static let weightLimit: UInt32 = 1_000_000

    package let id: NodeID
    /// What fails together: a rack, a hall, a site. Any text without a meaning of its own.
    package let zone: String
    /// The node's share relative to the others, 1...`weightLimit`; by custom its disk in GiB.
    package let weight: UInt32
    package let state: NodeState

    package init(id: NodeID, zone: String, weight: UInt32 = 1, state: NodeState = .active) {
        self.id = id
        self.zone = zone
        self.weight = weight
        self.state = state
    }
}

/// Whether a node takes chunks. Raw values are for ever.
package enum NodeState: UInt8, Hashable, Sendable {
    /// Holds chunks and takes new ones.
    case active = 1
    /// Still read from, but the builder gives it no partition and writes do not fall back to it.
    case draining = 2
    /// Gone for good. The row stays, because an identity is never reused.
    case removed = 3
}

extension NodeDescriptor: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.id.rawValue)
        writer.writeString(self.zone)
        writer.write(self.weight)
        writer.write(self.state.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let id = NodeID(try reader.read(UInt32.self))
        let zone = try reader.readString(field: "zone", limit: Self.zoneLimitBytes)
        let weightOffset = reader.offset
        let weight = try reader.read(UInt32.self)
        guard (1...Self.weightLimit).contains(weight) else {
            throw .invalid(field: "weight", offset: weightOffset)
        }
        let stateOffset = reader.offset
        guard let state = NodeState(rawValue: try reader.read(UInt8.self)) else {
            throw .invalid(field: "node state", offset: stateOffset)
        }
        self.init(id: id, zone: zone, weight: weight, state: state)
    }
}
