import Primitives
import Telemetry

/// How a store rids itself of chunks that nobody needs.
package struct JanitorSettings: Sendable, Equatable {
    /// Between two rounds of asking the groups what to delete. Spread by a quarter either way.
    package var pullPeriod: Duration = .seconds(5)
    /// The same, where the last round found nothing: deletions that waited for hours can wait for
    /// seconds, and most rounds of most stores find nothing.
    package var quietPullPeriod: Duration { self.pullPeriod * 3 }
    /// Chunks deleted under one sync; at most `CatalogLimits.chunksPerSweep`.
    package var chunksPerDeletion = 512
    /// The age, by the store's clock, from which a chunk without a row is no upload under way. Must
    /// exceed the time in which an upload has to be committed.
    package var orphanGrace: Duration = .seconds(6 * 3_600)
    /// Chunks asked about at once on a walk over the store; at most `CatalogLimits.chunksPerSweep`.
    package var chunksPerStep = 256
    /// Between two steps: with `chunksPerStep` it bounds the rate of the walk.
    package var stepPause: Duration = .seconds(1)
    /// Between the end of a walk and the beginning of the next. Spread by a quarter either way.
    package var walkPeriod: Duration = .seconds(600)
    /// With less free space than this the node tells the groups that its disk is full.
    package var lowSpaceBytes: UInt64 = 2 << 30
    /// One call to a group.
    package var callTimeout: Duration = .seconds(10)

    package init() {}
}

package struct JanitorCounters: Sendable {
    package let deleted: Counter
    package let condemned: Counter
    package let walks: Counter
    package let faults: Counter
    /// What the last whole walk found.
    package let surplus: Gauge

    package init(_ registry: MetricsRegistry) {
        self.deleted = registry.counter(
            "holdfast_janitor_chunks_deleted_total",
            help: "Chunks deleted because their group had authorised it.")
        self.condemned = registry.counter(
            "holdfast_janitor_chunks_condemned_total",
            help: "Chunks of this store that no manifest names, condemned at its word.")
        self.walks = registry.counter(
            "holdfast_janitor_walks_total", help: "Walks over all chunks of this store.")
        self.faults = registry.counter(
            "holdfast_janitor_faults_total",
            help: "Rounds and steps that failed, to be tried again.")
        self.surplus = registry.gauge(
            "holdfast_janitor_surplus_chunks",
            help: "Chunks whose row does not name this store, as of the last whole walk.")
    }
}
