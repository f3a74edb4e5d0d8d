package import Placement
package import Primitives
internal import Wire

/// Which tables of group 0 somebody has: what is asked for is only what is newer.
package struct TableVersions: Equatable, Sendable {
    package var layout: LayoutVersion
    package var groupTable: UInt64
    /// How often the nodes' records had changed.
    package var nodes: UInt64

    package init(layout: LayoutVersion = .none, groupTable: UInt64 = 0, nodes: UInt64 = 0) {
        self.layout = layout
        self.groupTable = groupTable
        self.nodes = nodes
    }
}

/// What every node keeps at hand of group 0, from one view of it: of each table nil where the asker's
/// is as new. While nothing changes this is five bytes.
package struct ClusterTables: Equatable, Sendable {
    package struct Nodes: Equatable, Sendable {
        package let version: UInt64
        /// By ascending identity.
        package let records: [NodeRecord]

        package init(version: UInt64, records: [NodeRecord]) {
            self.version = version
            self.records = records
        }
    }

    package let layout: Layout?
    package let groupTable: GroupTable?
    package let nodes: Nodes?

    package init(layout: Layout? = nil, groupTable: GroupTable? = nil, nodes: Nodes? = nil) {
        self.layout = layout
        self.groupTable = groupTable
        self.nodes = nodes
    }
}

extension TableVersions: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.layout.rawValue)
        writer.write(self.groupTable)
        writer.write(self.nodes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            layout: LayoutVersion(try reader.read()), groupTable: try reader.read(),
            nodes: try reader.read())
    }
}

extension ClusterTables: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.writeOptionalMessage(self.layout)
        writer.writeOptionalMessage(self.groupTable)
        writer.writeOptionalMessage(self.nodes)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        self.init(
            layout: try reader.readOptionalMessage(),
            groupTable: try reader.readOptionalMessage(),
            nodes: try reader.readOptionalMessage())
    }
}

extension ClusterTables.Nodes: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.version)
        writer.writeMessages(self.records)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            version: try reader.read(),
            records: try reader.readMessages(field: "nodes", limit: CatalogLimits.nodes))
    }
}
