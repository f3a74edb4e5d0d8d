import Consensus
import Primitives

/// A disk that keeps what was synced, and loses the rest in a crash.
struct TestDisk {
    var hardState = HardState.initial
    var truncated = LogAnchor.zero
    var entries: [Entry] = []
    /// What the state machine has durably applied, and the configuration that it holds there.
    var applied = LogIndex.zero
    /// What it once had and lost, by index: the last chain there.
    var lost: [LogIndex: UInt64] = [:]
    var members: Configuration

    var last: LogAnchor { self.entries.last?.anchor ?? self.truncated }

    func anchor(at index: LogIndex) -> LogAnchor? {
        if index == self.truncated.index { return self.truncated }
        guard index > self.truncated.index, index <= self.last.index else { return nil }
        return self.entries[Int(index.rawValue - self.truncated.index.rawValue) - 1].anchor
    }

    mutating func perform(_ write: LogWrite) {
        if let hardState = write.hardState { self.hardState = hardState }
        guard let first = write.entries.first else { return }
        let kept = Int(first.index.rawValue - self.truncated.index.rawValue) - 1
        self.entries.replaceSubrange(kept..., with: write.entries)
    }

    /// Another command stands in the entry's place, and everything behind it agrees with that: no
    /// check of this log alone can tell.
    mutating func tamper(with index: LogIndex) {
        var anchor = self.truncated
        self.entries = self.entries.map { entry in
            let entry = Entry(
                after: anchor, term: entry.term, kind: entry.kind,
                payload: entry.index == index ? Array("other".utf8) : entry.payload)
            anchor = entry.anchor
            return entry
        }
    }

    /// The state machine flushes what it has applied.
    mutating func flush(through index: LogIndex) {
        for entry in self.entries where entry.index > self.applied && entry.index <= index {
            if let configuration = entry.configuration { self.members = configuration }
        }
        self.applied = max(self.applied, index)
    }

    mutating func truncate(through index: LogIndex) {
        guard let anchor = self.anchor(at: index) else { return }
        self.truncated = anchor
        self.entries.removeAll { $0.index <= index }
    }

    /// Loses the entries from `first` on, which must not be applied yet. What is left is what a
    /// restart finds: the good prefix, and where the log had ended.
    mutating func loseEntries(from first: LogIndex, isRemembered: Bool = true) {
        guard first > self.applied, first <= self.last.index else { return }
        let end = max(self.hardState.remembered ?? .zero, self.last.position)
        for entry in self.entries where entry.index >= first {
            self.lost[entry.index] = entry.chain
        }
        self.entries.removeAll { $0.index >= first }
        self.hardState = HardState(
            term: self.hardState.term, vote: self.hardState.vote,
            commit: min(self.hardState.commit, self.last.index),
            remembered: isRemembered ? end : nil)
    }

    /// Whether it holds, or held before its damage, the entry that `chain` ends with.
    func held(_ index: LogIndex, _ chain: UInt64?) -> Bool {
        self.truncated.index >= index || self.anchor(at: index)?.chain == chain
            || self.lost[index] == chain
    }

    func load(_ request: LoadRequest) -> LoadedEntries {
        guard request.from > self.truncated.index,
            let previous = self.anchor(at: LogIndex(request.from.rawValue - 1))
        else { return LoadedEntries(peer: request.peer, from: request.from, outcome: .truncated) }
        var entries: [Entry] = []
        var size = 0
        let start = Int(previous.index.rawValue - self.truncated.index.rawValue)
        for entry in self.entries[start...] where entry.index <= request.through {
            if !entries.isEmpty, size + entry.sizeBytes > request.limitBytes { break }
            entries.append(entry)
            size += entry.sizeBytes
        }
        return LoadedEntries(
            peer: request.peer, from: request.from,
            outcome: .entries(previous: previous, entries))
    }

    func restore(_ configuration: RaftConfiguration) -> RaftReplica {
        let before = self.anchor(at: self.applied) ?? self.truncated
        var configuration = configuration
        configuration.members = self.members
        return RaftReplica(
            configuration: configuration, hardState: self.hardState,
            log: RestoredLog(
                truncated: self.truncated, before: before,
                entries: self.entries.filter { $0.index > before.index }),
            applied: self.applied)
    }
}

/// A replica, its disk, and what is on the way to the disk.
struct TestNode {
    let configuration: RaftConfiguration
    var replica: RaftReplica
    var isUp = true
    var disk: TestDisk
    var writes: [LogWrite] = []
    var applying: [Entry] = []
    /// The states that this node was offered.
    var offered: [SnapshotOffer] = []

    init(_ configuration: RaftConfiguration) {
        self.configuration = configuration
        self.disk = TestDisk(members: configuration.members)
        self.replica = self.disk.restore(configuration)
    }

    var id: NodeID { self.configuration.node }

    mutating func crash() {
        self.isUp = false
        self.writes.removeAll()
        self.applying.removeAll()
    }

    mutating func restart() {
        self.isUp = true
        self.replica = self.disk.restore(self.configuration)
    }

    /// Takes over a state as of `anchor`, and the log's beginning behind it, in one write; false
    /// when the log has come as far meanwhile.
    mutating func install(_ anchor: LogAnchor, _ members: Configuration) -> Bool {
        guard let restart = self.replica.restart(installing: anchor) else { return false }
        self.disk.hardState = restart.hardState
        self.disk.truncated = restart.log.truncated
        self.disk.entries = []
        self.disk.applied = restart.applied
        self.disk.members = members
        self.replica = self.disk.restore(self.configuration)
        return true
    }

    /// The log as it will be on the disk once everything is written.
    var expectedDisk: TestDisk {
        self.writes.reduce(into: self.disk) { $0.perform($1) }
    }
}
