import Primitives

/// The settings of one replica. A tick is whatever period its caller ticks with.
package struct RaftConfiguration: Sendable {
    /// This replica's node.
    package var node: NodeID
    /// The group's configuration as of the entries that the replica starts with as applied. Later
    /// ones come from the log.
    package var members: Configuration
    /// Decides the replica's election timeouts. Replicas of a group must have different seeds.
    package var seed: UInt64

    /// A leader sends a heartbeat this often.
    package var heartbeatTicks = 5
    /// A follower waits between one and two times as long for its leader; a leader that has not
    /// heard from a quorum for as long steps down.
    package var electionTicks = 50
    /// The first election after `forgetLeader` waits between 1 and this many ticks.
    package var hurriedElectionTicks = 3

    /// Bounds the entries of one append; one entry always fits.
    package var maximumAppendBytes = 1 << 20
    /// Bounds the appends on their way to one follower.
    package var maximumInflightAppends = 256
    package var maximumInflightBytes = 8 << 20
    /// Bounds the payload of one proposed entry.
    package var maximumEntryBytes = 1 << 20
    /// Bounds what the log holds beyond what is applied: a leader refuses proposals over it, so a
    /// group without a quorum does not grow; a follower drops appends while as much is committed
    /// and not applied.
    package var maximumUnappliedBytes = 64 << 20
    /// Bounds the entries handed out to be applied and not yet reported as applied; the one that
    /// reaches the bound may pass it.
    package var maximumApplyingBytes = 4 << 20
    /// How much of the log stays in memory behind what is applied, for followers a little behind.
    package var maximumCachedBytes = 16 << 20
    /// Bounds the reads that wait for their index.
    package var maximumWaitingReads = 65_536
    /// Bounds the rounds of heartbeats that confirm reads at one time; later reads share the next.
    package var maximumReadRounds = 16

    package init(node: NodeID, members: Configuration, seed: UInt64) {
        self.node = node
        self.members = members
        self.seed = seed
    }

    /// Of a replica in a group without learners that is not changing.
    package init(node: NodeID, voters: [NodeID], seed: UInt64) {
        self.init(node: node, members: Configuration(voters: voters), seed: seed)
    }

    func check() {
        invariant(
            self.members.isWellFormed || self.members == .unknown,
            "a configuration in force has voters")
        invariant(self.heartbeatTicks >= 1, "heartbeats take at least a tick")
        invariant(
            self.electionTicks > self.heartbeatTicks, "an election waits for more than a heartbeat")
        invariant(
            (1...self.electionTicks).contains(self.hurriedElectionTicks),
            "a hurried election is earlier than others")
        invariant(
            (1...Entry.maximumPayloadBytes).contains(self.maximumEntryBytes),
            "the format bounds entries")
        invariant(
            self.maximumUnappliedBytes >= 2 * self.maximumEntryBytes,
            "an entry fits when nothing else waits")
        let bounds = [
            self.maximumAppendBytes, self.maximumInflightAppends, self.maximumInflightBytes,
            self.maximumUnappliedBytes, self.maximumApplyingBytes, self.maximumCachedBytes,
            self.maximumWaitingReads, self.maximumReadRounds,
        ]
        invariant(bounds.allSatisfy { $0 > 0 }, "bounds are above zero")
    }
}
