import Catalog
import ClusterClient
import Cryptography
import OrderedStorage
import Primitives
import Telemetry

/// What a meta node knows of master keys, for whoever runs it. From its own replicas, so it may lag;
/// what it says to be retired is so for ever.
package struct MasterKeyReport: Equatable, Sendable {
    /// In this process, oldest first.
    package var held: [MasterKeyID]
    /// Group 0's state.
    package var system: MasterKeys
    /// For each group of this node, how many secrets are still wrapped by older keys.
    package var waiting: [Waiting]

    package struct Waiting: Equatable, Sendable {
        package let group: GroupID
        package let secrets: UInt64
        package init(group: GroupID, secrets: UInt64) {
            self.group = group
            self.secrets = secrets
        }
    }

    package init(held: [MasterKeyID], system: MasterKeys, waiting: [Waiting]) {
        self.held = held
        self.system = system
        self.waiting = waiting
    }
}

extension MetaNode {
    /// What this process holds.
    package nonisolated var masterKeys: MasterKeyRing { self.secrets.masterKeys }

    package nonisolated func masterKeyReport() async -> MasterKeyReport {
        var waiting: [MasterKeyReport.Waiting] = []
        for group in self.states.groups {
            let keys = await self.knownMasterKeys(of: group)
            waiting.append(.init(group: group, secrets: keys.secretsUnderOlderKeys))
        }
        return MasterKeyReport(
            held: self.secrets.masterKeys.ids, system: await self.knownMasterKeys(of: .system),
            waiting: waiting)
    }

    /// What this node's replica shows; nothing where it cannot be read.
    nonisolated func knownMasterKeys(of group: GroupID) async -> MasterKeys {
        let request = QueryRequest(group: group, freshness: .local, query: .masterKeys)
        guard case .success(.answer(.masterKeys(let keys), _)) = await self.query(request) else {
            return MasterKeys()
        }
        return keys
    }

    /// Works with other keys from now on. A key that group 0 has not retired stays until the process
    /// ends, even if the file has lost it: without it, secrets could not be read.
    package nonisolated func hold(_ ring: MasterKeyRing) async {
        let retired = await self.knownMasterKeys(of: .system).retired
        let kept = self.secrets.masterKeys.keys.filter { key in
            ring[key.id] == nil && !retired.contains(key.id)
        }
        guard let whole = MasterKeyRing(kept + ring.keys) else {
            return self.logger.error(
                "too many master keys: drop those that are retired",
                ["limit": "\(MasterKeyRing.mostKeys)"])
        }
        if self.secrets.isNews(kept.map(\.id), of: .goneFromFile) {
            self.logger.error(
                "master keys that may still be needed have gone from the file: put them back",
                ["keys": Self.list(kept.map(\.id))])
        }
        guard whole.ids != self.secrets.masterKeys.ids else { return }
        self.secrets.replace(whole)
        self.logger.info(
            "master keys", ["held": Self.list(whole.ids)])
    }

    /// A node that lacks a key cannot answer for secrets under it, nor lead their groups well.
    nonisolated func warnOfMissingKeys(_ system: MasterKeys) {
        let ring = self.secrets.masterKeys
        let needed = system.former + (system.wrapping.map { [$0] } ?? [])
        let missing = needed.filter { ring[$0] == nil }
        guard self.secrets.isNews(missing, of: .missing) else { return }
        self.logger.error(
            "master keys are missing here: copy master.keys from another meta node",
            ["keys": Self.list(missing)])
    }

    private static func list(_ ids: [MasterKeyID]) -> String {
        ids.map { "\($0)" }.joined(separator: ",")
    }
}
