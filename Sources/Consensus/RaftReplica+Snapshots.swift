import Primitives

/// The log's beginning: where the storage let it go, and followers that stand before it.
extension RaftReplica {
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

    mutating func leaveSnapshotWhenPossible(_ peer: NodeID) {
        guard let progress = self.leadership.progress[peer], progress.state == .snapshot,
            progress.match >= self.log.truncated.index
        else { return }
        self.leadership.progress[peer]?.becomeReplicate()
    }
}
