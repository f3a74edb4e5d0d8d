import Primitives

/// What a replica goes on from once a snapshot is installed, when nothing else is left of it.
package struct SnapshotRestart: Hashable, Sendable {
    package let hardState: HardState
    package let log: RestoredLog
    package let applied: LogIndex
}

/// The log's beginning: where the storage let it go, and followers that stand before it.
extension RaftReplica {
    /// Whether a state at `anchor` leads further than the log here.
    package func needsSnapshot(at anchor: LogAnchor) -> Bool {
        anchor.index > self.commit && self.log.anchor(at: anchor.index) != anchor
    }

    /// Whether a snapshot of the state machine at `anchor` is worth installing here, and from what
    /// the replica starts anew with it. Nil when the log leads there as well or further; the
    /// snapshot is then dropped.
    ///
    /// The caller waits until every write is reported and every entry handed out is applied, and
    /// steps nothing from asking on; records the hard state, the log's beginning and the snapshot's
    /// place in one synced write; swaps the state machine; and makes a new replica. Each of these
    /// steps can be repeated after a crash. The leader notices at its next heartbeat.
    package func restart(installing anchor: LogAnchor) -> SnapshotRestart? {
        guard self.needsSnapshot(at: anchor) else { return nil }
        invariant(
            !self.log.hasUnwritten && !self.log.hasWritesUnderWay
                && self.applied == self.handedToApply,
            "a snapshot is installed when nothing else is under way")
        // The entries behind the anchor are of another history, if there are any: ours lacks it.
        let term = max(self.term, anchor.term)
        return SnapshotRestart(
            hardState: HardState(
                term: term, vote: term == self.term ? self.vote : nil, commit: anchor.index,
                remembered: self.remembered),
            log: RestoredLog(truncated: anchor, before: anchor, entries: []),
            applied: anchor.index)
    }

    /// Whether every write is reported, and everything that is committed and durable is applied.
    package var isQuiet: Bool {
        !self.log.hasUnwritten && !self.log.hasWritesUnderWay
            && self.applied == self.handedToApply
            && (self.handedToApply >= min(self.commit, self.log.persisted) || !self.hasState)
    }

    /// The state machine here is not to be believed any more. The log is as good as before, so the
    /// replica goes on to take entries, to acknowledge them and to vote; but it applies nothing,
    /// and neither leads nor stands. Another replica takes its place, made behind a snapshot.
    package mutating func loseState() {
        self.hasState = false
        switch self.role {
        case .follower: break
        case .preCandidate, .candidate, .leader: self.becomeFollower(in: self.term, of: nil)
        }
    }

    /// The storage has let go of the entries through `anchor`.
    mutating func truncated(through anchor: LogAnchor) {
        invariant(
            anchor.index <= min(self.applied, self.log.persisted),
            "only what is applied and durable is truncated")
        self.log.truncate(through: anchor)
    }

    /// A follower that waits for a snapshot has answered a heartbeat. An empty append at the log's
    /// beginning finds out whether it has one: a follower that was given a later state by whatever
    /// way accepts, and replication goes on from there.
    mutating func probeAfterSnapshot(_ peer: NodeID) {
        guard self.leadership.progress[peer]?.state == .snapshot else { return }
        self.needsSnapshot(peer)
        let probe = Append(previous: self.log.truncated, entries: [], commit: self.commit)
        self.send(.append(probe), to: peer)
    }

    /// Tells a follower of a state that it may fetch. One that ends before our log begins would not
    /// help it.
    mutating func offer(_ offer: SnapshotOffer, to peer: NodeID) {
        guard self.role == .leader, self.leadership.progress[peer]?.state == .snapshot,
            offer.anchor.index >= self.log.truncated.index
        else { return }
        self.send(.snapshotOffer(offer), to: peer)
    }

    /// An offer that comes late, when the log has caught up, is nothing to us.
    mutating func follow(_ offer: SnapshotOffer, from leader: NodeID) {
        guard self.follow(leader), self.needsSnapshot(at: offer.anchor) else { return }
        self.take(offer, from: leader)
    }

    mutating func leaveSnapshotWhenPossible(_ peer: NodeID) {
        guard let progress = self.leadership.progress[peer], progress.state == .snapshot,
            progress.match >= self.log.truncated.index
        else { return }
        self.leadership.progress[peer]?.becomeReplicate()
    }
}
