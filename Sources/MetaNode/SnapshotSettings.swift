import Primitives
import Telemetry

/// How states are sent to replicas whose logs end before the leader's begins.
package struct SnapshotSettings: Sendable, Equatable {
    /// Bytes a second that this node fetches, over all groups: so that a state of many gigabytes
    /// neither fills the network nor keeps the disk from syncing the log.
    package var bytesPerSecond = 64 << 20
    /// Bytes of one piece; at most `SnapshotFormat.mostPieceBytes`.
    package var pieceBytes = 1 << 20
    /// How long a state is held ready, and the log behind it with it, after somebody last fetched
    /// from it.
    package var lease: Duration = .seconds(60)
    /// Between a fetch that failed and the next one.
    package var pause: Duration = .seconds(2)

    package init() {}
}

/// The bounds of a fetch that are no settings.
enum SnapshotLimits {
    /// How long one call may take.
    static let callTimeout: Duration = .seconds(10)
    /// How often a call is tried again when the other side cannot be reached, and the pause in
    /// between: some ten seconds, in which a broken connection is made again.
    static let callAttempts = 20
    static let callPause: Duration = .milliseconds(500)
    /// How often a file is fetched whose bytes are not those of its checksum.
    static let fileAttempts = 2
}

/// What is counted of states that are sent and installed.
package struct SnapshotCounters: Sendable {
    package let made: Counter
    package let offered: Counter
    package let piecesSent: Counter
    package let bytesSent: Counter
    package let piecesReceived: Counter
    package let bytesReceived: Counter
    /// Bytes that a fetch found already there, from one that ended early.
    package let bytesResumed: Counter
    package let installed: Counter
    /// Fetched, and then not needed any more.
    package let dropped: Counter
    package let failed: Counter

    package init(_ registry: MetricsRegistry) {
        self.made = registry.counter(
            "holdfast_snapshots_made_total", help: "States held ready for replicas far behind.")
        self.offered = registry.counter(
            "holdfast_snapshots_offered_total", help: "Times that a replica was told of one.")
        self.piecesSent = registry.counter(
            "holdfast_snapshot_pieces_sent_total", help: "Pieces of states that were sent.")
        self.bytesSent = registry.counter(
            "holdfast_snapshot_bytes_sent_total", help: "Bytes of states that were sent.")
        self.piecesReceived = registry.counter(
            "holdfast_snapshot_pieces_received_total", help: "Pieces of states that came.")
        self.bytesReceived = registry.counter(
            "holdfast_snapshot_bytes_received_total", help: "Bytes of states that came.")
        self.bytesResumed = registry.counter(
            "holdfast_snapshot_bytes_resumed_total",
            help: "Bytes of states that were there from a fetch before.")
        self.installed = registry.counter(
            "holdfast_snapshots_installed_total", help: "States installed in place of older ones.")
        self.dropped = registry.counter(
            "holdfast_snapshots_dropped_total",
            help: "States fetched that the log had caught up with.")
        self.failed = registry.counter(
            "holdfast_snapshots_failed_total", help: "Fetches of states that came to nothing.")
    }
}
