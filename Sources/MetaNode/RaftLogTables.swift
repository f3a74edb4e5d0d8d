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
/// | `hard` | group (big-endian)                    | version 1, term, vote, commit, synced floor, truncated anchor, state generation, removed, CRC-32C |
/// | `node` | -                                     | reserved; nothing is written here       |
///
/// The *synced floor* is the last index of the synced batch before this one: a log that ends below
/// it has lost a write that its disk had confirmed, and is *damaged* ("Protocol-Aware Recovery for
/// Consensus-Based Storage", FAST 2018).
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
        package var syncedFloor: LogIndex
        package var truncated: LogAnchor
        /// The last entry; what the next floor will be.
        package var last: LogIndex
        /// Which of the directories `state/<group>-<generation>/` holds the group's state. It grows
        /// when a snapshot is installed, in the same write that makes the log begin behind it.
        package var stateGeneration: UInt64
        /// The group's replica has left this node, and its log and state are gone. Term and vote
        /// stay for ever: should the replica come back, it must not vote twice.
        package var isRemoved: Bool

        package static let initial = Standing(
            hardState: .initial, syncedFloor: .zero, truncated: .zero, last: .zero,
            stateGeneration: 0, isRemoved: false)
    }

    package enum Fault: Error, Equatable {
        case store(StoreFault)
        /// The log is not what its disk had confirmed; what shows it.
        case damaged(group: GroupID, String)
    }

    // MARK: Writing

    /// Adds a replica's write to a batch that will be synced.
    package static func add(
        _ write: LogWrite, of group: GroupID, _ standing: inout Standing, to batch: inout WriteBatch
    ) {
        let oldLast = standing.last
        if let first = write.entries.first, let last = write.entries.last {
            for entry in write.entries {
                var writer = ByteWriter(capacity: entry.payload.count + 32)
                writer.write(UInt8(1))
                entry.encode(into: &writer)
                batch.put(Self.log, Self.key(group, entry.index), writer.bytes)
            }
            // A conflicting suffix that was longer than what replaces it must not show again.
            var stale = last.index.next
            while stale <= oldLast {
                batch.delete(Self.log, Self.key(group, stale))
                stale = stale.next
            }
            standing.syncedFloor = min(oldLast, LogIndex(first.index.rawValue - 1))
            standing.last = last.index
        } else {
            standing.syncedFloor = oldLast
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

    static func put(
        _ standing: Standing, of group: GroupID, to batch: inout WriteBatch
    ) {
        var writer = ByteWriter(capacity: 80)
        writer.write(UInt8(1))
        writer.write(standing.hardState.term.rawValue)
        writer.writeOptional(standing.hardState.vote) { $0.write($1.rawValue) }
        writer.write(standing.hardState.commit.rawValue)
        writer.write(standing.syncedFloor.rawValue)
        writer.write(standing.truncated.term.rawValue)
        writer.write(standing.truncated.index.rawValue)
        writer.write(standing.truncated.chain)
        writer.write(standing.stateGeneration)
        writer.write(standing.isRemoved)
        writer.write(CRC32C.of(writer.bytes))
        batch.put(Self.hard, Self.key(group), writer.bytes)
    }

    // MARK: Reading

    /// Reads and proves a group's log: contiguous, each entry's chain its own, the end at or above
    /// the synced floor, term and commit index those of this log. Blocking.
    ///
    /// - Parameter applied: what the state machine holds durably; entries at or below it are proven
    ///   and not returned.
    package func restore(
        _ group: GroupID, applied: LogIndex
    ) throws(Fault) -> (Standing, RestoredLog) {
        guard var standing = try self.standing(of: group, in: self.store) else {
            guard applied == .zero else {
                throw .damaged(
                    group: group, "the state holds index \(applied) but the log knows no term")
            }
            // Entries and term are written together: one without the other is a row that is lost.
            let cursor = self.store.scan(Self.log, KeyRange(prefix: Self.key(group)))
            if let entry = try self.next(cursor, group) {
                throw .damaged(
                    group: group, "the log has entry \(entry.position) but knows no term")
            }
            return (.initial, .empty)
        }
        guard applied >= standing.truncated.index else {
            throw .damaged(
                group: group,
                "the log begins behind \(standing.truncated) but the state ends at \(applied)")
        }
        var before = standing.truncated
        var entries: [Entry] = []
        let cursor = self.store.scan(Self.log, KeyRange(prefix: Self.key(group)))
        var previous = standing.truncated
        while let entry = try self.next(cursor, group) {
            if entry.index <= previous.index { continue }
            guard entry.follows(previous) else {
                throw .damaged(group: group, "entry \(entry.position) does not follow \(previous)")
            }
            previous = entry.anchor
            if entry.index <= applied { before = entry.anchor } else { entries.append(entry) }
        }
        standing.last = previous.index
        try Self.check(standing, endingAt: previous.position, applied: applied, group)
        let log = RestoredLog(truncated: standing.truncated, before: before, entries: entries)
        return (standing, log)
    }

    /// What a log that is read whole must come to.
    private static func check(
        _ standing: Standing, endingAt last: LogPosition, applied: LogIndex, _ group: GroupID
    ) throws(Fault) {
        let hardState = standing.hardState
        guard last.index >= max(standing.syncedFloor, applied, hardState.commit) else {
            throw .damaged(
                group: group,
                "the log ends at \(last), below what its disk had confirmed (floor "
                    + "\(standing.syncedFloor), applied \(applied), commit \(hardState.commit))")
        }
        guard last.term <= hardState.term else {
            throw .damaged(
                group: group, "the log ends at \(last), beyond its own term \(hardState.term)")
        }
    }

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

    private func next(
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
        let floor = LogIndex(try reader.read())
        let truncated = LogAnchor(
            position: LogPosition(
                term: Term(try reader.read()), index: LogIndex(try reader.read())),
            chain: try reader.read())
        let generation: UInt64 = try reader.read()
        let isRemoved = try reader.readBool(field: "removed")
        let computed = CRC32C.of(value[..<reader.offset])
        let recorded: UInt32 = try reader.read()
        guard recorded == computed else {
            throw .checksumMismatch(recorded: recorded, computed: computed)
        }
        try reader.finish()
        return Standing(
            hardState: HardState(term: term, vote: vote, commit: commit), syncedFloor: floor,
            truncated: truncated, last: truncated.index, stateGeneration: generation,
            isRemoved: isRemoved)
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
