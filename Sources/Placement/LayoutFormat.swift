package import Primitives
internal import Wire

/// The bytes of a layout: format version, layout version, counts, nodes, each distinct set of homes
/// once, and for each partition one byte (two, with more than 256 sets) that says which set it has.
extension Layout: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.version.rawValue)
        writer.write(UInt8(self.replicaCount))
        writer.write(UInt8(self.partitionBits))
        writer.writeArray(self.nodes) { $1.encode(into: &$0) }
        writer.write(UInt32(self.homeSets.count))
        for homes in self.homeSets {
            for node in homes { writer.write(node.rawValue) }
        }
        if self.homeSets.count <= 256 {
            writer.writeRaw(self.assignment.map { UInt8(truncatingIfNeeded: $0) })
        } else {
            for position in self.assignment { writer.write(position) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let start = reader.offset
        let format = try reader.read(UInt8.self)
        guard format == Self.formatVersion else { throw .unknownVersion(Int(format)) }
        let version = LayoutVersion(try reader.read(UInt64.self))
        let replicaCount = Int(try reader.read(UInt8.self))
        let partitionBits = Int(try reader.read(UInt8.self))
        guard Self.partitionBitsRange.contains(partitionBits) else {
            throw .invalid(field: "partition bits", offset: reader.offset - 1)
        }
        let nodes = try reader.readArray(field: "nodes", limit: Self.nodeLimit) {
            (reader) throws(FormatFault) in try NodeDescriptor(from: &reader)
        }
        let setCount = Int(try reader.read(UInt32.self))
        guard setCount <= Self.homeSetLimit else {
            throw .tooLarge(field: "home sets", size: setCount, limit: Self.homeSetLimit)
        }
        var homeSets: [[NodeID]] = []
        for _ in 0..<setCount {
            var homes: [NodeID] = []
            for _ in 0..<replicaCount { homes.append(NodeID(try reader.read(UInt32.self))) }
            homeSets.append(homes)
        }
        let assignment = try Self.readAssignment(
            count: 1 << partitionBits, isWide: setCount > 256, from: &reader)
        do {
            try self.init(
                version: version, replicaCount: replicaCount, partitionBits: partitionBits,
                nodes: nodes, homeSets: homeSets, assignment: assignment)
        } catch {
            throw .invalid(field: "layout: \(error)", offset: start)
        }
    }

    private static func readAssignment(
        count: Int, isWide: Bool, from reader: inout ByteReader
    ) throws(FormatFault) -> [UInt16] {
        guard isWide else { return try reader.readRaw(count).map { UInt16($0) } }
        guard reader.remaining >= 2 * count else { throw .truncated(offset: reader.offset) }
        var assignment: [UInt16] = []
        assignment.reserveCapacity(count)
        for _ in 0..<count { assignment.append(try reader.read(UInt16.self)) }
        return assignment
    }
}
