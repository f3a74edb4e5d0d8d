import Primitives

/// A replica whose storage lost entries of its log, while its term, its vote and where the log had
/// ended are still there, is *recovering* (Alagappan et al., "Protocol-Aware Recovery for
/// Consensus-Based Storage", FAST '18: a faulty entry is one that the replica perhaps
/// acknowledged, never one that it did not have).
///
/// Elections compare logs by their last position alone, so a replica need not hold its entries to
/// judge others as if it did. A recovering replica is held to the position it remembers:
///
/// - It does not stand, and leads nobody: it could not send what it lacks.
/// - It grants votes and pre-votes only to who holds at least what it held itself.
/// - It takes and acknowledges appends, and what it acknowledges it holds.
/// - It recovers when its log, durably, ends at or beyond the remembered position.
///
/// **Why nothing that was committed is lost.** Compare the replica with one that lost nothing, and
/// call that one *whole*. The proof of leader completeness (Raft thesis §3.6.3) asks of a voter
/// that it held a committed entry when it voted, and that its vote went to a log at least as up to
/// date as its own; it never asks for the entry afterwards. So the whole replica's votes are safe,
/// and every vote of ours is one that it would have given:
///
/// 1. *Before it takes new entries* the whole replica's log ends at the remembered position, which
///    the storage keeps in the same write as the entries themselves.
/// 2. *While it takes entries of a leader*, the whole replica takes the same ones; those that we
///    refuse it never got, as any message may be lost. Where they contradict nothing, its log still ends at the remembered position. Where they do, its log
///    ends with them, and so does ours: either they are of a later term than all we remember, and
///    our log's end is the greater of the two; or they are not, and we go on asking for the
///    remembered end, which is more than the whole replica would. `longestHeld` is the greater one.
/// 3. *When our durable log reaches the remembered position*, the two are the same. With an equal
///    last term, one leader made both ends, and its log is the only one of that term (§3.5): ours
///    has all that it had up to there. With a later last term, the first entry of that term stood
///    in contradiction to everything that the whole replica had behind it.
///
/// Votes of before are in the hard state; whoever lost that must not come back (§3.8). A leader of
/// the same term may count on what we acknowledged and lost: then a commit rests on one copy fewer
/// than it seems, which is what damage means, but no candidate without the entry gets our vote. The
/// leader learns of it from the first append that we refuse, or the first heartbeat, and sends the
/// entries again.
///
/// **When a majority is recovering**, a leader is elected as soon as somebody who stands holds what
/// a majority remembers. Should nobody, then entries that were perhaps acknowledged are gone from
/// every replica that is up, and no rule may decide to do without them: the group waits for the
/// replicas that are away, or for a person.
extension RaftReplica {
    /// Whether the log lacks entries that this replica had.
    package var isRecovering: Bool { self.remembered != nil }

    /// The end of the longest log that others may count on this replica for: what a candidate must
    /// hold to get its vote.
    var longestHeld: LogPosition {
        max(self.log.last.position, self.remembered ?? .zero)
    }

    mutating func endRecoveryWhenWhole() {
        guard let remembered = self.remembered,
            let held = self.log.anchor(at: self.log.persisted), held.position >= remembered
        else { return }
        self.remembered = nil
    }

    /// A leader counts on entries that are lost.
    mutating func refuseForLoss(behind commit: LogIndex, from leader: NodeID) {
        self.send(
            .appendRefused(
                AppendRefused(
                    previous: commit, hint: self.log.last.position, hasLostEntries: true)),
            to: leader)
    }
}
