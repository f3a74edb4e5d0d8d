import Primitives
import Telemetry

/// How slots are moved from the groups that a node leads.
package struct SlotMoveSettings: Sendable, Equatable {
    /// Between two looks for a move.
    package var period: Duration = .seconds(1)
    package var retryPause: Duration = .milliseconds(250)
    /// Bytes of rows of one command. A larger row is a command by itself.
    package var pieceBytes = 96 << 10
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
