package import OrderedStorage
internal import Primitives

/// The rows of slots, read in pieces from a state that goes on changing. Whoever writes the pieces down
/// in their order has, once `isFinished` says so, the rows as they were when the last piece was read.
///
/// A piece is read from one frozen view, taken after the caller has collected which rows of the slots
/// were written since the view before. What was written behind the place where the copy stands is read
/// again; what was written ahead of it is met later anyway. A row counts as touched only
/// once it is written: one that was marked before could be read too early and never again.
package struct SlotCopy: Sendable {
    package let slots: SlotRange
    /// The first row that was not read yet; nil at the end.
    private var place: SlotRowName?
    /// Rows behind the place that were written since they were read.
    private var touched: Set<SlotRowName> = []

    /// Rows behind the place that may wait to be read again: some 16 MB.
    package static let mostTouched = 65_536

    package init(of slots: SlotRange) {
        self.slots = slots
        self.place = SlotRowName(
            section: .buckets, key: SlotSection.buckets.keys(of: slots).start)
    }

    /// Whether every row was read once.
    package var hasPassedAll: Bool { self.place == nil }
    package var isFinished: Bool { self.place == nil && self.touched.isEmpty }
    /// So much was written behind the copy that it does not keep up: begin again.
    package var isOverrun: Bool { self.touched.count > Self.mostTouched }

    /// Reads the next piece. Blocking.
    ///
    /// - Parameters:
    ///   - written: the rows of the slots that were written since the last piece, before `reader`.
    ///   - limit: bytes after which the piece ends with the row that passes them.
    package mutating func piece(
        over reader: any OrderedReader, written: [SlotRowName], limitBytes limit: Int
    ) throws(StoreFault) -> [ImportedRow] {
        for row in written where self.isBehind(row) { self.touched.insert(row) }
        var rows: [ImportedRow] = []
        var sizeBytes = 0
        func isFull() -> Bool {
            sizeBytes >= limit || rows.count >= CatalogLimits.rowsPerPiece
        }
        func add(_ name: SlotRowName, _ value: [UInt8]?) {
            let row = ImportedRow(name: name, value: value)
            rows.append(row)
            sizeBytes += row.sizeBytes
        }
        for row in self.touched.sorted() {
            guard !isFull() else { return rows }
            add(row, try reader.get(row.section.family, row.key))
            self.touched.remove(row)
        }
        while let place = self.place, !isFull() {
            let range = KeyRange(
                start: place.key, end: place.section.keys(of: self.slots).end)
            let cursor = reader.scan(place.section.family, range)
            while !isFull(), let pair = try cursor.next() {
                add(SlotRowName(section: place.section, key: pair.key), pair.value)
                self.place = SlotRowName(section: place.section, key: pair.key + [0])
            }
            guard !isFull() else { break }
            self.place = place.section.next.map {
                SlotRowName(section: $0, key: $0.keys(of: self.slots).start)
            }
        }
        return rows
    }

    private func isBehind(_ row: SlotRowName) -> Bool {
        self.place.map { row < $0 } ?? true
    }
}
