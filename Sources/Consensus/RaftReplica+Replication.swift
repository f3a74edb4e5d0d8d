import Primitives

/// The log's way from the leader to a quorum (thesis §3.5, §10.2).
extension RaftReplica {
    // MARK: Leading

    mutating func propose(_ payloads: [[UInt8]], ticket: UInt64) {
        if let refusal = self.refusal(of: payloads) {
            self.answer(proposal: ticket, .refused(refusal))
            return
        }
        self.answer(
            proposal: ticket, .appended(term: self.term, first: self.log.last.index.next))
        for payload in payloads {
            self.log.append([
                Entry(after: self.log.last, term: self.term, kind: .command, payload: payload)
            ])
        }
    }

    private func refusal(of payloads: [[UInt8]]) -> Refusal? {
        guard self.role == .leader else { return .notLeader(hint: self.leader) }
        if let successor = self.leadership.successor { return .handingOver(to: successor) }
        if self.isLeavingJoint { return .changing }
        let limit = self.configuration.maximumEntryBytes
        guard payloads.allSatisfy({ $0.count <= limit }) else {
            return .tooLarge(limitBytes: limit)
        }
        let waiting = self.log.sizeBytes(after: self.applied, through: self.log.last.index)
        let new = payloads.reduce(0) { $0 + $1.count + 32 }
        return waiting + new > self.configuration.maximumUnappliedBytes ? .overloaded : nil
    }

    /// Sends every follower what its window lets it have.
    mutating func sendAppends() {
        for peer in self.peers {
            while let append = self.nextAppend(to: peer) { self.send(append, to: peer) }
        }
    }

    private mutating func send(_ append: Append, to peer: NodeID) {
        self.send(.append(append), to: peer)
        let size = append.entries.reduce(0) { $0 + $1.sizeBytes }
        self.leadership.progress[peer]?.sent(
            through: append.last, sizeBytes: size, commit: self.commit)
    }

    /// The next append for `peer`, if there is something to say and room to say it. Asks the
    /// storage for entries, or the caller for a snapshot, when the memory does not reach back far
    /// enough.
    private mutating func nextAppend(to peer: NodeID) -> Append? {
        guard let progress = self.leadership.progress[peer], !progress.isPaused else { return nil }
        let isMissingEntries = progress.next <= self.log.last.index && !progress.window.isFull
        let hasNews = isMissingEntries || progress.toldCommit < self.commit
        guard progress.state == .probe || progress.owesProbe || hasNews else { return nil }

        if progress.next <= self.log.truncated.index {
            self.leadership.progress[peer]?.becomeSnapshot()
            self.needsSnapshot(peer)
            return nil
        }
        let limit = self.configuration.maximumAppendBytes
        guard let previous = self.log.anchorInMemory(before: progress.next) else {
            self.leadership.progress[peer]?.loading = progress.next
            self.load(
                LoadRequest(
                    peer: peer, from: progress.next, through: self.log.before.index,
                    limitBytes: limit))
            return nil
        }
        let entries =
            isMissingEntries
            ? self.log.entries(
                from: progress.next, through: self.log.last.index, limitBytes: limit)
            : []
        return Append(previous: previous, entries: entries, commit: self.commit)
    }

    /// Entries came from the storage for a follower that is far behind.
    mutating func loaded(_ answer: LoadedEntries) {
        let peer = answer.peer
        guard self.role == .leader, let progress = self.leadership.progress[peer],
            progress.loading == answer.from
        else { return }
        self.leadership.progress[peer]?.loading = nil
        // Something that was still under way has been accepted or refused meanwhile.
        guard progress.next == answer.from else { return }

        switch answer.outcome {
        case .truncated:
            self.leadership.progress[peer]?.becomeSnapshot()
            self.needsSnapshot(peer)
        case .entries(let previous, let entries) where !entries.isEmpty:
            guard previous.index.next == answer.from, entries.follow(previous),
                entries.count <= self.log.before.index.rawValue - previous.index.rawValue
            else {
                self.fault(.damagedStorage(after: previous.position))
                self.leadership.progress[peer]?.waitForHeartbeat()
                return
            }
            self.send(
                Append(previous: previous, entries: entries, commit: self.commit), to: peer)
        case .entries, .failed:
            self.leadership.progress[peer]?.waitForHeartbeat()
        }
    }

    mutating func appendAccepted(_ answer: AppendAccepted, by peer: NodeID) {
        guard self.role == .leader, answer.match <= self.log.last.index else { return }
        self.leadership.progress[peer]?.isRecentlyActive = true
        guard self.leadership.progress[peer]?.accepted(through: answer.match) == true else {
            return
        }
        self.leaveSnapshotWhenPossible(peer)
        self.commitWhatAQuorumHolds()
        if self.leadership.successor == peer { self.handOverWhenReady() }
    }

    mutating func appendRefused(_ answer: AppendRefused, by peer: NodeID) {
        guard self.role == .leader else { return }
        self.leadership.progress[peer]?.isRecentlyActive = true
        if answer.hasLostEntries {
            self.leadership.progress[peer]?.lost(behind: answer.hint.index)
        }
        // Our own log skips, too: what is above the hint's term here cannot be in the follower's.
        var resume = answer.hint.index
        if resume > self.log.before.index {
            resume = self.log.position(atMost: resume, termAtMost: answer.hint.term).index
        }
        _ = self.leadership.progress[peer]?.refused(
            behind: answer.previous, resumingAfter: resume)
    }

    mutating func peerUnreachable(_ peer: NodeID) {
        guard self.role == .leader, self.leadership.progress[peer]?.state == .replicate else {
            return
        }
        self.leadership.progress[peer]?.becomeProbe()
        self.leadership.progress[peer]?.waitForHeartbeat()
    }

    /// Commits what a quorum holds durably, ourselves among it only as far as our disk is; but only
    /// by an entry of our own term (Raft paper §5.4.2, figure 8).
    mutating func commitWhatAQuorumHolds() {
        let reached = self.quorum.reached { node in
            node == self.node
                ? self.log.persisted : self.leadership.progress[node]?.match ?? .zero
        }
        guard reached > self.commit, self.log.anchor(at: reached)?.term == self.term else { return }
        self.commit = reached
    }

    mutating func sendHeartbeats() {
        for peer in self.peers { self.sendHeartbeat(to: peer) }
    }

    /// - Parameter isUrgent: whether the answer is waited for, whatever else there is to say.
    mutating func sendHeartbeat(to peer: NodeID, isUrgent: Bool = false) {
        guard let progress = self.leadership.progress[peer] else { return }
        // No further than the follower is known to be: it may hold other entries beyond.
        let commit = min(progress.match, self.commit)
        let position = self.leadership.reads.position
        let heartbeat = Heartbeat(
            commit: commit, chain: self.log.anchor(at: commit)?.chain, readPosition: position,
            isUrgent: isUrgent || progress.confirmedRead < position
                || progress.state != .replicate || progress.match < self.log.last.index)
        self.send(.heartbeat(heartbeat), to: peer)
    }

    mutating func heartbeatAnswered(_ answer: HeartbeatAnswer, by peer: NodeID) {
        guard self.role == .leader, answer.readPosition <= self.leadership.reads.position else {
            return
        }
        let wasProbeDue = self.leadership.progress[peer]?.isProbeDue == true
        self.leadership.progress[peer]?.heartbeatAnswered(
            readPosition: answer.readPosition, last: self.log.last.index)
        self.mayTakeOver(answer.mayTakeOver, says: peer)
        if wasProbeDue { self.probeAfterSnapshot(peer) }
        self.confirmReads()
    }

    // MARK: Following

    /// Whether the message may come from the one leader of this term; follows it if so.
    mutating func follow(_ leader: NodeID) -> Bool {
        switch self.role {
        case .leader:
            self.fault(.secondLeader(leader, term: self.term))
            return false
        case .preCandidate, .candidate:
            self.becomeFollower(in: self.term, of: leader)
        case .follower:
            self.leader = leader
            self.hurriesLeft = 0
            self.timeoutsLetPass = 0
            // The timeout stays as it was drawn: drawing costs, and this is every message.
            if self.electionTimeout < self.configuration.electionTicks {
                self.resetElectionTimer()
            }
            self.electionElapsed = 0
        }
        return true
    }

    mutating func follow(_ heartbeat: Heartbeat, from leader: NodeID) {
        guard self.follow(leader) else { return }
        if heartbeat.commit > self.log.last.index, self.isRecovering {
            self.refuseForLoss(behind: heartbeat.commit, from: leader)
        } else if heartbeat.commit > self.log.last.index {
            self.fault(
                .entriesLost(
                    leader: leader, commit: heartbeat.commit, last: self.log.last.position))
            return
        } else if let chain = heartbeat.chain, let own = self.log.anchor(at: heartbeat.commit),
            own.chain != chain
        {
            // The leader knows that we hold the entry: equal logs up to there, or a damaged one.
            self.fault(
                .diverged(at: own.position, peer: leader, ours: own.chain, theirs: chain))
            return
        } else {
            self.commit = max(self.commit, heartbeat.commit)
        }
        self.send(
            .heartbeatAnswer(
                HeartbeatAnswer(
                    readPosition: heartbeat.readPosition, mayTakeOver: self.mayTakeOver)),
            to: leader, canWait: !heartbeat.isUrgent)
    }

    mutating func follow(_ append: Append, from leader: NodeID) {
        guard self.follow(leader) else { return }
        let previous = append.previous
        guard previous.index >= self.commit else {
            // An old message: what is committed is equal everywhere, so this is true of the leader.
            self.sendAfterPersist(
                .appendAccepted(AppendAccepted(match: self.commit)), to: leader)
            return
        }
        let backlog = self.log.sizeBytes(after: self.applied, through: self.commit)
        if backlog > self.configuration.maximumUnappliedBytes { return }

        guard previous.index <= self.log.last.index,
            let own = self.log.anchor(at: previous.index), own.term == previous.term
        else {
            self.refuse(append, from: leader)
            return
        }
        guard own.chain == previous.chain else {
            self.fault(
                .diverged(
                    at: own.position, peer: leader, ours: own.chain, theirs: previous.chain))
            return
        }
        guard self.take(append.entries, behind: previous, from: leader) else { return }
        self.commit = max(self.commit, min(append.commit, append.last))
        self.sendAfterPersist(.appendAccepted(AppendAccepted(match: append.last)), to: leader)
    }

    private mutating func refuse(_ append: Append, from leader: NodeID) {
        let hint = self.log.position(
            atMost: append.previous.index, termAtMost: append.previous.term)
        self.send(
            .appendRefused(
                AppendRefused(
                    previous: append.previous.index, hint: hint, hasLostEntries: self.isRecovering)),
            to: leader)
    }

    /// Takes over the entries that the log lacks, in place of what contradicts them. An entry that
    /// the log has already is left alone: a late message must not cut off what came after it.
    private mutating func take(
        _ entries: [Entry], behind previous: LogAnchor, from leader: NodeID
    ) -> Bool {
        var anchor = previous
        var known = 0
        while known < entries.count, let own = self.log.entry(at: entries[known].index),
            own.term == entries[known].term
        {
            guard own.chain == entries[known].chain else {
                self.fault(
                    .diverged(
                        at: own.position, peer: leader, ours: own.chain,
                        theirs: entries[known].chain))
                return false
            }
            anchor = own.anchor
            known += 1
        }
        let new = entries[known...]
        guard new.follow(anchor), (new.last?.term ?? self.term) <= self.term else {
            self.fault(.malformedEntries(from: leader, after: anchor.position))
            return false
        }
        guard let first = new.first else { return true }
        guard first.index > self.commit else {
            self.fault(
                .commitContradicted(at: first.position, by: leader, commit: self.commit))
            return false
        }
        if first.index <= self.log.last.index { self.log.removeSuffix(from: first.index) }
        self.log.append(new)
        return true
    }
}

extension Collection where Element == Entry {
    /// Whether the entries stand behind `anchor` without a hole and with their own chain.
    fileprivate func follow(_ anchor: LogAnchor) -> Bool {
        var anchor = anchor
        for entry in self {
            guard entry.follows(anchor) else { return false }
            anchor = entry.anchor
        }
        return true
    }
}
