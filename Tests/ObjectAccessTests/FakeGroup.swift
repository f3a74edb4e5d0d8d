import CachePolicy
import Catalog
import ClusterClient
import OrderedStorage
import Primitives

/// One data group of one replica, with the catalog that runs in production: what an edge proposes is
/// decided as it would be there.
final class FakeGroup {
    private let catalog = Catalog(group: GroupID(1))
    private let store = MemoryStore(families: CatalogFamilies.all)
    private(set) var index = LogIndex.zero
    private(set) var ring = InvalidationRing(at: .zero)
    let applied = IndexWaiters()
    private(set) var time = Timestamp(milliseconds: 1_000_000)

    private static let session = SessionID(1)
    private var nextSequence: UInt64 = 0

    init(buckets: [BucketName], owner: OwnerID) throws(StoreFault) {
        try self.apply(
            buckets.map {
                CatalogCommand(
                    operation: .adoptSlots(
                        AdoptSlots(slots: SlotRange(first: $0.slot, last: $0.slot), epoch: Epoch(1))
                    ))
            } + [CatalogCommand(operation: .openSession(Self.session))])
        guard case .session(let opened) = try self.answer(.session(Self.session)) else {
            throw StoreFault.corrupt("no session was opened")
        }
        self.nextSequence = opened.firstSequence
        for name in buckets {
            try self.send(.createBucket(CreateBucket(name: name, owner: owner, wrappedKey: [])))
        }
    }

    /// Has an operation decided as if somebody else had proposed it.
    @discardableResult
    func send(_ operation: CatalogOperation) throws(StoreFault) -> CommandResult? {
        let sequence = self.nextSequence
        self.nextSequence += 1
        let identity = CommandIdentity(
            session: Self.session, sequence: sequence, firstUnacknowledged: sequence)
        return try self.apply([CatalogCommand(identity: identity, operation: operation)]).first
    }

    @discardableResult
    func apply(_ commands: [CatalogCommand]) throws(StoreFault) -> [CommandResult] {
        self.index = self.index.next
        self.time = self.time + .milliseconds(1)
        let applied = try self.catalog.apply(
            CatalogEntry(timestamp: self.time, commands: commands), at: self.index, term: Term(1),
            reading: self.store)
        try self.store.write(applied.batch, .unlogged)
        self.ring.append(applied.invalidations.map { NameMark($0) }, at: self.index)
        self.applied.reached(self.index)
        return applied.results
    }

    func answer(_ query: CatalogQuery) throws(StoreFault) -> CatalogAnswer {
        try CatalogView(self.store).answer(query)
    }

    /// How often a chunk of the first bucket is named.
    func references(to chunk: ChunkName) throws(StoreFault) -> UInt64 {
        try CatalogView(self.store).chunk(chunk, in: FakeCluster.buckets[0].slot)?.references ?? 0
    }

    func pass(_ time: Duration) { self.time = self.time + time }

    /// Releases all that is doomed, as whoever sweeps does.
    func sweep() throws(StoreFault) {
        while true {
            let query = CatalogQuery.doomedManifests(before: self.time + .seconds(1), limit: 1)
            guard case .doomedManifests(let doomed) = try self.answer(query),
                let first = doomed.first
            else { return }
            try self.apply([CatalogCommand(operation: .sweepManifest(first))])
        }
    }

    /// Condemns a chunk that nothing names any more, as whoever sweeps does.
    func condemn(_ chunk: ChunkName, of bucket: BucketName) throws(StoreFault) {
        let key = ChunkKey(slot: bucket.slot, name: chunk)
        try self.apply([
            CatalogCommand(operation: .condemnChunks(CondemnChunks(chunks: [key])))
        ])
    }
}
