import Primitives
import Telemetry

/// How the leader of a data group deletes what nobody needs any more.
package struct SweepSettings: Sendable, Equatable {
    /// Log time between the last reference to a chunk and the deletion of its copies: what a reader
    /// in mid-body has to finish. The chunk is condemned at half of it: until then a new reference
    /// may take it back, and from then on audits still may, if a manifest names it after all.
    package var grace: Duration = .seconds(6 * 3_600)
    /// The same while a store has no room left.
    package var graceWhenFull: Duration = .seconds(15 * 60)
    /// How long a store's word that it has no room left holds.
    package var fullnessLifetime: Duration = .seconds(60)
    /// Between two looks at the queues when little waits there. Spread by a quarter either way.
    package var period: Duration = .seconds(5)
    /// Between two looks while more waits than one command takes, which bounds what deletions cost.
    package var busyPause: Duration = .milliseconds(100)
    /// Chunks of one command; at most `CatalogLimits.chunksPerSweep`.
    package var chunksPerCommand = 512
    /// Commands that end abandoned uploads, or release a piece of a manifest of many parts, proposed
    /// together; at most `CatalogLimits.sweepPage`.
    package var manifestsPerLook = 8
    /// Log time without a new part after which an upload that nobody completed is given up.
    package var uploadPatience: Duration = .seconds(7 * 86_400)
    /// Between two audits of the references, which read all of a group's manifests. Spread by a
    /// quarter either way.
    package var auditPeriod: Duration = .seconds(6 * 3_600)

    package init() {}
}

/// What the sweep of the groups that a node leads counts.
package struct SweepCounters: Sendable {
    package let uploadsAborted: Counter
    package let manifestPieces: Counter
    package let condemned: Counter
    package let authorised: Counter
    package let forgotten: Counter
    /// Chunks and uploads of the sweep that were decided otherwise when it was applied.
    package let refused: Counter

    package init(_ registry: MetricsRegistry) {
        self.uploadsAborted = registry.counter(
            "holdfast_sweep_uploads_aborted_total", help: "Abandoned uploads ended.")
        self.manifestPieces = registry.counter(
            "holdfast_sweep_manifest_pieces_total",
            help: "Pieces of manifests of many parts released.")
        self.condemned = registry.counter(
            "holdfast_sweep_chunks_condemned_total",
            help: "Chunks without a reference that no command may name any more.")
        self.authorised = registry.counter(
            "holdfast_sweep_deletions_authorised_total",
            help: "Chunks that their stores were told to delete.")
        self.forgotten = registry.counter(
            "holdfast_sweep_chunks_forgotten_total",
            help: "Deleted chunks whose rows were dropped.")
        self.refused = registry.counter(
            "holdfast_sweep_chunks_refused_total",
            help: "Chunks and uploads that were decided otherwise when the sweep was applied.")
    }
}
