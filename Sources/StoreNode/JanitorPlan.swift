import Catalog
import ChunkStore
import Placement
import Primitives

/// What a store makes of the chunks it holds and of what their groups say of them. Pure.
///
/// A store never decides that a chunk may go. It asks about what it holds, proposes what has no row,
/// and deletes what it finds in the rows that say so.
package enum JanitorPlan {
    /// What becomes of one chunk on the walk over the store.
    package enum Finding: Equatable, Sendable {
        /// It is where it should be, or its time has not come.
        case inOrder
        /// No row names it, and it is too old to belong to an upload under way: propose to condemn
        /// it. So with a copy of a chunk whose other copies are deleted, or being deleted.
        case needless
        /// A row names the chunk and not this store. Repair may want the copy: it stays.
        case surplus
        /// Another group owns the slot; the next walk asks that one.
        case elsewhere
    }

    /// - Parameters:
    ///   - homes: of the chunk, by the latest layout.
    ///   - age: by the clock of the store, which wrote down when it stored the chunk.
    package static func finding(
        _ state: ChunkState, on node: NodeID, homes: [NodeID], age: Duration, orphanGrace: Duration
    ) -> Finding {
        switch state {
        case .slotNotOwned: return .elsewhere
        case .absent: return age >= orphanGrace ? .needless : .inOrder
        case .present(let row):
            switch row.life {
            case .referenced, .unreferenced, .condemned:
                let isHolder = homes.contains(node) || row.exceptions.contains(node)
                return isHolder ? .inOrder : .surplus
            case .authorised(let holders): return holders.contains(node) ? .inOrder : .needless
            case .deleted: return .needless
            }
        }
    }
}
