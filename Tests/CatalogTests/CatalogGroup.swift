import Catalog
import OrderedStorage
import Placement
import Primitives
import Testing
import Wire

/// A group of one replica: applies entries and writes what they come to.
final class CatalogGroup {
    let catalog: Catalog
    let store = MemoryStore(families: CatalogFamilies.all)
    private(set) var index = LogIndex.zero
    private(set) var time = Timestamp(milliseconds: 1_000_000)
    private var nextSequence: [SessionID: UInt64] = [:]

    init(_ group: GroupID = GroupID(1)) { self.catalog = Catalog(group: group) }

    /// A data group with a session and a bucket.
    static func withBucket() throws -> CatalogGroup {
        let group = CatalogGroup()
        try group.own([photos.slot])
        try group.open(client)
        #expect(try group.send(.createBucket(create(photos))) == .bucketCreated)
        return group
    }

    /// Makes the group the owner of slots, in epoch 1.
    func own(_ slots: [Slot]) throws {
        try self.apply(
            slots.map {
                CatalogCommand(
                    operation: .adoptSlots(
                        AdoptSlots(slots: SlotRange(first: $0, last: $0), epoch: Epoch(1))))
            })
    }

    /// The version that the bucket has now.
    func version(of bucket: BucketName) throws -> VersionID {
        unwrap(try self.view.bucket(bucket)).version
    }

    var view: CatalogView { CatalogView(self.store) }

    func pass(_ time: Duration) { self.time = self.time + time }

    @discardableResult
    func apply(_ commands: [CatalogCommand]) throws -> Applied {
        let entry = CatalogEntry(timestamp: self.time, commands: commands)
        return try self.apply(payload: entry.encoded)
    }

    @discardableResult
    func apply(payload: [UInt8]) throws -> Applied {
        self.index = self.index.next
        let applied = try self.catalog.apply(
            payload: payload, at: self.index, term: Term(1), reading: self.store)
        try self.store.write(applied.batch, .unlogged)
        return applied
    }

    /// Applies one operation without an identity.
    @discardableResult
    func apply(operation: CatalogOperation) throws -> CommandResult? {
        try self.apply([CatalogCommand(operation: operation)]).results.first
    }

    /// Opens a session and counts its commands from where it begins.
    func open(_ session: SessionID) throws {
        guard case .sessionOpened(let first) = try self.apply(operation: .openSession(session))
        else {
            Issue.record("session \(session) was not opened")
            return
        }
        self.nextSequence[session] = first
    }

    /// The next command of a session, all earlier ones acknowledged.
    func command(_ operation: CatalogOperation, from session: SessionID = client) -> CatalogCommand
    {
        let sequence = self.nextSequence[session] ?? 0
        self.nextSequence[session] = sequence + 1
        return CatalogCommand(
            identity: CommandIdentity(
                session: session, sequence: sequence, firstUnacknowledged: sequence),
            operation: operation)
    }

    /// Applies one new command in an entry of its own.
    @discardableResult
    func send(
        _ operation: CatalogOperation, from session: SessionID = client
    ) throws -> CommandResult? {
        try self.apply([self.command(operation, from: session)]).results.first
    }
}

extension CatalogGroup {
    /// Releases all that is doomed, as whoever sweeps does.
    func sweep() throws {
        while let doomed = try self.view.doomedManifests(before: self.time + .seconds(1), limit: 1)
            .first
        {
            while try self.apply(operation: .sweepManifest(doomed)) != .manifestSwept(isDone: true)
            {}
        }
    }

    /// Goes over all that counts references.
    func audit<Count: ReferenceCounting>(_ count: Count) throws -> Count {
        var walk = ReferenceWalk()
        var count = count
        while !walk.isFinished { try walk.step(over: self.view, limit: 7, into: &count) }
        return count
    }

    /// Takes a condemned chunk to where nothing remembers it.
    func bury(_ counter: UInt64) throws {
        let (key, store) = (chunkKey(counter), NodeID(1))
        let authorised = AuthoriseDeletions(grace: .zero, chunks: [.init(key: key, homes: [store])])
        try self.apply(operation: .authoriseDeletions(authorised))
        try self.apply(operation: .confirmDeletions(ConfirmDeletions(node: store, chunks: [key])))
        self.pass(CatalogLimits.tombstoneLifetime)
        #expect(try self.apply(operation: .forgetChunks([key])) == .chunks([.done]))
        // The one before was silent for too long.
        try self.open(client)
    }

    /// All chunks of a manifest, as a reader finds them.
    func chunks(of id: ManifestID, in bucket: BucketName) throws -> [ChunkReference] {
        switch unwrap(try self.view.manifest(id, in: bucket)) {
        case .inline: return []
        case .chunks(let chunks): return chunks
        case .parts(let table):
            var chunks: [ChunkReference] = []
            let rows = try self.view.parts(of: id, in: bucket, from: .least, limit: 64)
            for part in rows where table.part(part.number) != nil {
                switch part.content {
                case .chunks(let own): chunks += own
                case .manifest(let inner): chunks += try self.chunks(of: inner, in: bucket)
                }
            }
            return chunks
        }
    }
}

// The names that tests speak of.

let client = SessionID(7)
let photos = bucketName("photos")
/// The version that `CatalogGroup.withBucket` gives it: slots and a session come first.
let photosVersion = VersionID(index: LogIndex(3), ordinal: 0)
/// The slots that `CatalogGroup.withBucket` owns.
let photosSlots = SlotRange(first: photos.slot, last: photos.slot)
let alice = owner("alice")
let bob = owner("bob")

func bucketName(_ text: String) -> BucketName { unwrap(BucketName(text)) }
func key(_ text: String) -> ObjectKey { unwrap(ObjectKey(text)) }
func owner(_ text: String) -> OwnerID { unwrap(OwnerID(text)) }
func tag(_ text: String) -> EntityTag { unwrap(EntityTag(text)) }
func accessKeyID(_ text: String) -> AccessKeyID { unwrap(AccessKeyID(text)) }

func unwrap<Value>(_ value: Value?) -> Value {
    guard let value else { brokenInvariant("a test's constant is not of its type") }
    return value
}

func create(_ name: BucketName, owner: OwnerID = alice) -> CreateBucket {
    CreateBucket(name: name, owner: owner, wrappedKey: [1, 2, 3])
}

func chunk(_ counter: UInt64, length: UInt32 = 100, exceptions: [NodeID] = []) -> ChunkReference {
    ChunkReference(
        name: ChunkName(incarnation: 9, counter: counter), plainLength: length,
        sealedLength: length + 16, exceptions: exceptions)
}

func chunkKey(_ counter: UInt64, in slot: Slot = photos.slot) -> ChunkKey {
    ChunkKey(slot: slot, name: chunk(counter).name)
}

/// A small object whose bytes stand in its manifest.
func put(
    _ text: String, in bucket: BucketName = photos, sealedFor version: VersionID = photosVersion,
    tag name: String = "tag-1", if precondition: ObjectPrecondition = .none
) -> CatalogOperation {
    .putObject(
        PutObject(
            bucket: bucket, key: key(text), size: 3, entityTag: tag(name),
            content: ObjectContent(
                .inline(name: ChunkName(incarnation: 9, counter: 1), sealed: [1, 2, 3]),
                placedBy: LayoutVersion(1), sealedFor: version),
            precondition: precondition))
}

/// A time that is long ago at no time of a test.
let lately = Timestamp(milliseconds: .max)

/// An object in chunks.
func put(
    _ text: String, chunks: [ChunkReference], oldestSealed: Timestamp? = lately,
    tag name: String = "tag-1"
) -> CatalogOperation {
    .putObject(
        PutObject(
            bucket: photos, key: key(text),
            size: chunks.reduce(0) { $0 + UInt64($1.plainLength) }, entityTag: tag(name),
            content: ObjectContent(
                .chunks(chunks), placedBy: LayoutVersion(1), sealedFor: photosVersion,
                oldestSealed: oldestSealed)))
}

/// An object that shares the manifest of a version of another.
func copy(
    _ source: String, _ version: VersionID, to text: String, attributes: ObjectAttributes? = nil,
    if precondition: ObjectPrecondition = .none
) -> CatalogOperation {
    .copyObject(
        CopyObject(
            bucket: photos, source: key(source), version: version, key: key(text),
            attributes: attributes, precondition: precondition))
}

func delete(
    _ text: String, in bucket: BucketName = photos, if precondition: ObjectPrecondition = .none
) -> CatalogOperation {
    .deleteObject(DeleteObject(bucket: bucket, key: key(text), precondition: precondition))
}
