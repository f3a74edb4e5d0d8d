import ClusterClient
import Consensus
import Primitives
import Wire

/// How a state is fetched, by calls of these kinds; raw values are for ever.
package enum SnapshotFormat {
    /// Of what the state consists: `SnapshotManifestRequest`, answered by a `SnapshotManifest`.
    package static let manifestKind: UInt16 = 0x0130
    /// A piece of a file: `SnapshotPieceRequest`, answered by the piece's CRC-32C and its bytes.
    package static let pieceKind: UInt16 = 0x0131

    /// For a replica that lost its state and not its log: `SnapshotWantedRequest`, answered by an
    /// offer, or by nothing when one is being made.
    package static let wantedKind: UInt16 = 0x0132

    package static let mostPieceBytes = 1 << 20
    package static let mostFiles = 65_536
    package static let longestNameBytes = 255

    /// Why a node gives nothing of a state; raw values are for ever.
    package enum Refusal {
        /// The state is not held any more, or never was.
        package static let unknown: UInt16 = 0x0130
        /// No such file, or not so long.
        package static let outOfBounds: UInt16 = 0x0131
        /// The file cannot be read.
        package static let unreadable: UInt16 = 0x0132
        /// Another node leads the group, or the asker is no member of it.
        package static let notHere: UInt16 = 0x0133
    }
}

package struct SnapshotManifestRequest: WireMessage, Equatable {
    package let group: GroupID
    package let snapshot: SnapshotID

    package init(group: GroupID, snapshot: SnapshotID) {
        self.group = group
        self.snapshot = snapshot
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        writer.write(self.snapshot.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
        self.snapshot = SnapshotID(try reader.read())
    }
}

/// Asks the leader for a state that ends at or behind an entry, because the asker's log goes on from
/// there.
package struct SnapshotWantedRequest: WireMessage, Equatable {
    package let group: GroupID
    package let notBefore: LogIndex

    package init(group: GroupID, notBefore: LogIndex) {
        self.group = group
        self.notBefore = notBefore
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        writer.write(self.notBefore.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
        self.notBefore = LogIndex(try reader.read())
    }
}

/// What the leader says to that.
package struct SnapshotWantedAnswer: WireMessage, Equatable {
    /// Nil: one is being made.
    package let offer: SnapshotOffer?

    package init(offer: SnapshotOffer?) { self.offer = offer }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.writeOptional(self.offer) { writer, offer in
            writer.write(offer.snapshot.rawValue)
            writer.write(offer.anchor.term.rawValue)
            writer.write(offer.anchor.index.rawValue)
            writer.write(offer.anchor.chain)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.offer = try reader.readOptional { reader throws(FormatFault) in
            SnapshotOffer(
                snapshot: SnapshotID(try reader.read()),
                anchor: LogAnchor(
                    position: LogPosition(
                        term: Term(try reader.read()), index: LogIndex(try reader.read())),
                    chain: try reader.read()))
        }
    }
}

/// The files of a state, in the order in which they are fetched.
package struct SnapshotManifest: WireMessage, Equatable {
    package struct File: Equatable, Sendable {
        /// The name of a file, and no path.
        package let name: String
        package let sizeBytes: UInt64
        /// CRC-32C of all its bytes.
        package let checksum: UInt32

        package init(name: String, sizeBytes: UInt64, checksum: UInt32) {
            self.name = name
            self.sizeBytes = sizeBytes
            self.checksum = checksum
        }
    }

    /// The last entry that is in the state.
    package let anchor: LogAnchor
    /// With distinct names, sorted.
    package let files: [File]

    package init(anchor: LogAnchor, files: [File]) {
        self.anchor = anchor
        self.files = files
    }

    package var sizeBytes: UInt64 { self.files.reduce(0) { $0 &+ $1.sizeBytes } }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.anchor.term.rawValue)
        writer.write(self.anchor.index.rawValue)
        writer.write(self.anchor.chain)
        writer.writeArray(self.files) { writer, file in
            writer.writeString(file.name)
            writer.write(file.sizeBytes)
            writer.write(file.checksum)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.anchor = LogAnchor(
            position: LogPosition(
                term: Term(try reader.read()), index: LogIndex(try reader.read())),
            chain: try reader.read())
        var last = ""
        self.files = try reader.readArray(field: "files", limit: SnapshotFormat.mostFiles) {
            reader throws(FormatFault) in
            let at = reader.offset
            let name = try reader.readString(
                field: "file", limit: SnapshotFormat.longestNameBytes)
            // What leads out of a directory, and what comes twice, is not taken from anybody.
            guard name > last, !name.contains("/"), !name.utf8.contains(0), name != ".",
                name != ".."
            else { throw .invalid(field: "file", offset: at) }
            last = name
            return File(
                name: name, sizeBytes: try reader.read(), checksum: try reader.read())
        }
    }
}

package struct SnapshotPieceRequest: WireMessage, Equatable {
    package let group: GroupID
    package let snapshot: SnapshotID
    /// The file's position in the manifest.
    package let file: UInt32
    package let offset: UInt64
    /// At most `SnapshotFormat.mostPieceBytes`.
    package let count: UInt32

    package init(
        group: GroupID, snapshot: SnapshotID, file: UInt32, offset: UInt64, count: UInt32
    ) {
        self.group = group
        self.snapshot = snapshot
        self.file = file
        self.offset = offset
        self.count = count
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt8(1))
        writer.write(self.group.rawValue)
        writer.write(self.snapshot.rawValue)
        writer.write(self.file)
        writer.write(self.offset)
        writer.write(self.count)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.expectFirstVersion()
        self.group = GroupID(try reader.read())
        self.snapshot = SnapshotID(try reader.read())
        self.file = try reader.read()
        self.offset = try reader.read()
        let at = reader.offset
        self.count = try reader.read()
        guard (1...UInt32(SnapshotFormat.mostPieceBytes)).contains(self.count) else {
            throw .invalid(field: "count", offset: at)
        }
    }
}

extension ByteReader {
    mutating func expectFirstVersion() throws(FormatFault) {
        let version: UInt8 = try self.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
    }
}
