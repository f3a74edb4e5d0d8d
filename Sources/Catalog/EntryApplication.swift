internal import OrderedStorage
internal import Primitives
internal import Wire

/// One entry on its way through the catalog: what its commands changed so far, and what they read
/// more than once.
struct EntryApplication {
    let group: GroupID
    let position: AppliedPosition
    let view: CatalogView
    /// The place of the current command in the entry.
    private(set) var ordinal = 0
    private(set) var invalidations: [Invalidation] = []
    private var sessionHits = 0
    /// The sessions this entry met, whose rows are written once, at its end.
    var sessions: [SessionID: SessionState] = [:]
    private var ownerships: [Slot: SlotOwnership] = [:]
    /// The buckets this entry met, as its commands so far have left them.
    private var buckets: [BucketName: Bucket] = [:]
    private let overlay: OverlayReader

    init(group: GroupID, position: AppliedPosition, over reader: any OrderedReader) {
        self.group = group
        self.position = position
        self.overlay = OverlayReader(over: reader)
        self.view = CatalogView(self.overlay)
    }

    var now: Timestamp { self.position.time }

    mutating func perform(
        _ command: CatalogCommand, ordinal: Int
    ) throws(StoreFault) -> CommandResult {
        self.ordinal = ordinal
        guard command.operation.scope.contains(self.group) else { return .wrongGroup }
        guard let identity = command.identity else {
            return command.operation.mayRepeat ? try self.carryOut(command.operation) : .malformed
        }
        // Before ownership of the slot is asked: a repeat is answered with what the command came to
        // here, even if the slot has moved away since.
        switch try self.recall(identity) {
        case .answered(let result):
            self.sessionHits += 1
            return result
        case .refused(let refusal): return refusal
        case .new: break
        }
        let result = try self.carryOut(command.operation)
        self.remember(result, of: identity)
        return result
    }

    private mutating func carryOut(
        _ operation: CatalogOperation
    ) throws(StoreFault) -> CommandResult {
        var versionBase: UInt64 = 0
        if let slot = operation.slot {
            switch try self.ownership(of: slot) {
            case .owned(_, let base): versionBase = base
            case .released(let epoch, _): return .slotNotOwned(epoch)
            case nil: return .slotNotOwned(Epoch(0))
            }
        }
        switch operation {
        case .unreadable: return .malformed
        case .openSession(let session): return try self.openSession(session)
        case .setWrappingKey(let set): return try self.set(set)
        case .rewrapSecrets(let secrets): return try self.rewrap(secrets)
        case .retireMasterKey(let key): return try self.retire(key)
        case .adoptSlots(let adopt): return try self.adopt(adopt)
        case .releaseSlots(let release): return try self.release(release)
        case .retainSlots(let retain): return try self.retain(retain)
        case .clearImport(let clear): return try self.clear(clear)
        case .importRows(let rows): return try self.take(rows)
        case .dropRows(let drop): return try self.drop(drop)
        case .createBucket(let create): return try self.create(create, versionBase: versionBase)
        case .deleteBucket(let name): return try self.deleteBucket(name)
        case .putObject(let put): return try self.put(put, versionBase: versionBase)
        case .deleteObject(let delete): return try self.delete(delete)
        case .copyObject(let copy): return try self.copy(copy, versionBase: versionBase)
        case .openUpload(let open): return try self.open(open, versionBase: versionBase)
        case .putPart(let put): return try self.put(put)
        case .completeUpload(let complete):
            return try self.complete(complete, versionBase: versionBase)
        case .abortUpload(let abort): return try self.abort(abort)
        case .sweepManifest(let doomed): return try self.sweep(doomed)
        case .revokeLink(let revoke): return try self.revoke(revoke, versionBase: versionBase)
        case .raiseLinkEpoch(let bucket):
            return try self.raiseLinkEpoch(of: bucket, versionBase: versionBase)
        case .createAccessKey(let key): return try self.create(key)
        case .deleteAccessKey(let id): return try self.deleteAccessKey(id)
        case .condemnChunks(let condemn): return try self.condemn(condemn)
        case .authoriseDeletions(let authorise): return try self.authorise(authorise)
        case .confirmDeletions(let confirm): return try self.confirm(confirm)
        case .forgetChunks(let chunks): return try self.forget(chunks)
        case .fileBadCopy(let filed): return try self.file(filed)
        case .correctReferences(let correct): return try self.correct(correct)
        case .bootstrap(let bootstrap): return try self.bootstrap(bootstrap)
        case .finishBootstrap: return try self.finishBootstrap()
        case .registerNode(let record): return try self.register(record)
        case .allocateIncarnation: return try self.allocateIncarnation()
        case .setLayout(let set): return try self.set(set)
        case .setGroupTable(let set): return try self.set(set)
        case .moveSlots(let move): return try self.move(move)
        case .advanceSlotMove(let advance): return try self.advance(advance)
        case .addLinkKey(let key): return try self.add(key)
        case .removeLinkKey(let id): return try self.removeLinkKey(id)
        }
    }

    /// Ends the entry: sessions in the order of their names, the applied position last.
    mutating func finish(results: [CommandResult]) -> Applied {
        self.writeSessions()
        let position = self.position.covering(self.overlay.pending)
        self.put(CatalogFamilies.rows, CatalogKeys.applied, position.row)
        return Applied(
            results: results, batch: self.overlay.pending, invalidations: self.invalidations,
            position: position, sessionHits: self.sessionHits)
    }

    /// The version of what the command makes: no other command of the slot makes the same.
    func version(above versionBase: UInt64) -> VersionID {
        VersionID(index: self.position.index, ordinal: self.ordinal, base: versionBase)
    }

    // What the operations write with.

    func put(_ family: Family, _ key: [UInt8], _ value: [UInt8]) {
        var batch = WriteBatch()
        batch.put(family, key, value)
        self.overlay.append(batch)
    }

    func delete(_ family: Family, _ key: [UInt8]) {
        var batch = WriteBatch()
        batch.delete(family, key)
        self.overlay.append(batch)
    }

    func delete(_ family: Family, in range: KeyRange) {
        var batch = WriteBatch()
        batch.delete(family, in: range)
        self.overlay.append(batch)
    }

    mutating func invalidate(_ invalidation: Invalidation) {
        self.invalidations.append(invalidation)
    }

    mutating func bucket(_ name: BucketName) throws(StoreFault) -> Bucket? {
        if let known = self.buckets[name] { return known }
        let bucket = try self.view.bucket(name)
        self.buckets[name] = bucket
        return bucket
    }

    mutating func setBucket(_ name: BucketName, _ bucket: Bucket?) {
        self.buckets[name] = bucket
        let key = CatalogKeys.bucket(name)
        if let bucket {
            self.put(CatalogFamilies.rows, key, bucket.row)
        } else {
            self.delete(CatalogFamilies.rows, key)
        }
    }

    /// To be called where rows of buckets change in another way than by `setBucket`.
    mutating func forgetCachedBuckets() { self.buckets = [:] }

    mutating func ownership(of slot: Slot) throws(StoreFault) -> SlotOwnership? {
        if let known = self.ownerships[slot] { return known }
        let ownership = try self.view.ownership(of: slot)
        self.ownerships[slot] = ownership
        return ownership
    }

    mutating func setOwnership(of slot: Slot, _ ownership: SlotOwnership) {
        self.ownerships[slot] = ownership
        self.put(CatalogFamilies.rows, CatalogKeys.slot(slot), ownership.row)
    }
}
