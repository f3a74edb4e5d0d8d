import Consensus
import MetaNode
import OrderedStorage
import Primitives
import Testing

/// A group's log in a store of memory, written as a node writes it.
struct FormatLog {
    static let group = GroupID(3)

    let store = MemoryStore(families: RaftLogTables.options.families, isLogged: true)
    private(set) var standing = RaftLogTables.Standing.initial
    private(set) var last = LogAnchor.zero

    var tables: RaftLogTables { RaftLogTables(store: self.store) }

    /// Entries of one term, one batch for each `write`.
    static func entries(
        _ count: Int, after previous: LogAnchor, term: UInt64, payload: [UInt8] = [7, 8, 9]
    ) -> [Entry] {
        var previous = previous
        return (0..<count).map { _ in
            let entry = Entry(
                after: previous, term: Term(term), kind: .command, payload: payload)
            previous = entry.anchor
            return entry
        }
    }

    mutating func write(_ entries: [Entry], _ hardState: HardState? = nil) throws {
        var batch = WriteBatch()
        let write = LogWrite(
            entries: entries, hardState: hardState, messages: [], token: WriteToken(number: 1))
        RaftLogTables.add(write, of: Self.group, &self.standing, to: &batch)
        try self.store.write(batch, .synced)
        self.last = entries.last?.anchor ?? self.last
    }

    mutating func truncate(through anchor: LogAnchor) throws {
        var batch = WriteBatch()
        RaftLogTables.addTruncation(
            through: anchor, of: Self.group, &self.standing, to: &batch)
        try self.store.write(batch, .synced)
    }

    mutating func reset(_ reset: RaftLogTables.Reset) throws {
        var batch = WriteBatch()
        RaftLogTables.addReset(reset, of: Self.group, &self.standing, to: &batch)
        try self.store.write(batch, .synced)
    }

    /// `count` entries of term 1, the last of them in a batch of its own.
    static func holding(_ count: Int, commit: UInt64 = 0) throws -> (FormatLog, [Entry]) {
        var log = FormatLog()
        let entries = Self.entries(count, after: .zero, term: 1)
        let hardState = HardState(term: Term(1), vote: NodeID(1), commit: LogIndex(commit))
        try log.write(Array(entries.dropLast()), hardState)
        try log.write(Array(entries.suffix(1)), hardState)
        return (log, entries)
    }

    func change(_ fill: (inout WriteBatch) -> Void) throws {
        var batch = WriteBatch()
        fill(&batch)
        try self.store.write(batch, .synced)
    }

    func row(_ index: UInt64) throws -> [UInt8] {
        try #require(
            try self.store.get(RaftLogTables.log, RaftLogTables.key(Self.group, LogIndex(index))))
    }

    var hardRow: [UInt8] {
        get throws {
            try #require(try self.store.get(RaftLogTables.hard, RaftLogTables.key(Self.group)))
        }
    }

    func restored(applied: UInt64 = 0, stateFault: String? = nil) throws -> RaftLogTables.Restored {
        try self.tables.restore(Self.group, applied: LogIndex(applied), stateFault: stateFault)
    }

    func restore(applied: UInt64 = 0) throws -> (RaftLogTables.Standing, RestoredLog) {
        let restored = try self.restored(applied: applied)
        return (restored.standing, restored.log)
    }

    func drop(_ indexes: UInt64...) throws {
        try self.change { batch in
            for index in indexes {
                batch.delete(RaftLogTables.log, RaftLogTables.key(Self.group, LogIndex(index)))
            }
        }
    }

    /// What was found, where the log is not what was written.
    func damage(applied: UInt64 = 0) throws -> ReplicaFinding? {
        let finding = try self.restored(applied: applied).finding
        return finding.isOrdinary ? nil : finding
    }

    func load(
        _ from: UInt64, through: UInt64, limitBytes: Int = 1 << 20
    ) throws -> LoadedEntries {
        let request = LoadRequest(
            peer: NodeID(2), from: LogIndex(from), through: LogIndex(through),
            limitBytes: limitBytes)
        return try self.tables.load(request, of: Self.group)
    }
}
