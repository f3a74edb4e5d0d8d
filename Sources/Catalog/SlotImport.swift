internal import OrderedStorage
internal import Primitives
internal import Wire

/// The row of slots that the group is about to take over, from the first `ClearImport` of an attempt
/// until it adopts them.
struct SlotImport: Equatable {
    let slots: SlotRange
    let epoch: Epoch
    var stage: Stage

    enum Stage: Equatable {
        /// What stood there before is being erased, from this place on. Left when all of it is gone.
        case clearing(SlotErasure)
        /// So many pieces of rows came. Left when the group adopts the slots.
        case taking(pieces: UInt64)
    }
}

/// Where the erasing of rows of slots goes on.
struct SlotErasure: Equatable {
    var section: SlotSection
    /// Nil: with the first row of the section.
    var next: [UInt8]?

    static let beginning = SlotErasure(section: .buckets, next: nil)
}

/// The row of slots whose rows the group is dropping.
struct SlotDrop: Equatable {
    let slots: SlotRange
    var erasure: SlotErasure
}

extension CatalogView {
    /// What is being taken over, ascending. Few at a time: each is a move that group 0 keeps.
    func slotImports() throws(StoreFault) -> [SlotImport] {
        try self.allRows(CatalogKeys.slotImports)
    }

    func slotDrops() throws(StoreFault) -> [SlotDrop] { try self.allRows(CatalogKeys.slotDrops) }

    private func allRows<Row: WireMessage>(_ prefix: [UInt8]) throws(StoreFault) -> [Row] {
        let cursor = self.scan(CatalogFamilies.rows, KeyRange(prefix: prefix))
        var rows: [Row] = []
        while let pair = try cursor.next() {
            rows.append(try Self.decode(pair.value, of: CatalogFamilies.rows, pair.key))
        }
        return rows
    }
}

private let formatVersion: UInt8 = 1

extension SlotImport: WireMessage {
    func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.slots)
        writer.write(self.epoch.rawValue)
        switch self.stage {
        case .clearing(let erasure): writer.write(tag: 1) { $0.write(erasure) }
        case .taking(let pieces): writer.write(tag: 2) { $0.write(pieces) }
        }
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.slots = try SlotRange(from: &reader)
        self.epoch = Epoch(try reader.read())
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self.stage = .clearing(try SlotErasure(from: &reader))
        case 2: self.stage = .taking(pieces: try reader.read())
        default: throw .invalid(field: "stage of an import", offset: at)
        }
    }
}

extension SlotErasure: WireMessage {
    func encode(into writer: inout ByteWriter) {
        writer.write(self.section.rawValue)
        writer.writeOptional(self.next) { $0.writeBytes($1) }
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        guard let section = SlotSection(rawValue: try reader.read()) else {
            throw .invalid(field: "section of rows", offset: at)
        }
        self.section = section
        self.next = try reader.readOptional { (reader) throws(FormatFault) in
            Array(try reader.readBytes(field: "key of a row", limit: CatalogLimits.rowKeyBytes))
        }
    }
}

extension SlotDrop: WireMessage {
    func encode(into writer: inout ByteWriter) {
        writer.write(formatVersion)
        writer.write(self.slots)
        writer.write(self.erasure)
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(formatVersion)
        self.slots = try SlotRange(from: &reader)
        self.erasure = try SlotErasure(from: &reader)
    }
}
