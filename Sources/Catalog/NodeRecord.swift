package import Placement
package import Primitives
internal import Wire

/// A node as group 0 knows it.
package struct NodeRecord: Equatable, Sendable {
    package let descriptor: NodeDescriptor
    /// Where its peers reach it: `host:port`.
    package let address: String
    package let roles: NodeRoles

    package init(descriptor: NodeDescriptor, address: String, roles: NodeRoles) {
        self.descriptor = descriptor
        self.address = address
        self.roles = roles
    }

    package var id: NodeID { self.descriptor.id }

    /// Whether the node was removed for ever.
    package var isRemoved: Bool { self.descriptor.state == .removed }

    /// The same node in another state.
    package func with(_ state: NodeState) -> NodeRecord {
        NodeRecord(
            descriptor: NodeDescriptor(
                id: self.id, zone: self.descriptor.zone, weight: self.descriptor.weight,
                state: state),
            address: self.address, roles: self.roles)
    }
}

/// What a node does. Raw values are for ever.
package struct NodeRoles: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let meta = NodeRoles(rawValue: 1)
    package static let store = NodeRoles(rawValue: 2)
    package static let edge = NodeRoles(rawValue: 4)
    package static let all: NodeRoles = [.meta, .store, .edge]
}

extension NodeRecord: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.descriptor)
        writer.writeString(self.address)
        writer.write(self.roles.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        let descriptor = try NodeDescriptor(from: &reader)
        let address = try reader.readString(field: "address", limit: CatalogLimits.addressBytes)
        let at = reader.offset
        let roles = NodeRoles(rawValue: try reader.read())
        guard NodeRoles.all.isSuperset(of: roles) else {
            throw .invalid(field: "roles", offset: at)
        }
        self.init(descriptor: descriptor, address: address, roles: roles)
    }
}
