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
    /// Between two audits of the references.
    package var auditPeriod: Duration = .seconds(3_600)

    package init() {}
}

/// What the sweep of the groups that a node leads counts.
package struct SweepCounters: Sendable {
    package let condemned: Counter
    package let authorised: Counter
    package let forgotten: Counter
    package let refused: Counter

    package init(_ registry: MetricsRegistry) {
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
            help: "Chunks of the sweep that were decided otherwise when it was applied.")
    }
}
