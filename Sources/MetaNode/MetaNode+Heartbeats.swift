import ClusterClient
import Consensus
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// When the node wakes up, and what it says when it does: one envelope to each other voter at every
/// beat, with the heartbeats of all groups in it, and between beats only what cannot wait.
extension MetaNode {
    // MARK: Time

    /// Counts the ticks that have passed since the last turn, for all groups alike.
    func countTicks() {
        let passed = self.ticks.advance(to: self.environment.now)
        guard passed.count > 0 || passed.isBeat else { return }
        self.tick(passed.beforeBeat)
        if passed.isBeat { self.beat() }
        self.tick(passed.behindBeat)
        for group in self.groupOrder { self.maintainIfDue(group) }
        self.reclaimIfDue()
        self.handBackIfDue()
    }

    private func tick(_ count: Int) {
        for group in self.groupOrder {
            for _ in 0..<count { self.step(group, .tick) }
        }
    }

    private func beat() {
        self.isBeat = true
        self.judgeClock()
        for group in self.groupOrder {
            self.setCandidacy(of: group)
            self.step(group, .beat)
        }
    }

    /// Plans to wake up when the next thing is due, and leaves an earlier plan alone.
    func planWakeUp() {
        var due = self.ticks.nextBeat
        for group in self.groupOrder {
            guard let driver = self.groups[group] else { continue }
            due = min(due, self.ticks.tick + UInt64(driver.replica.ticksUntilDue))
        }
        if let wakeUp = self.wakeUp, wakeUp.tick > self.ticks.tick {
            guard due < wakeUp.tick else { return }
            wakeUp.task.cancel()
        }
        self.ticks.plan(due)
        let span = self.ticks.time(of: due) - self.environment.now
        let task = self.loop.spawn {
            do { try await self.loop.sleep(for: max(span, .zero)) } catch { return }
            self.post(.tick)
        }
        self.wakeUp = (due, task)
    }

    // MARK: Sending

    func queue(heartbeats outgoing: [Outgoing], of driver: GroupDriver) {
        guard !outgoing.isEmpty, !driver.isLogWrong else { return }
        let heldByAll = driver.heldByAllVoters
        if heldByAll > driver.heldByAll { driver.heldByAll = heldByAll }
        for outgoing in outgoing {
            let item = RaftEnvelope.Item(
                group: driver.group, message: outgoing.message, heldByAll: heldByAll)
            if outgoing.canWait {
                self.answersThatCanWait[outgoing.to, default: []].append(item)
            } else {
                self.heartbeats[outgoing.to, default: []].append(item)
            }
        }
    }

    func queue(_ outgoing: [Outgoing], in group: GroupID) {
        guard self.groups[group]?.isLogWrong != true else { return }
        for message in outgoing {
            self.messages[message.to, default: []].append(
                .init(group: group, message: message.message, heldByAll: .zero))
        }
    }

    /// Heartbeats first, so that they do not wait behind the data of this turn either.
    func sendAll() {
        self.sendHeartbeats()
        for node in self.messages.keys.sorted() {
            for run in RaftEnvelope.runs(of: self.messages[node] ?? []) {
                let envelope = RaftEnvelope(items: run, space: self.disk.space)
                self.peers.send(
                    node, kind: RaftEnvelope.messagesKind, envelope.encoded, lane: .control)
            }
        }
        self.messages.removeAll(keepingCapacity: true)
    }

    /// At a beat to every other voter, whether a group has something to say to it or not: their
    /// clocks and their states are compared by it.
    private func sendHeartbeats() {
        let receivers = self.isBeat ? self.fellowMembers : []
        let claims = self.isBeat ? self.claims : []
        for node in Set(self.heartbeats.keys).union(receivers).sorted() {
            let items =
                (self.heartbeats[node] ?? [])
                + (self.answersThatCanWait.removeValue(forKey: node) ?? [])
            let runs = RaftEnvelope.runs(of: items)
            for (place, run) in (runs.isEmpty ? [[]] : runs).enumerated() {
                let envelope = RaftEnvelope(
                    items: run, space: self.disk.space, clock: self.clockStamp(for: node),
                    claims: self.isBeat && place == 0 ? claims : [])
                self.counters.heartbeatEnvelopes.add()
                self.peers.sendUrgent(
                    node, kind: RaftEnvelope.heartbeatsKind, envelope.encoded)
            }
        }
        self.heartbeats.removeAll(keepingCapacity: true)
        self.isBeat = false
    }

    /// Who else has a replica of some group of this node.
    private var fellowMembers: Set<NodeID> {
        var members: Set<NodeID> = []
        for group in self.groupOrder {
            guard let driver = self.groups[group] else { continue }
            members.formUnion(driver.replica.members.members)
        }
        members.remove(self.node)
        return members
    }
}
