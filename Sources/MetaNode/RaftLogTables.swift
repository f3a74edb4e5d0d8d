import Consensus
import IORuntime
import OrderedStorage
import PeerTransport
import Primitives
import Telemetry
import Wire

/// The logs of all groups of a node, as rows of one store (`raft/`), so that one synced batch
/// serves every group.
///
/// | family | key                                   | value                                   |
/// |--------|---------------------------------------|-----------------------------------------|
/// | `log`  | group, index (both big-endian)        | version 1, entry                        |
/// | `hard` | group (big-endian)                    | version 1, term, vote, commit, remembered end, truncated anchor, last anchor, state generation, removed, state refused, CRC-32C |
/// | `node` | -                                     | reserved; nothing is written here       |
///
/// A group's row is in every write that changes its log, and names the log's last entry: a log that
/// ends elsewhere has lost what its disk had confirmed, or the row has. `ReplicaFinding` says what
/// becomes of the replica then.
package struct RaftLogTables: Sendable {
    package static let log = Family(index: 0, name: "log")
    package static let hard = Family(index: 1, name: "hard")
    package static let node = Family(index: 2, name: "node")
    package static let options = StoreOptions(
        families: [log, hard, node], isLogged: true, cacheBytes: 8 << 20)

    package let store: any OrderedStore

    package init(store: any OrderedStore) { self.store = store }

    /// What a group's rows say besides its entries.
    package struct Standing: Equatable, Sendable {
        package var hardState: HardState
        package var truncated: LogAnchor
        /// The last entry; the truncated one when there is none behind it.
        package var last: LogAnchor
        /// Which of the directories `state/<group>-<generation>/` holds the group's state. It grows
        /// when a snapshot is installed, in the same write that makes the log begin behind it.
        package var stateGeneration: UInt64
        /// The group's replica has left this node, and its log and state are gone. Term and vote
        /// stay for ever: should the replica come back, it must not vote twice.
        package var isRemoved: Bool
        /// The state is not to be believed: it is neither read nor applied to, and another one is
        /// fetched.
        package var isStateRefused = false

        package static let initial = Standing(
            hardState: .initial, truncated: .zero, last: .zero, stateGeneration: 0,
            isRemoved: false)
    }

    package enum Fault: Error, Equatable {
        case store(StoreFault)
        /// A row is not what was written; what shows it.
        case damaged(group: GroupID, String)
    }

    // MARK: Writing

    /// Adds a replica's write to a batch that will be synced.
    package static func add(
        _ write: LogWrite, of group: GroupID, _ standing: inout Standing, to batch: inout WriteBatch
    ) {
        if let last = write.entries.last {
            for entry in write.entries {
                Self.put(entry, of: group, to: &batch)
            }
            // A conflicting suffix that was longer than what replaces it must not show again.
            var stale = last.index.next
            while stale <= standing.last.index {
                batch.delete(Self.log, Self.key(group, stale))
                stale = stale.next
            }
            standing.last = last.anchor
        }
        if let hardState = write.hardState { standing.hardState = hardState }
        Self.put(standing, of: group, to: &batch)
    }

    /// Adds the end of all entries through `anchor` to a batch.
    package static func addTruncation(
        through anchor: LogAnchor, of group: GroupID, _ standing: inout Standing,
        to batch: inout WriteBatch
    ) {
        guard anchor.index > standing.truncated.index else { return }
        let range = KeyRange(
            start: Self.key(group, standing.truncated.index.next),
            end: Self.key(group, anchor.index.next))
        batch.delete(Self.log, in: range)
        standing.truncated = anchor
        Self.put(standing, of: group, to: &batch)
    }

    static func put(_ entry: Entry, of group: GroupID, to batch: inout WriteBatch) {
        var writer = ByteWriter(capacity: entry.payload.count + 32)
        writer.write(UInt8(1))
        entry.encode(into: &writer)
        batch.put(Self.log, Self.key(group, entry.index), writer.bytes)
    }

    package static func put(
        _ standing: Standing, of group: GroupID, to batch: inout WriteBatch
    ) {
        var writer = ByteWriter(capacity: 80)
        writer.write(UInt8(1))
        writer.write(standing.hardState.term.rawValue)
        writer.writeOptional(standing.hardState.vote) { $0.write($1.rawValue) }
        writer.write(standing.hardState.commit.rawValue)
        writer.writeOptional(standing.hardState.remembered) { $0.write($1) }
        writer.write(standing.truncated)
        writer.write(standing.last)
        writer.write(standing.stateGeneration)
        writer.write(standing.isRemoved)
        writer.write(standing.isStateRefused)
        writer.write(CRC32C.of(writer.bytes))
        batch.put(Self.hard, Self.key(group), writer.bytes)
    }

    // MARK: Reading

    /// Answers a request of the replica from one view of the store. Blocking.
    ///
    /// - Throws: `.damaged` when entries are missing that were never truncated, or cannot be read.
    package func load(
        _ request: LoadRequest, of group: GroupID
    ) throws(Fault) -> LoadedEntries {
        invariant(request.from <= request.through, "a load asks for one entry at least")
        func answer(_ outcome: LoadedEntries.Outcome) -> LoadedEntries {
            LoadedEntries(peer: request.peer, from: request.from, outcome: outcome)
        }
        let view = self.store.snapshot()
        let truncated = try self.standing(of: group, in: view)?.truncated ?? .zero
        guard request.from > truncated.index else { return answer(.truncated) }
        let anchorIndex = LogIndex(request.from.rawValue - 1)
        let start = anchorIndex > truncated.index ? anchorIndex : request.from
        let cursor = view.scan(
            Self.log,
            KeyRange(
                start: Self.key(group, start), end: Self.key(group, request.through.next)))
        var previous = truncated
        var entries: [Entry] = []
        var sizeBytes = 0
        while let entry = try self.next(cursor, group) {
            if entry.index < request.from {
                previous = entry.anchor
                continue
            }
            entries.append(entry)
            sizeBytes += entry.sizeBytes
            if sizeBytes >= request.limitBytes { break }
        }
        guard entries.first?.index == request.from, previous.index == anchorIndex else {
            throw .damaged(
                group: group, "entries behind \(anchorIndex) are gone; none were truncated there")
        }
        return answer(.entries(previous: previous, entries))
    }

    /// The anchor of a stored entry. Blocking.
    package func anchor(of index: LogIndex, in group: GroupID) throws(Fault) -> LogAnchor? {
        let value: [UInt8]?
        do throws(StoreFault) {
            value = try self.store.get(Self.log, Self.key(group, index))
        } catch { throw .store(error) }
        guard let value else { return nil }
        do throws(FormatFault) { return try Self.entry(at: index, from: value).anchor } catch {
            throw .damaged(group: group, "entry \(index) cannot be read: \(error)")
        }
    }

    func next(
        _ cursor: any OrderedCursor, _ group: GroupID
    ) throws(Fault) -> Entry? {
        let pair: KeyValue?
        do throws(StoreFault) { pair = try cursor.next() } catch { throw .store(error) }
        guard let pair else { return nil }
        do throws(FormatFault) {
            var key = ByteReader(pair.key)
            _ = try key.readRaw(4)
            let index = LogIndex(try key.readBigEndian())
            try key.finish()
            return try Self.entry(at: index, from: pair.value)
        } catch {
            throw .damaged(group: group, "an entry cannot be read: \(error)")
        }
    }

    private static func entry(
        at index: LogIndex, from value: [UInt8]
    ) throws(FormatFault) -> Entry {
        var reader = ByteReader(value)
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        let entry = try Entry(at: index, from: &reader)
        try reader.finish()
        return entry
    }

    /// What the group's row says; nil when it has none. Blocking.
    package func standing(of group: GroupID) throws(Fault) -> Standing? {
        try self.standing(of: group, in: self.store)
    }

    private func standing(
        of group: GroupID, in reader: any OrderedReader
    ) throws(Fault) -> Standing? {
        let value: [UInt8]?
        do throws(StoreFault) { value = try reader.get(Self.hard, Self.key(group)) } catch {
            throw .store(error)
        }
        guard let value else { return nil }
        do throws(FormatFault) { return try Self.standing(from: value) } catch {
            throw .damaged(group: group, "term and vote cannot be read: \(error)")
        }
    }

    static func standing(from value: [UInt8]) throws(FormatFault) -> Standing {
        var reader = ByteReader(value)
        let version: UInt8 = try reader.read()
        guard version == 1 else { throw .unknownVersion(Int(version)) }
        let term = Term(try reader.read())
        let vote = try reader.readOptional { reader throws(FormatFault) in
            NodeID(try reader.read())
        }
        let commit = LogIndex(try reader.read())
        let remembered = try reader.readOptional { reader throws(FormatFault) in
            try reader.readLogPosition()
        }
        let truncated = try reader.readLogAnchor()
        let last = try reader.readLogAnchor()
        let generation: UInt64 = try reader.read()
        let isRemoved = try reader.readBool(field: "removed")
        let isStateRefused = try reader.readBool(field: "state refused")
        let computed = CRC32C.of(value[..<reader.offset])
        let recorded: UInt32 = try reader.read()
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        try reader.finish()
        return Standing(
            hardState: HardState(term: term, vote: vote, commit: commit, remembered: remembered),
            truncated: truncated, last: last, stateGeneration: generation, isRemoved: isRemoved,
            isStateRefused: isStateRefused)
    }

    package static func key(_ group: GroupID) -> [UInt8] {
        var writer = ByteWriter(capacity: 4)
        writer.writeBigEndian(group.rawValue)
        return writer.bytes
    }

    package static func key(_ group: GroupID, _ index: LogIndex) -> [UInt8] {
        var writer = ByteWriter(capacity: 12)
        writer.writeBigEndian(group.rawValue)
        writer.writeBigEndian(index.rawValue)
        return writer.bytes
    }
}

extension ByteWriter {
    fileprivate mutating func write(_ position: LogPosition) {
        self.write(position.term.rawValue)
        self.write(position.index.rawValue)
    }

    fileprivate mutating func write(_ anchor: LogAnchor) {
        self.write(anchor.position)
        self.write(anchor.chain)
    }
}

extension ByteReader {
    fileprivate mutating func readLogPosition() throws(FormatFault) -> LogPosition {
        LogPosition(term: Term(try self.read()), index: LogIndex(try self.read()))
    }

    fileprivate mutating func readLogAnchor() throws(FormatFault) -> LogAnchor {
        LogAnchor(position: try self.readLogPosition(), chain: try self.read())
    }
}
