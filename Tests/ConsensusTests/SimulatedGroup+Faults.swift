import Consensus
import Primitives

extension SimulatedGroup {
    /// A promise that was not kept.
    enum Broken: Error, Equatable {
        case twoLeaders(Term)
        case committedDiffers(LogIndex)
        case leaderLacksCommitted(LogIndex, leader: NodeID)
        case committedWithoutMajority(LogIndex)
        case termWentBack(NodeID)
        case sentBeforePersisted(NodeID, String)
        case staleRead(LogIndex, after: LogIndex)
        case appliedOutOfOrder(NodeID)
        case fault(NodeID, String)
        case boundPassed(NodeID, String)
        case notConverged(String)
    }

    /// What disks may do to logs between a crash and the restart.
    enum Damage {
        case none
        /// Suffixes are lost, of less than half of the replicas at one time.
        case minority
        /// Suffixes are lost wherever it happens; then nothing is promised but that no leader lacks
        /// what was committed.
        case anywhere
        /// As `minority`, and the replicas do not know that they ever had more.
        case forgotten
    }

    /// So small that every bound is met.
    static func setBounds(of configuration: inout RaftConfiguration) {
        configuration.heartbeatTicks = 2
        configuration.electionTicks = 8
        configuration.hurriedElectionTicks = 2
        configuration.maximumAppendBytes = 150
        configuration.maximumInflightAppends = 3
        configuration.maximumInflightBytes = 400
        configuration.maximumEntryBytes = 300
        configuration.maximumUnappliedBytes = 1500
        configuration.maximumApplyingBytes = 200
        configuration.maximumCachedBytes = 300
        configuration.maximumWaitingReads = 20
        configuration.maximumReadRounds = 3
    }
}
