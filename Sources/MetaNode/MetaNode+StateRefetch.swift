import Consensus
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// A state that is found to be wrong is fetched anew, while the log stays: what the replica has
/// acknowledged it goes on to hold and to vote for, so nothing is less safe than before. Until a
/// state has come from the leader the replica neither leads, nor answers, nor applies; its row says
/// so, and a restart changes nothing of it.
extension MetaNode {
    private static let stateAskingPause: Duration = .seconds(1)

    /// Gives up the group's state and has the leader's fetched in its place. Returns when the row
    /// says so and nobody is answered from the state any more; fine when that is so already.
    package func refetchState(of group: GroupID, because reason: String) async {
        guard self.groups[group]?.standing.isStateRefused == false,
            let driver = await self.halt(group)
        else { return }
        guard await self.changeRows(of: group, .refuseState) else { return }
        self.states.remove(group)
        driver.replica.loseState()
        driver.endProposals()
        self.resume(driver)
        self.logger.error(
            "the state is not believed any more; the leader's is fetched",
            ["group": "\(group)", "reason": reason])
        self.askForState(of: group)
    }

    func askForRefusedStates() {
        for group in self.groupOrder where self.groups[group]?.standing.isStateRefused == true {
            self.askForState(of: group)
        }
    }

    /// Asks the leader, again and again, until another state has taken the place of this one.
    func askForState(of group: GroupID) {
        self.loop.spawn {
            while await self.askOnce(for: group) {
                do { try await self.loop.sleep(for: Self.stateAskingPause) } catch { return }
            }
        }
    }

    /// Whether to ask again.
    private func askOnce(for group: GroupID) async -> Bool {
        guard !self.isStopped, let driver = self.groups[group], driver.standing.isStateRefused
        else { return false }
        guard self.snapshotUnderWay == nil, let leader = driver.replica.leader,
            leader != self.node
        else { return true }
        let request = SnapshotWantedRequest(
            group: group, notBefore: driver.standing.truncated.index)
        do throws(CallFault) {
            let response = try await self.peers.call(
                leader, PeerRequest(kind: SnapshotFormat.wantedKind, head: request.encoded),
                lane: .bulk, deadline: self.environment.now + SnapshotLimits.callTimeout)
            do throws(FormatFault) {
                let answer = try SnapshotWantedAnswer(decoding: response.head)
                guard let offer = answer.offer, let driver = self.groups[group] else { return true }
                self.takeOffer(OfferedSnapshot(offer: offer, from: leader), driver)
            } catch {
                self.logger.warning(
                    "an offer cannot be read", ["from": "\(leader)", "reason": "\(error)"])
            }
        } catch {
            self.logger.info(
                "the leader has no state to offer yet",
                ["group": "\(group)", "leader": "\(leader)", "reason": "\(error)"])
        }
        return true
    }

    /// A member of a group that this node leads has lost its state. Nil: ask somebody else.
    func stateWanted(
        _ wanted: SnapshotWantedRequest, by peer: NodeID
    ) -> SnapshotWantedAnswer? {
        guard !self.isStopped, let driver = self.groups[wanted.group],
            driver.replica.role == .leader, !driver.isFenced,
            driver.replica.status.peers.contains(where: { $0.node == peer })
        else { return nil }
        if let held = self.snapshotShelf[wanted.group],
            held.manifest.anchor.index
                >= max(wanted.notBefore, driver.standing.truncated.index)
        {
            self.snapshotShelf.offered(held.id, of: wanted.group, to: peer)
            self.counters.snapshots.offered.add()
            return SnapshotWantedAnswer(
                offer: SnapshotOffer(snapshot: held.id, anchor: held.manifest.anchor))
        }
        if self.disk.space == .ample, driver.applied >= wanted.notBefore,
            !driver.isMakingSnapshot
        {
            driver.wantsCheckpoint = true
            self.checkpointIfIdle(driver)
        }
        return SnapshotWantedAnswer(offer: nil)
    }
}
