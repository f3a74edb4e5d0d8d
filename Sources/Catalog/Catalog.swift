package import OrderedStorage
package import Primitives
internal import Wire

/// The replicated state machine of a group: an entry of its log and a view of its state in, results
/// and changes out.
///
/// A pure function: every replica that applies the same entries to the same state makes the same
/// batches, byte for byte. Whatever the leader checked before it proposed was only courtesy; here
/// every condition is decided. A command that is refused changes nothing but its session, and never
/// its neighbours.
package struct Catalog: Sendable {
    package let group: GroupID

    package init(group: GroupID) { self.group = group }

    /// Applies the payload of an entry. An empty payload (a leader's first entry, a change of
    /// membership) and one whose head cannot be read move the applied position alone.
    ///
    /// - Parameter reader: the state as the entry before left it. Entries come in order, each once.
    package func apply(
        payload: [UInt8], at index: LogIndex, term: Term, reading reader: any OrderedReader
    ) throws(StoreFault) -> Applied {
        guard !payload.isEmpty else {
            return try self.applyEmpty(at: index, term: term, reading: reader)
        }
        let entry: CatalogEntry
        do throws(FormatFault) {
            entry = try CatalogEntry(decoding: payload)
        } catch {
            return try self.applyEmpty(at: index, term: term, reading: reader)
        }
        return try self.apply(entry, at: index, term: term, reading: reader)
    }

    /// The beginning of an entry's application.
    private func application(
        at index: LogIndex, term: Term, time: Timestamp, reading reader: any OrderedReader
    ) throws(StoreFault) -> EntryApplication {
        let before = try CatalogView(reader).applied() ?? .start
        invariant(index > before.index, "entry \(index) is applied after \(before.index)")

        // Never below the last: a leader whose clock is behind that of its predecessor does not turn
        // time back.
        let now = AppliedPosition(
            index: index, term: term, time: max(before.time, time), digest: before.digest)
        return EntryApplication(group: self.group, position: now, over: reader)
    }

    package func apply(
        _ entry: CatalogEntry, at index: LogIndex, term: Term, reading reader: any OrderedReader
    ) throws(StoreFault) -> Applied {
        var application = try self.application(
            at: index, term: term, time: entry.timestamp, reading: reader)
        var results: [CommandResult] = []
        results.reserveCapacity(entry.commands.count)
        for (ordinal, command) in entry.commands.enumerated() {
            results.append(try application.perform(command, ordinal: ordinal))
        }
        return application.finish(results: results)
    }

    /// Keeps a configuration of the group, whose bytes are Raft's to understand, so that it is in
    /// force exactly where the entry is applied, and in every snapshot from there on.
    package func applyConfiguration(
        _ configuration: [UInt8], at index: LogIndex, term: Term, reading reader: any OrderedReader
    ) throws(StoreFault) -> Applied {
        var application = try self.application(
            at: index, term: term, time: .init(milliseconds: 0), reading: reader)
        application.put(CatalogFamilies.rows, CatalogKeys.configuration, configuration)
        return application.finish(results: [])
    }

    /// Moves the applied position over an entry that holds no commands.
    package func applyEmpty(
        at index: LogIndex, term: Term, reading reader: any OrderedReader
    ) throws(StoreFault) -> Applied {
        try self.apply(
            CatalogEntry(timestamp: .init(milliseconds: 0), commands: []), at: index, term: term,
            reading: reader)
    }
}

/// What applying an entry comes to.
package struct Applied: Equatable, Sendable {
    /// One for each command, in their order.
    package let results: [CommandResult]
    /// To be written whole; the applied position is in it.
    package let batch: WriteBatch
    /// What caches may no longer answer from, in the order of the changes.
    package let invalidations: [Invalidation]
    package let position: AppliedPosition
    /// How many of the commands had been applied before, and were answered by their session.
    package let sessionHits: Int
}

/// What an entry changed that caches may have remembered.
package enum Invalidation: Equatable, Sendable {
    /// The current version of a key, or that there is none.
    case object(BucketName, ObjectKey)
    /// The bucket came or went.
    case bucket(BucketName)
    /// The group began or ceased to own slots: what it said of their names is another group's to
    /// say, or was, so nobody may go on saying it.
    case slots(SlotRange)
}
