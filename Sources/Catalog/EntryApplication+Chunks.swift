internal import OrderedStorage
internal import Placement
internal import Primitives
internal import Wire

/// The references that manifests hold on chunks, and the queues in which chunks without any wait.
extension EntryApplication {
    /// Why a command may not name these chunks: one of them is condemned, or gone already, or has no
    /// row although it was to be shared, or was sealed so long ago that a row may have been
    /// forgotten. To be asked before anything is written: a command that is refused changes nothing.
    func refusal(
        of content: ObjectContent, in slot: Slot
    ) throws(StoreFault) -> CommandResult? {
        guard case .chunks(let chunks) = content.manifest else { return nil }
        let mayBeNew = self.isRecent(content.oldestSealed)
        var shared = content.deduplication.shared[...]
        for (place, chunk) in chunks.enumerated() {
            let isShared = shared.first.map { Int($0) == place } ?? false
            if isShared { shared.removeFirst() }
            guard let row = try self.view.chunk(chunk.name, in: slot) else {
                if isShared || !mayBeNew { return .chunkCondemned(chunk.name) }
                continue
            }
            switch row.life {
            case .referenced, .unreferenced:
                // Another chunk of the same name would open to other bytes.
                if isShared, row.sealedLength != chunk.sealedLength {
                    return .chunkCondemned(chunk.name)
                }
            case .condemned, .authorised, .deleted: return .chunkCondemned(chunk.name)
            }
        }
        return nil
    }

    /// Whether what was sealed then cannot have been deleted and forgotten since. (Not by how long
    /// ago it was: the difference of two times from outside can overflow.)
    private func isRecent(_ sealed: Timestamp?) -> Bool {
        guard let sealed else { return false }
        return sealed > self.now + (.zero - CatalogLimits.newChunkLifetime)
    }

    /// Adds a reference to each chunk, and makes those findable that have a fingerprint.
    mutating func retainChunks(of content: ObjectContent, in slot: Slot) throws(StoreFault) {
        guard case .chunks(let chunks) = content.manifest else { return }
        var entries = content.deduplication.entries[...]
        for (place, chunk) in chunks.enumerated() {
            var fingerprint: ChunkFingerprint?
            if let entry = entries.first, Int(entry.position) == place {
                fingerprint = entry.fingerprint
                entries.removeFirst()
            }
            try self.retain(chunk, in: slot, placedBy: content.placedBy, fingerprint)
        }
    }

    /// Adds a reference; the row comes with the first one.
    private mutating func retain(
        _ chunk: ChunkReference, in slot: Slot, placedBy layout: LayoutVersion,
        _ fingerprint: ChunkFingerprint?
    ) throws(StoreFault) {
        let key = ChunkKey(slot: slot, name: chunk.name)
        guard var row = try self.view.chunk(chunk.name, in: slot) else {
            var row = ChunkRow(
                life: .referenced(1), sealedLength: chunk.sealedLength, placedBy: layout,
                exceptions: chunk.exceptions)
            self.enter(fingerprint, of: chunk, in: slot, &row)
            return self.set(key, to: row)
        }
        switch row.life {
        case .referenced(let count): row.life = .referenced(count + 1)
        case .unreferenced(let since):
            self.dequeue(key, from: .unreferenced, since.time)
            row.life = .referenced(1)
        case .condemned, .authorised, .deleted:
            brokenInvariant("a command that names condemned chunk \(key) is refused before")
        }
        self.enter(fingerprint, of: chunk, in: slot, &row)
        self.set(key, to: row)
    }

    private func enter(
        _ fingerprint: ChunkFingerprint?, of chunk: ChunkReference, in slot: Slot,
        _ row: inout ChunkRow
    ) {
        guard let fingerprint, row.fingerprint == nil else { return }
        row.fingerprint = fingerprint
        self.put(CatalogFamilies.rows, CatalogKeys.fingerprint(fingerprint, in: slot), chunk.row)
    }

    /// Makes a chunk unfindable by its content, as condemning it has to.
    func forgetFingerprint(of key: ChunkKey, _ row: inout ChunkRow) throws(StoreFault) {
        guard let fingerprint = row.fingerprint else { return }
        row.fingerprint = nil
        let place = CatalogKeys.fingerprint(fingerprint, in: key.slot)
        // Another chunk with the same bytes may have taken its place.
        let found = try self.view.row(CatalogFamilies.rows, place, as: ChunkReference.self)
        if found?.name == key.name { self.delete(CatalogFamilies.rows, place) }
    }

    /// Takes a reference away; a chunk that loses its last one waits to be condemned.
    ///
    /// Nothing happens where no reference is left to take: a count that was wrong must not stop all
    /// voters of a group at the same entry, at each replay again. The reference audit is what finds
    /// such counts, and corrects them.
    mutating func release(_ chunk: ChunkReference, in slot: Slot) throws(StoreFault) {
        let key = ChunkKey(slot: slot, name: chunk.name)
        guard var row = try self.view.chunk(chunk.name, in: slot), row.references > 0 else {
            return
        }
        self.setReferences(of: key, to: row.references - 1, &row)
        self.set(key, to: row)
    }

    /// Gives a row that manifests name, or may name again, a new count.
    func setReferences(of key: ChunkKey, to count: UInt64, _ row: inout ChunkRow) {
        if count > 0 {
            row.life = .referenced(count)
        } else {
            row.life = .unreferenced(.init(index: self.position.index, time: self.now))
            self.enqueue(key, in: .unreferenced, self.now)
        }
    }

    func set(_ key: ChunkKey, to row: ChunkRow) {
        self.put(CatalogFamilies.rows, CatalogKeys.chunk(key.name, in: key.slot), row.row)
    }

    func enqueue(_ key: ChunkKey, in queue: ChunkQueue, _ time: Timestamp) {
        self.put(CatalogFamilies.rows, CatalogKeys.queued(key, in: queue, time), [])
    }

    func dequeue(_ key: ChunkKey, from queue: ChunkQueue, _ time: Timestamp) {
        self.delete(CatalogFamilies.rows, CatalogKeys.queued(key, in: queue, time))
    }
}

/// The queues of a group, each in the order of log time. Raw values are for ever.
package enum ChunkQueue: UInt8, CaseIterable, Sendable {
    /// Chunks without a reference, since the last one went.
    case unreferenced = 1
    /// Condemned chunks, by when their last reference went.
    case condemned = 2
    /// Chunks that no store holds any more, since the last store confirmed it.
    case deleted = 3
}
