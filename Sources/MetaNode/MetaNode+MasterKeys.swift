import Catalog
import ClusterClient
import Consensus
import Cryptography
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Telemetry
import Wire

/// How a new master key comes into force and an old one goes, step by step as `MasterKeys` states
/// them. Each step is taken by a leader, from what is logged; whoever leads next goes on.
extension MetaNode {
    /// Rows that are looked at for secrets under older keys, before others get their turn.
    private static let rowsPerLook = 256
    /// A rest between two such looks, so that a large group's secrets do not crowd its log.
    private static let restBetweenLooks: Duration = .milliseconds(20)
    private static let askTimeout: Duration = .seconds(2)

    /// Goes on with what is under way, every `MetaSettings.masterKeyPeriod`, until the node stops.
    nonisolated func followMasterKeys() async {
        while true {
            do { try await self.loop.sleep(for: self.settings.masterKeyPeriod) } catch { return }
            guard await self.isRunning else { return }
            await self.goOnWithMasterKeys()
        }
    }

    private nonisolated func goOnWithMasterKeys() async {
        let system = await self.knownMasterKeys(of: .system)
        self.warnOfMissingKeys(system)
        for group in self.settings.groups.sorted() where await self.leads(group) {
            // What this leader has applied will do to see whether there is anything to do at all: in
            // most clusters there never is, and looking must not cost the group a round.
            let own = await self.knownMasterKeys(of: group)
            if group == .system {
                await self.chooseNewestKey(own)
            } else if let choice = system.choice(for: own) {
                _ = await self.decide(.setWrappingKey(choice), in: group)
            }
            await self.rewrapSecrets(of: group)
        }
        if await self.leads(.system) { await self.retireKeys() }
    }

    // MARK: Group 0 chooses

    /// Brings the youngest key of this node's ring into force, once every meta node holds it.
    private nonisolated func chooseNewestKey(_ keys: MasterKeys) async {
        let newest = self.secrets.masterKeys.newest.id
        guard let wrapping = keys.wrapping, wrapping != newest else { return }
        guard !(keys.former + keys.retired).contains(newest) else {
            guard self.secrets.isNews([newest], of: .outdated) else { return }
            return self.logger.error(
                "the last key of the ring was replaced before: the file is an old one",
                ["held": "\(newest)", "in force": "\(wrapping)"])
        }
        var lacking: [NodeID] = []
        for node in self.metaNodes where await !self.holds(node, newest) {
            lacking.append(node)
        }
        guard lacking.isEmpty else {
            guard self.secrets.isNews([newest], of: .waitsForNodes) else { return }
            return self.logger.info(
                "a new master key waits until every meta node holds it",
                [
                    "key": "\(newest)",
                    "not yet": lacking.map { "\($0)" }.joined(separator: ","),
                ])
        }
        if case .wrappingKeySet = await self.decide(
            .setWrappingKey(keys.choosing(newest)), in: .system)
        {
            self.logger.info("a new master key is in force", ["key": "\(newest)"])
        }
    }

    private nonisolated func holds(_ node: NodeID, _ key: MasterKeyID) async -> Bool {
        if node == self.node { return self.secrets.masterKeys[key] != nil }
        let request = PeerRequest(kind: MetaCallKind.heldMasterKeys, head: [])
        do throws(CallFault) {
            let response = try await self.peers.call(
                node, request, lane: .control, deadline: self.environment.now + Self.askTimeout)
            do throws(FormatFault) {
                return try HeldMasterKeys(decoding: response.head).ids.contains(key)
            } catch { return false }
        } catch { return false }
    }

    // MARK: Secrets are wrapped anew

    /// Walks over a group's secrets and has those under older keys replaced.
    private nonisolated func rewrapSecrets(of group: GroupID) async {
        let keys = await self.knownMasterKeys(of: group)
        guard let wrapping = keys.wrapping, keys.secretsUnderOlderKeys > 0,
            let state = self.states[group],
            keys.generation == (await self.knownMasterKeys(of: .system)).generation
        else { return }
        var start: [UInt8]?
        repeat {
            let from = start
            let page: CatalogView.SecretPage
            do throws(StoreFault) {
                page = try await self.environment.blocking(.disk) {
                    () throws(StoreFault) -> CatalogView.SecretPage in
                    try CatalogView(state.store.snapshot()).secrets(
                        notUnder: wrapping, from: from, rows: Self.rowsPerLook)
                }
            } catch {
                return self.logger.error(
                    "secrets cannot be read", ["group": "\(group)", "reason": "\(error)"])
            }
            let rewrapped = page.secrets.compactMap { self.rewrapped($0, under: wrapping) }
            for first in stride(from: 0, to: rewrapped.count, by: CatalogLimits.secretsPerCommand) {
                let part = rewrapped[first...].prefix(CatalogLimits.secretsPerCommand)
                guard
                    case .secretsRewrapped(let count) = await self.decide(
                        .rewrapSecrets(Array(part)), in: group)
                else { return }
                self.counters.secretsRewrapped.add(UInt64(count))
            }
            start = page.next
            do { try await self.loop.sleep(for: Self.restBetweenLooks) } catch { return }
        } while start != nil
    }

    private nonisolated func rewrapped(
        _ secret: StoredSecret, under wrapping: MasterKeyID
    ) -> RewrappedSecret? {
        do throws(UnwrapFault) {
            return try self.secrets.rewrap(
                secret, under: wrapping, randomness: self.environment.randomBytes)
        } catch {
            self.logger.error(
                "a secret cannot be wrapped anew",
                ["secret": "\(secret.place)", "reason": "\(error)"])
            return nil
        }
    }

    // MARK: Old keys are retired

    /// Logs in group 0 which former keys nothing needs any more.
    private nonisolated func retireKeys() async {
        guard await !self.knownMasterKeys(of: .system).former.isEmpty,
            let system = await self.masterKeys(of: .system), !system.former.isEmpty
        else { return }
        // Before anything is counted: a secret that moves meanwhile could be met nowhere.
        guard let table = await self.latestTable(), table.moves.isEmpty else { return }
        var needed = Set(system.secrets.map(\.key))
        for group in self.settings.groups where group != .system {
            // A group that has not made the choice itself still takes secrets under older keys.
            guard let keys = await self.masterKeysAnywhere(of: group),
                keys.generation == system.generation
            else { return }
            needed.formUnion(keys.secrets.map(\.key))
        }
        for key in system.former where !needed.contains(key) {
            if case .masterKeyRetired = await self.decide(
                .retireMasterKey(RetireMasterKey(key: key, tableVersion: table.version)),
                in: .system)
            {
                self.logger.info("a master key is needed no more", ["key": "\(key)"])
            }
        }
    }

    /// What a group's leader says, whoever that is; nil when none answers.
    private nonisolated func masterKeysAnywhere(of group: GroupID) async -> MasterKeys? {
        if await self.leads(group) { return await self.masterKeys(of: group) }
        let head = QueryRequest(
            group: group, freshness: .linearizable, query: .masterKeys
        ).encoded
        for node in self.metaNodes where node != self.node {
            do throws(CallFault) {
                let response = try await self.peers.call(
                    node, PeerRequest(kind: MetaCallKind.query, head: head), lane: .control,
                    deadline: self.environment.now + Self.askTimeout)
                do throws(FormatFault) {
                    let answer = try QueryAnswer(decoding: response.fittedMessage)
                    if case .answer(.masterKeys(let keys), _) = answer { return keys }
                } catch { continue }
            } catch { continue }
        }
        return nil
    }

    // MARK: What is known

    private func leads(_ group: GroupID) -> Bool {
        self.groups[group]?.replica.status.role == .leader
    }

    /// Behind everything acknowledged; nil where this node does not lead the group.
    private nonisolated func masterKeys(of group: GroupID) async -> MasterKeys? {
        let request = QueryRequest(group: group, freshness: .linearizable, query: .masterKeys)
        guard case .success(.answer(.masterKeys(let keys), _)) = await self.query(request) else {
            return nil
        }
        return keys
    }

    /// As `masterKeys(of:)`, of the system group.
    private nonisolated func latestTable() async -> GroupTable? {
        let request = QueryRequest(group: .system, freshness: .linearizable, query: .groupTable)
        guard case .success(.answer(.groupTable(let table), _)) = await self.query(request) else {
            return nil
        }
        return table
    }

    private nonisolated func decide(
        _ operation: CatalogOperation, in group: GroupID
    ) async -> CommandResult? {
        let command = CatalogCommand(operation: operation).encoded
        guard
            case .applied(_, let results) = await self.propose(
                ProposeRequest(group: group, commands: [command]))
        else { return nil }
        return results.first
    }
}
