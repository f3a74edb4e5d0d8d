package import Placement
package import Primitives
internal import Wire

/// A chunk as commands, queries and stores name it: every chunk belongs to one bucket, so to one
/// slot, whose group counts its references.
package struct ChunkKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let slot: Slot
    package let name: ChunkName

    package init(slot: Slot, name: ChunkName) {
        self.slot = slot
        self.name = name
    }

    package static func < (a: Self, b: Self) -> Bool { (a.slot, a.name) < (b.slot, b.name) }
    package var description: String { "\(self.slot)/\(self.name)" }
}

/// What metadata knows of a chunk that stores hold.
package struct ChunkRow: Equatable, Sendable {
    package var life: ChunkLife
    /// 0 for a chunk that no manifest ever named.
    package var sealedLength: UInt32
    /// The layout whose homes its copies went to.
    package var placedBy: LayoutVersion
    /// Nodes beside those homes that hold a copy: what repair has to bring home.
    package var exceptions: [NodeID]
    /// Nodes whose copy a reader found missing or bad, ascending: what repair has to look at.
    package var suspects: [NodeID]
    /// When the count of references was last corrected: what an audit counted before then is not
    /// taken a second time. Zero: never.
    package var corrected: LogIndex
    /// What its plain bytes are found by, where a client stated their hash; nil once condemned.
    package var fingerprint: ChunkFingerprint?

    package init(
        life: ChunkLife, sealedLength: UInt32, placedBy: LayoutVersion, exceptions: [NodeID],
        suspects: [NodeID] = [], corrected: LogIndex = .zero,
        fingerprint: ChunkFingerprint? = nil
    ) {
        self.life = life
        self.sealedLength = sealedLength
        self.placedBy = placedBy
        self.exceptions = exceptions
        self.suspects = suspects
        self.corrected = corrected
        self.fingerprint = fingerprint
    }

    /// How many manifests name it; one that names it twice counts twice.
    package var references: UInt64 {
        switch self.life {
        case .referenced(let count): count
        case .unreferenced, .condemned, .authorised, .deleted: 0
        }
    }
}

/// Where a chunk stands between its first reference and the end of its last copy.
///
/// **The invariant.** A copy of a chunk is deleted only if no manifest that any read can reach names
/// the chunk, ever again. It rests on four facts, each decided when an entry is applied and so the
/// same on every replica, whatever leaders, edges, stores and clocks do:
///
/// 1. `condemned` is entered only from `unreferenced`, or from having no row: no manifest of the
///    group names the chunk at that place in the log.
/// 2. From `condemned` on, a command that names the chunk is refused whole (`.chunkCondemned`). A
///    manifest is named by a command or copied from one that is there, so none can name it later.
/// 3. `authorised` is entered only from `condemned`; a store deletes only what it reads, itself, in
///    the rows that this makes for it.
/// 4. A name is given once and never again, so what is deleted under it is what was condemned.
///
/// **The races.** *A commit and a condemnation* stand in one log: whichever comes first refuses the
/// other. *A copy of a version that was just replaced* is refused (`.sourceChanged`); a
/// deduplicated reference finds the chunk `unreferenced` and takes it back, or is refused. *A change
/// of leader* between two steps changes nothing: every step is in these rows, and the next leader
/// reads them. *A clock that jumps* moves log time, which decides only how long a step waits, never
/// whether it may be taken. *A store that was down* asks when it is back, and finds its rows.
/// *A store whose disk was replaced* confirms what it no longer holds; the rows of a node that was
/// removed for good are confirmed by the leader. *A put whose answer was lost* may leave a copy on a
/// node that no row names: it is left alone while the chunk lives, and goes with it. *A slot that
/// moves* takes all of its chunks' rows with it, wherever in their life they are: only the slot's owner
/// condemns, authorises, confirms or answers for a chunk, and a group owns a slot only when every row
/// of it stands there, so a row in transit is never met as a missing one. What a store confirms to the
/// old group too late, the new one tells it again. *A reader in mid-body* is what the grace is for: chunks go at
/// least that much log time after the last reference; a reader slower than that finds no copy and
/// ends the connection. *A commit that comes very late*, by a process that was stopped for hours,
/// finds the row of a deleted chunk, which is remembered far longer than an upload may take; one by
/// a process that was stopped for days finds no row, and is refused for the age of what it names
/// (`CatalogLimits.newChunkLifetime`): here alone a clock decides, that of the edge.
package enum ChunkLife: Equatable, Sendable {
    /// Manifests name it. Left when the last of them goes.
    case referenced(UInt64)
    /// None names it any more. Left by a new reference, or when it is condemned.
    case unreferenced(Unreferenced)
    /// No command may name it any more. Left when its deletion is authorised, or when an audit finds
    /// that a manifest names it after all.
    case condemned(Unreferenced)
    /// The nodes, ascending, that were told to delete and have not confirmed it. Never empty; left
    /// when the last of them confirms.
    case authorised([NodeID])
    /// No copy is known; the row stays for `CatalogLimits.tombstoneLifetime`, so that no late
    /// command brings the name back.
    case deleted(at: Timestamp)

    package struct Unreferenced: Equatable, Sendable {
        /// Where in the log the last reference went, or the chunk was found never to have had one.
        package let index: LogIndex
        package let time: Timestamp
        package init(index: LogIndex, time: Timestamp) {
            self.index = index
            self.time = time
        }
    }
}

extension ChunkKey: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slot.rawValue)
        writer.write(self.name)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(slot: Slot(rawValue: try reader.read()), name: try ChunkName(from: &reader))
    }
}

extension ChunkRow: WireMessage {
    private static let formatVersion: UInt8 = 1

    package func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.life)
        writer.write(self.sealedLength)
        writer.write(self.placedBy.rawValue)
        writer.writeNodes(self.exceptions)
        writer.writeNodes(self.suspects)
        writer.write(self.corrected.rawValue)
        writer.writeOptionalMessage(self.fingerprint)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        self.init(
            life: try ChunkLife(from: &reader), sealedLength: try reader.read(),
            placedBy: LayoutVersion(try reader.read()),
            exceptions: try ChunkReference.readExceptions(from: &reader),
            suspects: try reader.readNodes(
                field: "suspects", limit: CatalogLimits.suspectsPerChunk),
            corrected: LogIndex(try reader.read()), fingerprint: try reader.readOptionalMessage())
    }
}

/// A tag, and what belongs to it. Tags are for ever.
extension ChunkLife: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .referenced(let count): writer.write(tag: 1) { $0.write(count) }
        case .unreferenced(let since): writer.write(tag: 2) { $0.write(since) }
        case .condemned(let since): writer.write(tag: 3) { $0.write(since) }
        case .authorised(let holders): writer.write(tag: 4) { $0.writeNodes(holders) }
        case .deleted(let time): writer.write(tag: 5) { $0.write(time) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .referenced(try reader.read())
        case 2: self = .unreferenced(try Unreferenced(from: &reader))
        case 3: self = .condemned(try Unreferenced(from: &reader))
        case 4:
            self = .authorised(
                try reader.readNodes(field: "holders", limit: CatalogLimits.holdersPerChunk))
        case 5: self = .deleted(at: try reader.readTimestamp())
        default: throw .invalid(field: "chunk life", offset: at)
        }
    }
}

extension ChunkLife.Unreferenced: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.index.rawValue)
        writer.write(self.time)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(index: LogIndex(try reader.read()), time: try reader.readTimestamp())
    }
}

extension ByteWriter {
    /// At most 255 nodes.
    mutating func writeNodes(_ nodes: [NodeID]) {
        self.write(UInt8(nodes.count))
        for node in nodes { self.write(node.rawValue) }
    }
}

extension ByteReader {
    mutating func readNodes(field: String, limit: Int) throws(FormatFault) -> [NodeID] {
        let count = Int(try self.read(UInt8.self))
        guard count <= limit else { throw .tooLarge(field: field, size: count, limit: limit) }
        var nodes: [NodeID] = []
        for _ in 0..<count { nodes.append(NodeID(try self.read(UInt32.self))) }
        return nodes
    }
}
