import ChunkProtocol
import Primitives

/// What a start does with what it finds at a boundary of a segment: a table, and nothing but.
///
/// | what stands there | what the index says of the chunk | decision    | because                       |
/// |-------------------|----------------------------------|-------------|-------------------------------|
/// | whole record      | unknown                          | enter       | written, perhaps acknowledged |
/// | whole record      | stands here                      | keep        | known                         |
/// | whole record      | stands earlier                   | supersede   | written anew or moved here    |
/// | whole record      | stands later                     | bury        | moved from here               |
/// | bad record        | unknown                          | enter       | a loss must not be silent     |
/// | bad record        | stands here                      | keep        | known                         |
/// | bad record        | stands earlier                   | bury        | torn on its way here          |
/// | bad record        | stands later                     | bury        | was bad, and written anew     |
/// | tombstone         | unknown                          | keep        | the chunk is gone already     |
/// | tombstone         | stands here                      | remove      | no chunk stands at a tombstone |
/// | tombstone         | stands earlier                   | remove      | deleted                       |
/// | tombstone         | stands later                     | keep        | stored again behind it        |
///
/// A *bad* record has a header that holds and a frame that does not. It was torn before its sync, and
/// never acknowledged; or it has rotted since, and was. Nobody can tell the two apart, so it is
/// entered where no other record of the chunk is known: a read says which frames are bad and is
/// answered from another copy, and a put of the chunk writes it anew.
///
/// Where no header holds nothing was ever written, or a hole was punched, or a header was torn: the
/// scan goes on at the next boundary, as it does behind the header of a bad record, whose length is
/// not to be trusted. Behind a whole record it goes on where that ends.
package struct ScanDecision: Equatable, Sendable {
    package enum Standing: CaseIterable, Sendable { case wholeRecord, badRecord, tombstone }

    /// Where the index says that the chunk stands, beside the boundary.
    package enum Known: CaseIterable, Sendable {
        case unknown, here, earlier, later

        init(_ known: ChunkIndex.Position?, beside position: ChunkIndex.Position) {
            guard let known else {
                self = .unknown
                return
            }
            self = known == position ? .here : known < position ? .earlier : .later
        }
    }

    package enum Action: CaseIterable, Sendable {
        /// The record becomes the one that is read.
        case enter
        /// The same, and the one before it is void.
        case supersede
        /// This record is void.
        case bury
        /// The chunk is gone, and its record void.
        case remove
        /// Nothing changes.
        case keep
    }

    package let standing: Standing
    package let known: Known
    package let action: Action

    package static let table: [ScanDecision] = [
        row(.wholeRecord, .unknown, .enter),
        row(.wholeRecord, .here, .keep),
        row(.wholeRecord, .earlier, .supersede),
        row(.wholeRecord, .later, .bury),
        row(.badRecord, .unknown, .enter),
        row(.badRecord, .here, .keep),
        row(.badRecord, .earlier, .bury),
        row(.badRecord, .later, .bury),
        row(.tombstone, .unknown, .keep),
        row(.tombstone, .here, .remove),
        row(.tombstone, .earlier, .remove),
        row(.tombstone, .later, .keep),
    ]

    static func action(for standing: Standing, _ known: Known) -> Action {
        for row in Self.table where row.standing == standing && row.known == known {
            return row.action
        }
        brokenInvariant("the table has no row for \(standing), \(known)")
    }

    private static func row(
        _ standing: Standing, _ known: Known, _ action: Action
    ) -> ScanDecision {
        ScanDecision(standing: standing, known: known, action: action)
    }
}
