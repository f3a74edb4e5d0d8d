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
    /// The groups of the cluster and their voters; fixed for now.
    package var groups: [GroupID]
    package var voters: [NodeID]
    /// Where each group's leader should be, so that leaders spread; the same on every node.
    package var preferredLeaders: [GroupID: NodeID]
    /// The first facts of the cluster, for the first leaders of its groups.
    package var bootstrap: Bootstrap?

    /// One tick of Raft's clocks.
    package var tickPeriod: Duration = .milliseconds(20)
    /// Commands that share one entry.
    package var commandsPerEntry = 1024
    /// Bytes of commands that share one entry, beside the first.
    package var entryBytes = 256 << 10
    /// Bytes of one synced write of the log, beside the first entry's.
    package var logBatchBytes = 1 << 20
    /// Bytes applied to a state before it is made durable, which bounds the replay after a crash.
    package var flushBytes = 32 << 20
    /// Entries kept in the log behind what is durable and held by all voters.
    package var entriesKept: UInt64 = 1024

    /// How a process ends whose log or state could not be written.
    package static let logFailureStatus: Int32 = 70
    /// How a process ends whose metadata is not what its disk had confirmed.
    package static let damagedStatus: Int32 = 71

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

    func raftConfiguration(of group: GroupID, randomness: [UInt8]) -> RaftConfiguration {
        let seed = randomness.reduce(UInt64(group.rawValue)) { $0 << 8 ^ $0 >> 56 ^ UInt64($1) }
        return RaftConfiguration(node: self.node, voters: self.voters, seed: seed)
    }
}

/// What the meta role counts.
package struct MetaCounters: Sendable {
    package let commandsProposed = Counter()
    package let entriesProposed = Counter()
    package let entriesApplied = Counter()
    package let logSyncs = Counter()
    package let electionsWon = Counter()
    package let truncations = Counter()
    package let queries = Counter()
    /// Queries that were answered on the loop, without a trip to the pool.
    package let queriesFromCache = Counter()
    package let readIndexes = Counter()
}
