import CachePolicy
import Catalog
import Consensus
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// How the meta role of a node is run.
package struct MetaSettings: Sendable {
    /// This node.
    package var node: NodeID
    /// The node's `raft/` and `state/` lie in it.
    package var directory: String
    /// The groups that this node holds replicas of.
    package var groups: [GroupID]
    /// Who voted in every group when the cluster was made. A node that is not among them joined
    /// later, and learns from the logs who votes now.
    package var voters: [NodeID]
    /// Where each group's leader should be, so that leaders spread; the same on every node.
    package var preferredLeaders: [GroupID: NodeID]
    /// The first facts of the cluster, for the first leaders of its groups.
    package var bootstrap: Bootstrap?

    /// One tick of Raft's clocks.
    package var tickPeriod: Duration = .milliseconds(20)
    /// Heartbeats go out every so many ticks: five in the least election timeout.
    package var beatTicks = 10
    /// How long a preferred leader listens for a leader, at its start, before it stands itself.
    package var firstElectionDelay: Duration = .milliseconds(300)
    /// How long a preferred leader must have kept up before leadership returns to it.
    package var handBackDelay: Duration = .seconds(10)
    /// How long a replica stays after its group has done without it.
    package var formerReplicaGrace: Duration = .seconds(60)
    /// Commands that share one entry.
    package var commandsPerEntry = 1024
    /// Bytes of commands that share one entry, beside the first.
    package var entryBytes = 256 << 10
    /// Bytes of one synced write of the log, beside the first entry's.
    package var logBatchBytes = 1 << 20
    package var log = MetaLogSettings()
    package var sweep = SweepSettings()
    package var slotMoves = SlotMoveSettings()
    /// How often a leader looks whether a rotation of the master key is to go on.
    package var masterKeyPeriod: Duration = .seconds(2)
    package var disk = DiskSpaceSettings()

    /// What is kept in memory of the states of all groups together: a read that finds its rows here
    /// is answered without leaving the loop.
    static let cacheBytes = 64 << 20

    /// What an entry and a command say beside what is in them, at most.
    private static let frameBytes = 1 << 10

    /// How a process ends whose log or state could not be written.
    package static let logFailureStatus: Int32 = 70
    /// How a process ends whose log or state found no room on the disk. Nothing that was
    /// acknowledged is in doubt, so it may be started again.
    package static let diskFullStatus: Int32 = 72
    /// How a process ends whose metadata is not what its disk had confirmed.
    package static let damagedStatus: Int32 = 71
    /// How a process ends that has proof of an older `raft/` under it, or of two histories of what was
    /// committed: it may have forgotten a vote, and is not started again.
    package static let forgottenStatus: Int32 = 73

    package init(
        node: NodeID, directory: String, groups: [GroupID], voters: [NodeID],
        preferredLeaders: [GroupID: NodeID] = [:], bootstrap: Bootstrap? = nil
    ) {
        self.node = node
        self.directory = directory
        self.groups = groups
        self.voters = voters
        self.preferredLeaders = preferredLeaders
        self.bootstrap = bootstrap
    }

    /// The configuration of a group whose log has not brought another one yet.
    var firstConfiguration: Configuration {
        self.voters.contains(self.node) ? Configuration(voters: self.voters) : .unknown
    }

    func raftConfiguration(
        of group: GroupID, members: Configuration, randomness: [UInt8]
    ) -> RaftConfiguration {
        let seed = randomness.reduce(UInt64(group.rawValue)) { $0 << 8 ^ $0 >> 56 ^ UInt64($1) }
        var configuration = RaftConfiguration(
            node: self.node, members: members, seed: seed)
        configuration.heartbeatTicks = self.beatTicks
        configuration.maximumCachedBytes = self.log.cachedBytes
        invariant(
            self.slotMoves.mostPieceBytes + Self.frameBytes <= configuration.maximumEntryBytes,
            "the largest piece of a slot's rows fits into an entry")
        return configuration
    }
}

/// How much of the logs is kept, and where.
package struct MetaLogSettings: Sendable, Equatable {
    /// Bytes applied to a state before it is made durable, which bounds the replay after a crash.
    package var flushBytes = 8 << 20
    /// Entries kept in a log behind what is durable and held by all voters.
    package var entriesKept: UInt64 = 16
    /// What a log keeps for voters that are slow or away, behind what is durable: the fewer of these
    /// entries and of these bytes. Who lacks more is given a snapshot.
    package var entriesKeptForSlow: UInt64 = 100_000
    package var bytesKeptForSlow: UInt64 = 64 << 20
    package var snapshots = SnapshotSettings()
    /// After this long without a new entry a group is idle.
    package var idleTime: Duration = .seconds(2)
    /// Bytes applied to the state of an idle group before it is made durable.
    package var idleFlushBytes = 256 << 10
    /// Bytes that may have ended with truncations before an idle node gives back their disk space.
    package var reclaimBytes = 1 << 20
    /// Bytes of a log kept in memory behind what is applied, for followers a little behind.
    package var cachedBytes = 16 << 20
    /// Names that entries invalidated, remembered of each group for the edges that follow it.
    package var invalidationsKept = InvalidationRing.capacity

    package init() {}
}

/// What the meta role counts.
package struct MetaCounters: Sendable {
    package let commandsProposed: Counter
    package let entriesProposed: Counter
    package let entriesApplied: Counter
    package let logSyncs: Counter
    package let electionsWon: Counter
    package let truncations: Counter
    package let snapshots: SnapshotCounters
    /// Changes of a group's members that this node began as its leader.
    package let memberChanges: Counter
    /// Envelopes of heartbeats sent, each with those of all groups.
    package let heartbeatEnvelopes: Counter
    /// Leaderships that this node began to hand over because its clock was off.
    package let clockHandovers: Counter
    /// Times a replica of another node was found to differ from this node's.
    package let divergences: Counter
    /// Times a replica of this node was fenced because a majority contradicts its state.
    package let fences: Counter
    package let queries: Counter
    /// Queries that were answered on the loop, without a trip to the pool.
    package let queriesFromCache: Counter
    package let readIndexes: Counter
    /// Secrets that this node, as a leader, had wrapped by a newer master key.
    package let secretsRewrapped: Counter
    /// Commands that came again, as a client does that heard no answer, and were not done again.
    package let sessionHits: Counter
    /// Proposals refused for want of disk space.
    package let refusedFull: Counter
    /// Replicas whose disk did not give back what it held, at starts.
    package let damagesFound: Counter
    /// Replicas whose log lacks entries that it had.
    package let logsRecovering: Gauge
    package let logsRecovered: Counter
    package let ballastsReleased: Counter
    package let ballastsMade: Counter
    package let diskFreeBytes: Gauge
    /// A `DiskSpace`, raw.
    package let diskSpace: Gauge

    package init(_ registry: MetricsRegistry) {
        self.commandsProposed = registry.counter(
            "holdfast_meta_commands_proposed_total", help: "Commands handed to Raft.")
        self.entriesProposed = registry.counter(
            "holdfast_meta_entries_proposed_total", help: "Log entries they shared.")
        self.entriesApplied = registry.counter(
            "holdfast_meta_entries_applied_total", help: "Committed entries applied.")
        self.logSyncs = registry.counter(
            "holdfast_meta_log_syncs_total", help: "Synced writes of the Raft log.")
        self.electionsWon = registry.counter(
            "holdfast_meta_elections_won_total", help: "Times this node became a leader.")
        self.memberChanges = registry.counter(
            "holdfast_meta_member_changes_total",
            help: "Changes of a group's members begun by its leader here.")
        self.truncations = registry.counter(
            "holdfast_meta_truncations_total", help: "Times a log was shortened.")
        self.snapshots = SnapshotCounters(registry)
        self.heartbeatEnvelopes = registry.counter(
            "holdfast_meta_heartbeat_envelopes_total",
            help: "Envelopes sent with the heartbeats of all groups of a pair of nodes.")
        self.divergences = registry.counter(
            "holdfast_divergences_total",
            help:
                "Replicas of others that were found to hold another state or log than this node's.")
        self.fences = registry.counter(
            "holdfast_replicas_fenced_total",
            help: "Replicas of this node that a majority contradicts: they neither lead nor answer."
        )
        self.clockHandovers = registry.counter(
            "holdfast_clock_handovers_total",
            help: "Leaderships handed over because this node's clock was off.")
        self.queries = registry.counter(
            "holdfast_meta_queries_total", help: "Queries answered.")
        self.queriesFromCache = registry.counter(
            "holdfast_meta_queries_from_cache_total",
            help: "Queries answered without a trip to the disk threads.")
        self.readIndexes = registry.counter(
            "holdfast_meta_read_indexes_total", help: "Linearizable reads begun.")
        self.secretsRewrapped = registry.counter(
            "holdfast_meta_secrets_rewrapped_total",
            help: "Secrets wrapped by a newer master key.")
        self.sessionHits = registry.counter(
            "holdfast_meta_session_hits_total",
            help: "Repeated commands that this replica found applied before.")
        self.refusedFull = registry.counter(
            "holdfast_meta_refused_full_total", help: "Proposals refused for want of disk space.")
        self.damagesFound = registry.counter(
            "holdfast_meta_damages_found_total",
            help: "Replicas whose disk did not give back what it held.")
        self.logsRecovering = registry.gauge(
            "holdfast_logs_recovering",
            help: "Replicas whose log lacks entries that it had; they do not lead.")
        self.logsRecovered = registry.counter(
            "holdfast_logs_recovered_total", help: "Logs that got back what they had lost.")
        self.ballastsReleased = registry.counter(
            "holdfast_meta_ballasts_released_total",
            help: "Times the ballast was given back because the disk was nearly full.")
        self.ballastsMade = registry.counter(
            "holdfast_meta_ballasts_made_total",
            help: "Times the ballast was made again because the disk had room.")
        self.diskFreeBytes = registry.gauge(
            "holdfast_meta_disk_free_bytes", help: "Free space beside the metadata.")
        self.diskSpace = registry.gauge(
            "holdfast_meta_disk_space",
            help: "1: ample; 2: low, writes are refused; 3: exhausted, nothing is logged.")
    }
}
