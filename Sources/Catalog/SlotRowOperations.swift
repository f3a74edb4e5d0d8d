package import Primitives
internal import Wire

/// Begins to take over slots, or goes on with it: the group forgets every row of them that it has, a
/// bounded number a command, and takes no rows of an earlier attempt any more.
///
/// Refused with `.staleEpoch` where the group owns one of the slots, or knows a later attempt.
package struct ClearImport: Equatable, Sendable {
    package let slots: SlotRange
    /// In which the group will adopt them.
    package let epoch: Epoch

    package init(slots: SlotRange, epoch: Epoch) {
        self.slots = slots
        self.epoch = epoch
    }
}

/// Brings rows of slots that the group is about to take over. Nobody sees them before it has.
///
/// Pieces come in their order: one that was applied before is answered again, and one that comes too
/// early is refused, so that a piece which the network kept never undoes a later one.
package struct ImportRows: Equatable, Sendable {
    package let slots: SlotRange
    package let epoch: Epoch
    /// Pieces of the attempt that came before.
    package let piece: UInt64
    /// The old group has released the slots, so that nobody owns them until these rows are here: they
    /// are taken where growth is refused. `SlotMoveSettings.gapBytes` bounds how much that is.
    package let isBehindRelease: Bool
    /// At most `CatalogLimits.rowsPerPiece`. None at all asks whether there is room for more.
    package let rows: [ImportedRow]

    package init(
        slots: SlotRange, epoch: Epoch, piece: UInt64, isBehindRelease: Bool = false,
        rows: [ImportedRow]
    ) {
        self.slots = slots
        self.epoch = epoch
        self.piece = piece
        self.isBehindRelease = isBehindRelease
        self.rows = rows
    }
}

package struct ImportedRow: Equatable, Sendable {
    package let name: SlotRowName
    /// Nil: the row has gone since it was brought.
    package let value: [UInt8]?

    package init(name: SlotRowName, value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    /// What a command says of a row beside its key and its value, at most.
    static let frameBytes = 16

    /// Of the row in a command, at most.
    package var sizeBytes: Int {
        Self.frameBytes + self.name.key.count + (self.value?.count ?? 0)
    }
}

/// Goes on holding slots, in a later epoch: what was begun in an earlier one cannot release them any
/// more. Slots that were released are taken back with all their rows, so it may come only behind a
/// `ClearImport` that the group which was to adopt them has answered.
package struct RetainSlots: Equatable, Sendable {
    package let slots: SlotRange
    package let epoch: Epoch

    package init(slots: SlotRange, epoch: Epoch) {
        self.slots = slots
        self.epoch = epoch
    }
}

/// Has the group forget the rows of slots that it released and another group has adopted; a bounded
/// number a command.
///
/// Refused with `.staleEpoch` where the group released them in a later epoch: they came back and are
/// on their way again, and until they are adopted what is here is all there is.
package struct DropRows: Equatable, Sendable {
    package let slots: SlotRange
    /// The last in which the other group may have adopted them.
    package let epoch: Epoch

    package init(slots: SlotRange, epoch: Epoch) {
        self.slots = slots
        self.epoch = epoch
    }
}

extension ClearImport: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(slots: try SlotRange(from: &reader), epoch: Epoch(try reader.read()))
    }
}

extension ImportRows: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
        writer.write(self.piece)
        writer.write(self.isBehindRelease)
        writer.writeMessages(self.rows)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            slots: try SlotRange(from: &reader), epoch: Epoch(try reader.read()),
            piece: try reader.read(), isBehindRelease: try reader.readBool(),
            rows: try reader.readMessages(field: "rows", limit: CatalogLimits.rowsPerPiece))
    }
}

extension ImportedRow: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.name.section.rawValue)
        writer.writeBytes(self.name.key)
        writer.writeOptional(self.value) { $0.writeBytes($1) }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        guard let section = SlotSection(rawValue: try reader.read()) else {
            throw .invalid(field: "section of a row", offset: at)
        }
        let key = try reader.readBytes(field: "key of a row", limit: CatalogLimits.rowKeyBytes)
        let value = try reader.readOptional { (reader) throws(FormatFault) in
            Array(
                try reader.readBytes(field: "value of a row", limit: CatalogLimits.rowValueBytes))
        }
        self.init(name: SlotRowName(section: section, key: Array(key)), value: value)
    }
}

extension RetainSlots: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(slots: try SlotRange(from: &reader), epoch: Epoch(try reader.read()))
    }
}

extension DropRows: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(slots: try SlotRange(from: &reader), epoch: Epoch(try reader.read()))
    }
}
