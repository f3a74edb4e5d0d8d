import Catalog
import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Placement
import Primitives
import Telemetry
import Wire

/// A meta node's stores, opened and proven. Made in the blocking pool.
struct OpenedMeta: Sendable {
    struct Group: Sendable {
        let state: GroupState
        let standing: RaftLogTables.Standing
        let log: RestoredLog
        let applied: LogIndex
    }

    let tables: RaftLogTables
    let groups: [Group]
    let disk: DiskSpaceRule
    let ballast: Ballast
}

extension OpenedMeta.Group {
    /// Opens the state that the group's row names, or an empty one, and proves the log. Blocking.
    init(
        _ group: GroupID, _ tables: RaftLogTables, _ settings: MetaSettings,
        _ stores: any StoreFactory, _ files: any FileSystem
    ) throws(MetaFault) {
        let generation = try MetaFault.of { () throws(RaftLogTables.Fault) in
            try tables.standing(of: group)?.stateGeneration ?? 0
        }
        let state = try GroupState(opening: group, generation, settings, stores, files)
        let (applied, restored) = try MetaFault.of { () throws(RaftLogTables.Fault) in
            let applied = try state.durablyApplied()
            return (applied, try tables.restore(group, applied: applied))
        }
        var standing = restored.0
        // A replica that was removed and comes back says so with its first write.
        standing.isRemoved = false
        self.init(state: state, standing: standing, log: restored.1, applied: applied)
    }
}

extension GroupState {
    /// Opens, or makes, the state of this generation. Blocking.
    init(
        opening group: GroupID, _ generation: UInt64, _ settings: MetaSettings,
        _ stores: any StoreFactory, _ files: any FileSystem
    ) throws(MetaFault) {
        let store = try OpenedMeta.open(
            "\(settings.directory)/\(Self.directory(of: group, generation))", Self.options,
            stores, files)
        self.init(group: group, generation: generation, store: store)
    }

    static let options = StoreOptions(
        families: CatalogFamilies.all, isLogged: false, cacheBytes: MetaSettings.cacheBytes)
}

/// Why the meta role cannot start.
package enum MetaFault: Error, Equatable, Sendable {
    /// The log or the state is not what the disk had confirmed.
    case damaged(String)
    case store(String)

    fileprivate static func of<Value>(
        _ body: () throws(RaftLogTables.Fault) -> Value
    ) throws(MetaFault) -> Value {
        do throws(RaftLogTables.Fault) { return try body() } catch {
            switch error {
            case .store(let fault): throw .store("\(fault)")
            case .damaged(let group, let reason): throw .damaged("group \(group): \(reason)")
            }
        }
    }
}

extension OpenedMeta {
    /// Opens `raft/` and `state/<group>-<generation>/`, and proves every log. Blocking.
    init(
        _ settings: MetaSettings, stores: any StoreFactory, _ files: any FileSystem
    ) throws(MetaFault) {
        self.ballast = Ballast(
            files: files, directory: settings.directory, bytes: settings.disk.ballastBytes)
        do throws(FileFault) {
            try files.makeDirectoryDurably(settings.directory)
            // First: what opens needs room.
            self.disk = try DiskSpaceRule(settings.disk, self.ballast)
        } catch { throw .store("\(error)") }
        let tables = RaftLogTables(
            store: try Self.open(
                settings.directory + "/raft", RaftLogTables.options, stores, files))
        self.tables = tables
        let standings = try MetaFault.of { () throws(RaftLogTables.Fault) in
            try tables.standings()
        }
        // Replicas that came while the node ran have rows, and those that left have them still.
        self.groups = try Set(settings.groups).union(standings.keys)
            .filter { standings[$0]?.isRemoved != true }.sorted()
            .map { group throws(MetaFault) in
                try Group(group, tables, settings, stores, files)
            }
        try Self.removeUnnamedStates(besides: self.groups.map(\.state), settings, files)
    }

    /// Removes states that no row names: an exchange, or the end of a replica, came to its synced
    /// write and no further, or had not come there yet.
    private static func removeUnnamedStates(
        besides states: [GroupState], _ settings: MetaSettings, _ files: any FileSystem
    ) throws(MetaFault) {
        let directory = settings.directory + "/state"
        let named = Set(states.map { GroupState.name(of: $0.group, $0.generation) })
        do throws(FileFault) {
            guard try files.status(directory) != nil else { return }
            for name in try files.list(directory) where !named.contains(name) {
                try files.removeTree("\(directory)/\(name)")
            }
        } catch { throw .store("\(error)") }
    }

    fileprivate static func open(
        _ directory: String, _ options: StoreOptions, _ stores: any StoreFactory,
        _ files: any FileSystem
    ) throws(MetaFault) -> any OrderedStore {
        // A store whose directory a power cut takes away forgets what it had synced.
        do throws(FileFault) { try files.makeDirectoryDurably(directory) } catch {
            throw .store("\(error)")
        }
        do throws(StoreFault) { return try stores.open(directory, options) } catch {
            switch error {
            case .corrupt(let reason): throw .damaged("\(directory): \(reason)")
            case .device(let reason), .full(let reason), .misuse(let reason):
                throw .store("\(directory): \(reason)")
            }
        }
    }
}

extension MetaNode {
    /// Opens the meta role in its directory. Blocking work runs in the pool.
    ///
    /// - Parameter layout: the latest that the process knows; nil before there is one.
    package static func open(
        _ settings: MetaSettings, in environment: any Environment, loop: any EventLoop,
        stores: any StoreFactory, peers: any Peers, secrets: MetaSecrets,
        end: @escaping ProcessEnd, layout: @escaping @Sendable () -> Layout?,
        registry: MetricsRegistry, logger: Logger
    ) async throws(MetaFault) -> MetaNode {
        let opened = try await environment.blocking(.metadata) {
            () throws(MetaFault) -> OpenedMeta in
            try OpenedMeta(settings, stores: stores, environment.files)
        }
        return MetaNode(
            opened, settings, environment, loop, stores, peers, secrets, end, layout, registry,
            logger)
    }
}

extension GroupState {
    /// The applied index that a crash now would leave. Blocking.
    func durablyApplied() throws(RaftLogTables.Fault) -> LogIndex {
        let row: [UInt8]?
        do throws(StoreFault) {
            row = try self.store.getDurable(CatalogFamilies.rows, CatalogKeys.applied)
        } catch { throw .store(error) }
        guard let row else { return .zero }
        do throws(FormatFault) { return try AppliedPosition(decoding: row).index } catch {
            throw .damaged(group: self.group, "the applied position cannot be read: \(error)")
        }
    }

    /// Makes the state durable, and says through which entry the log may end: what the state holds
    /// durably and every voter holds in its log, but for the entries that are kept for followers
    /// that are a little behind. Blocking.
    ///
    /// - Parameter applied: what the replica was told is applied. The state may be ahead of it, by
    ///   entries that the pool has just applied, and the replica gives up none that it still counts.
    func makeDurable(
        applied: LogIndex, heldByAll: LogIndex, keeping keep: UInt64, _ tables: RaftLogTables
    ) -> Result<(LogIndex, LogAnchor?), RaftLogTables.Fault> {
        do throws(RaftLogTables.Fault) {
            do throws(StoreFault) { try self.store.flush() } catch { throw .store(error) }
            let durable = try self.durablyApplied()
            let needless = min(durable, applied, heldByAll).rawValue
            guard needless > keep else { return .success((durable, nil)) }
            let anchor = try tables.anchor(of: LogIndex(needless - keep), in: self.group)
            return .success((durable, anchor))
        } catch {
            return .failure(error)
        }
    }
}
