import Catalog
import ClusterClient
import IORuntime
import PeerTransport
import Primitives
import Telemetry
import Wire

/// How a cluster begins: `holdfast init` writes the first facts into every meta node's settings, and
/// each group's first leader puts its share into the log, as one entry: either all of it is there or
/// nothing. Repeating it does no harm.
extension MetaNode {
    /// How often a leader tries, and how long it pauses in between; a new leader begins again.
    private static let bootstrapAttempts = 20
    private static let bootstrapPause: Duration = .milliseconds(250)

    /// Proposes what a new group begins with, until it stands. Runs on whoever became leader.
    func bootstrapIfNew(_ group: GroupID) async {
        guard let bootstrap = self.settings.bootstrap else { return }
        for _ in 0..<Self.bootstrapAttempts {
            switch await self.isNew(group) {
            case false: return
            case true: await self.beginGroup(group, bootstrap)
            case nil: break
            }
            do { try await self.loop.sleep(for: Self.bootstrapPause) } catch { return }
        }
    }

    private func beginGroup(_ group: GroupID, _ bootstrap: Bootstrap) async {
        let commands = Self.firstOperations(of: group, bootstrap).map {
            CatalogCommand(operation: $0).encoded
        }
        let answer = await self.propose(ProposeRequest(group: group, commands: commands))
        switch answer {
        case .applied(_, let results):
            self.logger.info("group begun", ["group": "\(group)", "results": "\(results)"])
        case nil: break
        case .refused(let refusal):
            // Whoever leads now does it.
            self.logger.info(
                "group not begun here", ["group": "\(group)", "reason": "\(refusal)"])
        }
    }

    private static func firstOperations(
        of group: GroupID, _ bootstrap: Bootstrap
    ) -> [CatalogOperation] {
        // The first access key goes into its own group together with that group's slots, so group 0
        // need not remember it.
        guard group != .system else { return [.bootstrap(bootstrap), .finishBootstrap] }
        let key = bootstrap.firstAccessKey
        var operations: [CatalogOperation] = bootstrap.groupTable.slots
            .filter { $0.group == group }
            .map { .adoptSlots(AdoptSlots(slots: $0.slots, epoch: Epoch(1))) }
        if bootstrap.groupTable.group(owning: key.id.slot) == group {
            operations.append(.createAccessKey(key))
        }
        return operations
    }

    /// Whether the group has nothing yet, behind everything that was acknowledged. A group whose
    /// slots have moved away still knows of them. Nil: that cannot be told now.
    private func isNew(_ group: GroupID) async -> Bool? {
        let query: CatalogQuery = group == .system ? .cluster : .applied
        let request = QueryRequest(group: group, freshness: .linearizable, query: query)
        switch await self.query(request) {
        case .success(.answer(.absent, _)): return true
        case .success(.answer(.applied(let position), _)): return position.isBeforeCommands
        // Whoever leads now does it.
        case .success(.refused(.notLeader)), .success(.answer): return false
        case .success(.refused), .failure: return nil
        }
    }
}

extension AppliedPosition {
    /// Only entries without commands are applied so far: they carry no time.
    fileprivate var isBeforeCommands: Bool { self.time == Self.start.time }
}
