import Consensus
import IORuntime
import OrderedStorage
import Primitives

/// Where the logs' store rests, and how it is exchanged when it can no longer be trusted.
///
/// A store with a bad block gives back what stands elsewhere, but it fails for good as soon as it
/// moves that block to another file. So what is good is written into a store beside it, which then
/// takes its name: `raft.new` is whole and synced before `raft` goes to `damaged/`, so of the two
/// names a crash leaves either `raft`, and the exchange begins again, or `raft.new` alone, and it is
/// finished.
struct RaftLogDirectory {
    private let directory: String
    private let stores: any StoreFactory
    private let files: any FileSystem

    init(_ directory: String, _ stores: any StoreFactory, _ files: any FileSystem) {
        self.directory = directory
        self.stores = stores
        self.files = files
    }

    private var path: String { self.directory + "/raft" }
    private var newPath: String { self.directory + "/raft.new" }

    /// Opens the store, and proves nothing of what it holds. Blocking.
    func open() throws(MetaFault) -> RaftLogTables {
        do throws(FileFault) {
            if try self.files.status(self.newPath) != nil {
                if try self.files.status(self.path) == nil {
                    try self.takeName()
                } else {
                    try self.files.removeTree(self.newPath)
                }
            }
        } catch { throw .store("\(error)") }
        return RaftLogTables(
            store: try OpenedMeta.open(self.path, RaftLogTables.options, self.stores, self.files))
    }

    /// Writes what is good of all groups into a store of its own, and puts it in place of the one
    /// that has bad blocks. Blocking.
    func moveWhatIsGood(
        of groups: [OpenedMeta.Group], _ standings: [GroupID: RaftLogTables.Standing],
        from tables: RaftLogTables
    ) throws(MetaFault) -> (RaftLogTables, [OpenedMeta.Group]) {
        do throws(FileFault) { try self.files.removeTree(self.newPath) } catch {
            throw .store("\(error)")
        }
        let new = RaftLogTables(
            store: try OpenedMeta.open(
                self.newPath, RaftLogTables.options, self.stores, self.files))
        var moved: [OpenedMeta.Group] = []
        do throws(StoreFault) {
            for group in groups { moved.append(try new.move(group)) }
            var batch = WriteBatch()
            for (group, standing) in standings.sorted(by: { $0.key < $1.key })
            where standing.isRemoved { RaftLogTables.put(standing, of: group, to: &batch) }
            if !batch.isEmpty { try new.store.write(batch, .synced) }
        } catch { throw .store("\(self.newPath): \(error)") }
        new.store.close()
        tables.store.close()
        do throws(FileFault) {
            let aside = self.directory + "/damaged"
            try self.files.makeDirectoryDurably(aside)
            try self.files.removeTree(aside + "/raft")
            try self.files.rename(self.path, to: aside + "/raft")
            try self.files.syncDirectory(aside)
            try self.takeName()
        } catch { throw .store("\(error)") }
        return (try self.open(), moved)
    }

    private func takeName() throws(FileFault) {
        try self.files.rename(self.newPath, to: self.path)
        try self.files.syncDirectory(self.directory)
    }
}

extension RaftLogTables {
    /// Bytes of one write while entries move.
    private static let movedBytes = 1 << 20

    /// Writes a group's row and its entries behind the last applied one, synced. Blocking.
    fileprivate func move(_ group: OpenedMeta.Group) throws(StoreFault) -> OpenedMeta.Group {
        let log = RestoredLog(
            truncated: group.log.before, before: group.log.before, entries: group.log.entries)
        var standing = group.standing
        standing.truncated = log.truncated
        var batch = WriteBatch()
        for entry in log.entries {
            Self.put(entry, of: group.state.group, to: &batch)
            guard batch.sizeBytes >= Self.movedBytes else { continue }
            try self.store.write(batch, .synced)
            batch = WriteBatch()
        }
        Self.put(standing, of: group.state.group, to: &batch)
        try self.store.write(batch, .synced)
        var logSizes = LogSizes()
        logSizes.append(log.entries)
        return OpenedMeta.Group(
            state: group.state, standing: standing, log: log, applied: group.applied,
            members: group.members, finding: group.finding, isStoreCorrupt: false,
            logSizes: logSizes, digest: group.digest)
    }
}
