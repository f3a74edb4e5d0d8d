import Catalog
import ClusterClient
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
        /// The configuration at the applied index.
        let members: Configuration
        /// What was found of the replica.
        let finding: ReplicaFinding
        /// The log's store cannot give back all that it holds.
        let isStoreCorrupt: Bool
        let logSizes: LogSizes
        /// See `AppliedPosition.digest`.
        let digest: UInt64
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
        let row = try MetaFault.of { () throws(RaftLogTables.Fault) in
            try tables.standing(of: group)
        }
        let generation = row?.stateGeneration ?? 0
        // A replica that was removed comes back with nothing: what lies in its place is left of a
        // state that was never installed.
        if row?.isRemoved == true {
            try FoundState.clear(group, generation, settings, files)
        }
        let found = try FoundState(group, generation, settings, stores, files)
        let restored: RaftLogTables.Restored
        do throws(StoreFault) {
            restored = try tables.restore(
                group, applied: found.applied, stateFault: found.fault)
        } catch { throw .store("group \(group): \(error)") }
        guard restored.finding.verdict != .dead else {
            throw .damaged("group \(group): \(restored.finding)")
        }
        if restored.standing.stateGeneration != generation {
            // Before a row names it: a snapshot that was not installed may have left a state there.
            try FoundState.clear(group, restored.standing.stateGeneration, settings, files)
        }
        do throws(StoreFault) {
            if !restored.repairs.isEmpty { try tables.store.write(restored.repairs, .synced) }
        } catch { throw .store("group \(group): \(error)") }
        var standing = restored.standing
        // A replica that was removed and comes back says so with its first write.
        standing.isRemoved = false
        let (state, applied) = try found.going(
            on: group, standing.stateGeneration, settings, stores, files)
        let members = try MetaFault.of { () throws(RaftLogTables.Fault) in
            try state.configuration() ?? settings.firstConfiguration
        }
        let digest = try MetaFault.of { () throws(RaftLogTables.Fault) in
            try state.durablePosition()?.digest ?? 0
        }
        self.init(
            state: state, standing: standing, log: restored.log, applied: applied,
            members: members, finding: restored.finding, isStoreCorrupt: restored.isStoreCorrupt,
            logSizes: restored.logSizes, digest: digest)
    }
}

/// A state as its directory gives it back.
private struct FoundState {
    /// Nil when the store does not open.
    let state: GroupState?
    /// What a crash now would leave applied; zero when that cannot be read.
    let applied: LogIndex
    /// Why it cannot be read, if so.
    let fault: String?

    init(
        _ group: GroupID, _ generation: UInt64, _ settings: MetaSettings,
        _ stores: any StoreFactory, _ files: any FileSystem
    ) throws(MetaFault) {
        let state: GroupState
        do throws(MetaFault) {
            state = try GroupState(opening: group, generation, settings, stores, files)
        } catch {
            switch error {
            case .damaged(let reason):
                (self.state, self.applied, self.fault) = (nil, .zero, reason)
                return
            case .store: throw error
            }
        }
        do throws(RaftLogTables.Fault) {
            let applied = try state.durablyApplied()
            (self.state, self.applied, self.fault) = (state, applied, nil)
        } catch {
            switch error {
            case .damaged(_, let reason), .store(.corrupt(let reason)):
                (self.state, self.applied, self.fault) = (state, .zero, reason)
            case .store(let fault): throw .store("group \(group): \(fault)")
            }
        }
    }

    /// The state that the group goes on with, and how far it is: this one, or an empty one of a
    /// later generation. One that cannot be read is kept aside for whoever wants to look at it.
    func going(
        on group: GroupID, _ generation: UInt64, _ settings: MetaSettings,
        _ stores: any StoreFactory, _ files: any FileSystem
    ) throws(MetaFault) -> (GroupState, LogIndex) {
        if let state = self.state, state.generation == generation { return (state, self.applied) }
        self.state?.store.close()
        if self.fault != nil { try Self.setAside(group, before: generation, settings, files) }
        return (try GroupState(opening: group, generation, settings, stores, files), .zero)
    }

    static func clear(
        _ group: GroupID, _ generation: UInt64, _ settings: MetaSettings, _ files: any FileSystem
    ) throws(MetaFault) {
        let path = "\(settings.directory)/\(GroupState.directory(of: group, generation))"
        do throws(FileFault) {
            guard try files.status(path) != nil else { return }
            try files.removeTree(path)
            try files.syncDirectory(settings.directory + "/state")
        } catch { throw .store("\(error)") }
    }

    private static func setAside(
        _ group: GroupID, before generation: UInt64, _ settings: MetaSettings,
        _ files: any FileSystem
    ) throws(MetaFault) {
        let name = GroupState.name(of: group, generation - 1)
        let aside = settings.directory + "/damaged"
        do throws(FileFault) {
            try files.makeDirectoryDurably(aside)
            try files.removeTree("\(aside)/\(name)")
            try files.rename("\(settings.directory)/state/\(name)", to: "\(aside)/\(name)")
            try files.syncDirectory(aside)
            try files.syncDirectory(settings.directory + "/state")
        } catch { throw .store("\(error)") }
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
        self.init(
            group: group, generation: generation, store: store,
            invalidationsKept: settings.log.invalidationsKept)
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
        let directory = RaftLogDirectory(settings.directory, stores, files)
        let tables = try directory.open()
        // What is read from here on is counted on as durable, and acknowledged as such. A process
        // that died between a write and its sync has left it in the system's memory, and one whose
        // sync failed may have left there what the disk will never have: pages are clean by then
        // (Rebello et al., ATC '20). RocksDB writes what it finds in its log into tables, which it
        // syncs as new files, and a flush makes sure of the rest.
        do throws(StoreFault) { try tables.store.flush() } catch { throw .store("raft: \(error)") }
        let standings = try MetaFault.of { () throws(RaftLogTables.Fault) in
            try tables.standings()
        }
        // Replicas that came while the node ran have rows, and those that left have them still. A
        // node that voted from the beginning has replicas without rows; to one that joined, group
        // 0's table says where it is wanted.
        let first = settings.firstConfiguration == .unknown ? [] : settings.groups
        let groups = try Set(first).union(standings.keys)
            .filter { standings[$0]?.isRemoved != true }.sorted()
            .map { group throws(MetaFault) in
                try Group(group, tables, settings, stores, files)
            }
        if groups.contains(where: \.isStoreCorrupt) {
            (self.tables, self.groups) = try directory.moveWhatIsGood(
                of: groups, standings, from: tables)
        } else {
            (self.tables, self.groups) = (tables, groups)
        }
        try Self.removeRemains(besides: self.groups.map(\.state), settings, files)
    }

    /// Removes what an exchange of states left that came to its end or to nothing: states that no row
    /// names, copies held ready for others, and what was being fetched for an older state than the
    /// one that is there. What is fetched for the next state stays, to be gone on with.
    private static func removeRemains(
        besides states: [GroupState], _ settings: MetaSettings, _ files: any FileSystem
    ) throws(MetaFault) {
        let named = Set(states.map { GroupState.name(of: $0.group, $0.generation) })
        let coming = Set(states.map { GroupState.name(of: $0.group, $0.generation + 1) })
        do throws(FileFault) {
            try files.removeTree("\(settings.directory)/\(MetaNode.outgoingDirectory)")
            for (name, kept) in [("state", named), (MetaNode.incomingDirectory, coming)] {
                let directory = "\(settings.directory)/\(name)"
                guard try files.status(directory) != nil else { continue }
                for name in try files.list(directory) where !kept.contains(name) {
                    try files.removeTree("\(directory)/\(name)")
                }
            }
        } catch { throw .store("\(error)") }
    }

    static func open(
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
    /// - Parameters:
    ///   - cluster: how the process reaches other groups.
    ///   - layout: the latest that the process knows; nil before there is one.
    ///   - groupTable: the same of group 0's table of groups.
    package static func open(
        _ settings: MetaSettings, in environment: any Environment, loop: any EventLoop,
        stores: any StoreFactory, peers: any Peers, secrets: MetaSecrets,
        end: @escaping ProcessEnd, cluster: ClusterClient,
        layout: @escaping @Sendable () -> Layout?,
        groupTable: @escaping @Sendable () -> GroupTable? = { nil }, clock: ClockView,
        registry: MetricsRegistry, logger: Logger
    ) async throws(MetaFault) -> MetaNode {
        let opened = try await environment.blocking(.metadata) {
            () throws(MetaFault) -> OpenedMeta in
            try OpenedMeta(settings, stores: stores, environment.files)
        }
        let node = MetaNode(
            opened, settings, environment, loop, stores, peers, secrets, end, layout, groupTable,
            clock,
            cluster, registry,
            logger)
        node.report(opened.groups)
        await node.countRecovering()
        return node
    }
}

extension GroupState {
    /// The configuration at the applied index; nil while it is the first one. Blocking.
    func configuration() throws(RaftLogTables.Fault) -> Configuration? {
        let row: [UInt8]?
        do throws(StoreFault) { row = try CatalogView(self.store).configuration() } catch {
            throw .store(error)
        }
        guard let row else { return nil }
        do throws(FormatFault) { return try Configuration(decoding: row) } catch {
            throw .damaged(group: self.group, "the configuration cannot be read: \(error)")
        }
    }

    /// The applied index that a crash now would leave. Blocking.
    func durablyApplied() throws(RaftLogTables.Fault) -> LogIndex {
        try self.durablePosition()?.index ?? .zero
    }

    /// The applied position that a crash now would leave. Blocking.
    func durablePosition() throws(RaftLogTables.Fault) -> AppliedPosition? {
        let row: [UInt8]?
        do throws(StoreFault) {
            row = try self.store.getDurable(CatalogFamilies.rows, CatalogKeys.applied)
        } catch { throw .store(error) }
        guard let row else { return nil }
        do throws(FormatFault) { return try AppliedPosition(decoding: row) } catch {
            throw .damaged(group: self.group, "the applied position cannot be read: \(error)")
        }
    }

    /// Makes the state durable, and says through which entry the log may end: what the state holds
    /// durably and, within the bounds, nobody else needs. Blocking.
    ///
    /// - Parameter applied: what the replica was told is applied. The state may be ahead of it, by
    ///   entries that the pool has just applied, and the replica gives up none that it still counts.
    func makeDurable(
        applied: LogIndex, _ bounds: TruncationBounds, _ tables: RaftLogTables
    ) -> Result<(LogIndex, LogAnchor?), RaftLogTables.Fault> {
        do throws(RaftLogTables.Fault) {
            do throws(StoreFault) { try self.store.flush() } catch { throw .store(error) }
            let durable = try self.durablyApplied()
            let last = bounds.lastNeedless(durable: min(durable, applied))
            guard last > .zero else { return .success((durable, nil)) }
            return .success((durable, try tables.anchor(of: last, in: self.group)))
        } catch {
            return .failure(error)
        }
    }
}
