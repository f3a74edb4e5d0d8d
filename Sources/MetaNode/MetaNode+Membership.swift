import Catalog
import ClusterClient
import Consensus
import IORuntime
import Primitives
import Telemetry
import Wire

/// Who votes follows group 0's table: its leader keeps the table by the nodes' records, each group's
/// leader leads its group towards the table, and each node has replicas of the groups that it is to
/// vote in.
extension MetaNode {
    /// How long a leader that asked another to take over waits before it asks again.
    private static let handOverPause: Duration = .seconds(5)

    // MARK: What is wished for

    /// Where a group's leader should be.
    nonisolated func preferredLeader(of group: GroupID) -> NodeID? {
        guard let table = self.groupTable() else { return self.settings.preferredLeaders[group] }
        return table.descriptor(of: group)?.preferredLeader
    }

    /// The nodes that vote somewhere, in order.
    nonisolated var metaNodes: [NodeID] {
        let voters = Set((self.groupTable()?.groups ?? []).flatMap(\.voters)).sorted()
        return voters.isEmpty ? self.settings.voters : voters
    }

    // MARK: Groups

    /// Leads a group that this node leads one step towards the voters it should have. True while
    /// there is something to do or to wait for.
    func changeMembersIfDue(_ driver: GroupDriver) -> Bool {
        self.noteMembers(of: driver)
        let status = driver.replica.status
        guard status.role == .leader,
            let wish = self.groupTable()?.descriptor(of: driver.group)?.voters
        else { return false }
        let now = self.environment.now
        guard driver.memberStepResumes.map({ $0 <= now }) ?? true else { return true }
        switch MembershipPlan.step(towards: wish, from: status) {
        case nil:
            return status.members.isJoint
        case .change(let voters, let learners):
            self.logger.info(
                "changing who takes part",
                [
                    "group": "\(driver.group)", "from": "\(status.members)",
                    "to": "\(Configuration(voters: voters, learners: learners))",
                ])
            self.counters.memberChanges.add()
            let ticket = self.makeTicket()
            self.step(
                driver.group,
                .changeConfiguration(voters: voters, learners: learners, ticket: ticket))
        case .handOver(let heir):
            self.logger.info(
                "handing over before leaving", ["group": "\(driver.group)", "to": "\(heir)"])
            driver.memberStepResumes = now + Self.handOverPause
            self.post(.transfer(driver.group, to: heir))
        }
        return true
    }

    private func noteMembers(of driver: GroupDriver) {
        let members = driver.replica.members
        guard members != driver.knownMembers else { return }
        if driver.knownMembers != nil {
            self.logger.info(
                "members changed", ["group": "\(driver.group)", "members": "\(members)"])
        }
        driver.knownMembers = members
        driver.strangerSince = nil
    }

    // MARK: Replicas

    /// Begins replicas that this node should have and lacks, and ends those that their group has done
    /// without for a while and can do without for ever.
    func tendReplicas() {
        guard let table = self.groupTable() else { return }
        let now = self.environment.now
        for descriptor in table.groups
        where descriptor.voters.contains(self.node) && self.groups[descriptor.id] == nil {
            self.loop.spawn { await self.beginReplica(of: descriptor.id) }
        }
        for group in self.groupOrder {
            guard let driver = self.groups[group], !driver.isHalted else { continue }
            let members = driver.replica.members
            let isWanted = table.descriptor(of: group)?.voters.contains(self.node) ?? true
            guard !isWanted, members != .unknown, !members.isJoint,
                !members.members.contains(self.node)
            else {
                driver.strangerSince = nil
                continue
            }
            let since = driver.strangerSince ?? now
            driver.strangerSince = since
            guard now - since >= self.settings.formerReplicaGrace, !driver.isLeaving else {
                continue
            }
            driver.isLeaving = true
            self.loop.spawn { await self.leaveIfCertain(group, of: members) }
        }
    }

    func beginReplica(of group: GroupID) async {
        do throws(MetaFault) { try await self.addGroup(group) } catch {
            self.logger.error(
                "a replica cannot begin", ["group": "\(group)", "reason": "\(error)"])
        }
    }

    // MARK: Group 0

    /// Keeps group 0's table by the nodes' records, where this node leads group 0.
    func planVotersIfLeading() {
        guard !self.isPlanningVoters, let driver = self.groups[.system],
            driver.replica.role == .leader
        else { return }
        self.isPlanningVoters = true
        self.loop.spawn {
            await self.planVoters()
            await self.votersPlanned()
        }
    }

    private func votersPlanned() { self.isPlanningVoters = false }

    /// What is read may be old: the table is set only in place of the one that it was made from.
    private nonisolated func planVoters() async {
        func ask(_ query: CatalogQuery) async -> CatalogAnswer? {
            let request = QueryRequest(group: .system, freshness: .local, query: query)
            guard case .success(.answer(let answer, _)) = await self.query(request) else {
                return nil
            }
            return answer
        }
        guard case .nodes(let nodes) = await ask(.nodes),
            case .groupTable(let table) = await ask(.groupTable),
            let next = VoterPlan.next(after: table, for: nodes)
        else { return }
        let set = SetGroupTable(expected: table.version, table: next)
        let answer = await self.propose(
            ProposeRequest(
                group: .system,
                commands: [CatalogCommand(operation: .setGroupTable(set)).encoded]))
        if case .applied(_, let results) = answer,
            case .groupTableSet(let version) = results.first
        {
            self.logger.info(
                "others are to vote",
                [
                    "table": "\(version)",
                    "voters": next.groups.map { "\($0.id): \($0.voters)" }
                        .joined(separator: ", "),
                ])
        }
    }
}
