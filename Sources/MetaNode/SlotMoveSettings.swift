import Catalog
import Primitives
import Telemetry

/// How slots are moved from the groups that a node leads.
package struct SlotMoveSettings: Sendable, Equatable {
    /// Between two looks for a move.
    package var period: Duration = .seconds(1)
    package var retryPause: Duration = .milliseconds(250)
    /// Bytes of rows after which a command ends, with the row that passes them.
    package var pieceBytes = 96 << 10
    /// Bytes of rows that may go while nobody owns the slots; with more to go, they are taken back.
    ///
    /// The new group takes these rows where growth is refused, out of what a disk keeps for such
    /// commands: from the mark down to a quarter of it, and the ballast, 320 MiB as things are set.
    /// Each row stands there twice, in the log and in the state. So there is room for all the moves that
    /// the cluster may have under way (`CatalogLimits.slotMoves`), at that point all at once, into
    /// groups of one node: 64 × 2 × (2 MiB and the piece that passes them) are 286 MiB.
    package var gapBytes = 2 << 20
    /// What a move may add to the log of the group that it goes to.
    package var bytesPerSecond = 32 << 20
    /// For one call of another group.
    package var patience: Duration = .seconds(10)
    /// The same while nobody owns the slots: then they are rather taken back.
    package var gapPatience: Duration = .seconds(3)
    /// Rows of a piece behind the copy that are few enough to go while nobody owns the slots.
    package var fewRows = 64
    /// Pieces behind the copy after which the slots are given up, however many rows there are.
    package var mostRoundsBehind = 64
    /// Between two commands that erase rows.
    package var dropPause: Duration = .milliseconds(5)

    package init() {}

    /// What the largest command that brings rows has of them.
    package var mostPieceBytes: Int { self.pieceBytes + CatalogLimits.importedRowBytes }
}

/// What moves of slots are counted by.
package struct SlotMoveCounters: Sendable {
    package let moves: Counter
    package let rows: Counter
    package let attemptsFailed: Counter

    package init(_ registry: MetricsRegistry) {
        self.moves = registry.counter(
            "holdfast_slot_moves_total",
            help: "Moves of slots that this node, as the old group's leader, brought to their end.")
        self.rows = registry.counter(
            "holdfast_slot_rows_moved_total", help: "Rows of slots sent to other groups.")
        self.attemptsFailed = registry.counter(
            "holdfast_slot_move_attempts_failed_total",
            help: "Attempts to move slots that ended before their end, and were begun again.")
    }
}
