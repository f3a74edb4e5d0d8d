import Catalog
import ClusterClient
import Cryptography
import IORuntime
import Primitives
import Telemetry

/// What a door can do with buckets and objects. One for each process; calls run on their caller's
/// loop.
package final class ObjectAccess: Sendable {
    let environment: any Environment
    package let cluster: ClusterClient
    package let settings: ObjectAccessSettings
    package let counters: ObjectAccessCounters
    let chunkWriter: ChunkWriter
    let chunkReader: ChunkReader
    let cache: BlockCache
    let budget: ByteBudget
    package let readBudget: ReadBudget
    /// Buckets seen lately with their keys, so that not every request asks for them.
    let buckets: FactCache<BucketName, OpenBucket, AccessFault>
    /// The current versions of objects that were asked for lately.
    let heads: ObjectHeads

    package init(
        _ settings: ObjectAccessSettings, environment: any Environment, cluster: ClusterClient,
        registry: MetricsRegistry = MetricsRegistry()
    ) {
        self.counters = ObjectAccessCounters(registry)
        self.environment = environment
        self.cluster = cluster
        self.settings = settings
        self.chunkWriter = ChunkWriter(
            environment: environment, cluster: cluster, counters: self.counters)
        self.chunkReader = ChunkReader(
            environment: environment, cluster: cluster, counters: self.counters)
        self.cache = BlockCache(capacityBytes: settings.cacheBytes, counters: self.counters)
        self.readBudget = ReadBudget(
            totalBytes: settings.readBudgetBytes, cache: self.cache, counters: self.counters)
        // Without absences: a bucket that was just made is there at every edge.
        self.buckets = FactCache(
            lifetime: settings.bucketLifetime, mostFacts: settings.mostBuckets, mostAbsences: 0)
        self.budget = ByteBudget(limitBytes: settings.intakeBudgetBytes)
        self.heads = ObjectHeads(
            settings, environment: environment, cluster: cluster, counters: self.counters)
    }

    /// Bytes of bodies in flight over all uploads.
    package var heldIntakeBytes: Int { self.budget.heldBytes }

    /// A bucket as an edge holds it for authorised requests: its key only in memory.
    struct OpenBucket: Sendable {
        let bucket: Bucket
        let key: SymmetricKey
    }

    /// The bucket with its key, not older than the bound on what an edge may believe.
    func open(
        _ name: BucketName, deadline: Instant, isFreshOnly: Bool = false
    ) async throws(AccessFault) -> OpenBucket {
        let open = try await self.buckets.fact(
            name, in: self.environment, isFreshOnly: isFreshOnly
        ) { () async throws(AccessFault) -> OpenBucket? in
            let found = try await self.asking { () throws(ClusterFault) in
                try await self.cluster.bucketWithKey(name, deadline: deadline)
            }
            guard let found else { return nil }
            guard let key = SymmetricKey(bytes: found.key) else {
                throw .broken("the key of bucket \(name) has \(found.key.count) bytes")
            }
            return OpenBucket(bucket: found.bucket, key: key)
        }
        guard let open else { throw .noSuchBucket(name) }
        return open
    }

    /// Forgets a bucket that turned out to be gone, unless another is known by its name already.
    func forget(_ open: OpenBucket) {
        self.buckets.forget(open.bucket.name) { $0.bucket.version == open.bucket.version }
    }

    // MARK: Buckets

    package enum BucketCreation: Equatable, Sendable {
        case created
        /// The same owner has it already.
        case alreadyOwned
    }

    package func createBucket(
        _ name: BucketName, owner: OwnerID, deadline: Instant
    ) async throws(AccessFault) -> BucketCreation {
        for _ in 0..<Self.bucketKeyAttempts {
            let wrapped = try await self.asking { () throws(ClusterFault) in
                try await self.cluster.makeBucketKey(for: name, deadline: deadline)
            }
            let create = CreateBucket(name: name, owner: owner, wrappedKey: wrapped.bytes)
            switch try await self.submit(.createBucket(create), deadline: deadline) {
            case .bucketCreated: return .created
            case .bucketAlreadyOwned: return .alreadyOwned
            case .bucketTaken: throw .bucketTaken
            case .limitReached: throw .unavailable("the group holds as many buckets as it may")
            // The master key was replaced in between.
            case .wrongMasterKey: continue
            case let other: throw .broken("creating a bucket gave \(other)")
            }
        }
        throw .unavailable("the master key was replaced again and again")
    }

    /// How often a new bucket's key is asked for, when the master key is replaced meanwhile.
    private static let bucketKeyAttempts = 3

    package func deleteBucket(
        _ name: BucketName, deadline: Instant
    ) async throws(AccessFault) {
        switch try await self.submit(.deleteBucket(name), deadline: deadline) {
        case .bucketDeleted: self.buckets.forget(name)
        case .bucketNotEmpty: throw .bucketNotEmpty
        case .noSuchBucket: throw .noSuchBucket(name)
        case let other: throw .broken("deleting a bucket gave \(other)")
        }
    }

    package func bucket(
        _ name: BucketName, deadline: Instant
    ) async throws(AccessFault) -> Bucket {
        switch try await self.query(.bucket(name), deadline: deadline) {
        case .bucket(let bucket): return bucket
        case .noSuchBucket, .absent: throw .noSuchBucket(name)
        case let other: throw .broken("asking for a bucket gave \(other)")
        }
    }

    /// Whose the bucket is, as it was known at most `bucketLifetime` ago: what a door asks before
    /// it lets a request near the bucket.
    package func owner(
        of name: BucketName, deadline: Instant
    ) async throws(AccessFault) -> OwnerID {
        try await self.knownBucket(name, deadline: deadline).owner
    }

    /// The bucket, as it was known at most `bucketLifetime` ago.
    package func knownBucket(
        _ name: BucketName, deadline: Instant
    ) async throws(AccessFault) -> Bucket {
        try await self.open(name, deadline: deadline).bucket
    }

    /// Every bucket of an owner, in the order of their names.
    package func buckets(
        of owner: OwnerID, deadline: Instant
    ) async throws(AccessFault) -> [Bucket] {
        try await self.asking { () throws(ClusterFault) in
            try await self.cluster.buckets(of: owner, deadline: deadline)
        }
    }

    // MARK: Objects, without their bytes

    /// Deletes the current version; fine when there is none, unless a precondition wants one.
    package func delete(
        _ key: ObjectKey, in bucket: BucketName, precondition: ObjectPrecondition = .none,
        deadline: Instant
    ) async throws(AccessFault) {
        let delete = DeleteObject(bucket: bucket, key: key, precondition: precondition)
        switch try await self.submit(.deleteObject(delete), deadline: deadline) {
        case .objectDeleted: return
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case .preconditionFailed: throw .preconditionFailed
        case .noSuchKey: throw .noSuchKey
        case let other: throw .broken("deleting an object gave \(other)")
        }
    }

    /// One page of a listing; each page shows every write acknowledged before it was asked for.
    package func list(
        _ list: ListObjects, deadline: Instant
    ) async throws(AccessFault) -> ObjectPage {
        switch try await self.query(.objects(list), deadline: deadline) {
        case .objects(let page): return page
        case .noSuchBucket: throw .noSuchBucket(list.bucket)
        case let other: throw .broken("listing gave \(other)")
        }
    }

    // MARK: Asking

    func submit(
        _ operation: CatalogOperation, deadline: Instant
    ) async throws(AccessFault) -> CommandResult {
        try await self.asking { () throws(ClusterFault) in
            try await self.cluster.submit(operation, deadline: deadline)
        }
    }

    func query(
        _ query: CatalogQuery, deadline: Instant
    ) async throws(AccessFault) -> CatalogAnswer {
        try await self.asking { () throws(ClusterFault) in
            try await self.cluster.query(query, deadline: deadline)
        }
    }

    func asking<Value>(
        _ ask: () async throws(ClusterFault) -> Value
    ) async throws(AccessFault) -> Value {
        do throws(ClusterFault) { return try await ask() } catch { throw AccessFault(error) }
    }
}

/// How objects are cut, cached and bounded. Sizes in bytes.
package struct ObjectAccessSettings: Sendable, Equatable {
    /// Bodies up to this size rest in metadata instead of in chunks.
    package var inlineBytes = 8 << 10
    /// Whether frames are compressed before they are sealed, where a sample says that it pays.
    package var isCompressing = true
    /// Where a body is cut into chunks.
    package var chunkBytes = 8 << 20
    /// Chunks of one upload that are on their way to stores while the next is read.
    package var chunksInFlight = 2
    /// Bytes of bodies in flight over all uploads.
    package var intakeBudgetBytes = 64 << 20
    /// How long an upload under way waits for its next share of them.
    package var intakePatience: Duration = .seconds(30)
    /// The block cache; what readers hold is taken out of it.
    package var cacheBytes = 128 << 20
    /// Heads of objects, bytes of small ones, and names that were found absent.
    package var headCacheBytes = 32 << 20
    /// How old what a link shows may be: by so much longer than it last heard of a group an edge
    /// does not answer with names of it.
    package var boundedAge: Duration = .seconds(5)
    /// Plain bytes that readers may hold together: two thirds of it are kept for readers that are
    /// given one frame at a time, so that a thousand slow ones go on beside each other.
    package var readBudgetBytes = 96 << 20
    /// The largest body one request may bring. Amazon S3 stops at 5 GiB; here a body of any length
    /// passes in constant memory, and its rows are written as it comes.
    package var largestBodyBytes: UInt64 = 1 << 40
    /// How long stored chunks of a body wait for the rest of their row before they are written down
    /// without it.
    package var rowPatience: Duration = .seconds(600)
    /// How long a stored chunk may stay unnamed before its body is given up. Stores delete chunks
    /// that nobody names, after a grace that is longer (`JanitorSettings.orphanGrace`).
    package var uploadLifetime: Duration = .seconds(5 * 3_600)
    /// How old a bucket's facts may be: an edge's authority is stale by at most this.
    package var bucketLifetime: Duration = .seconds(1)
    /// Buckets remembered together.
    package var mostBuckets = 10_000

    package init() {}
}

package struct ObjectAccessCounters: Sendable {
    package let objectsPut: Counter
    package let bytesPut: Counter
    package let partsPut: Counter
    /// Inside one bucket, without moving a byte.
    package let objectsCopied: Counter
    /// Chunks that the bucket had already.
    package let chunksShared: Counter
    /// Of those, stored anew because nothing named them any more when they were committed.
    package let sharedChunksCondemned: Counter
    package let uploadsCompleted: Counter
    package let uploadsAborted: Counter
    /// Rows of chunks of long bodies, written down while those were still arriving.
    package let rowsWritten: Counter
    package let longBodiesAbandoned: Counter
    package let uploadsRefusedForMemory: Counter
    /// Ended before their size, to give memory back.
    package let chunksEndedEarly: Counter
    /// Given up because a chunk of theirs stayed unnamed for too long.
    package let uploadsOverdue: Counter
    /// Commits that named a chunk which was condemned meanwhile, and were refused.
    package let commitsCondemned: Counter
    package let bytesRead: Counter
    /// What compressing frames took off the bytes at rest, of one copy.
    package let bytesSaved: Counter
    package let handoffWrites: Counter
    /// Chunks that too few stores had room for.
    package let refusedFull: Counter
    package let hedgedReads: Counter
    package let hedgesDenied: Counter
    package let copiesOverdue: Counter
    package let copiesFailed: Counter
    package let copiesNeedingRepair: Counter
    /// Frames that a tag did not prove; answered from another copy.
    package let framesRefused: Counter
    /// Frames whose checksum at rest did not hold; answered from another copy.
    package let framesRotten: Counter
    package let badCopiesFiled: Counter
    package let badCopiesNotFiled: Counter
    package let blockHits: Counter
    package let blockMisses: Counter
    package let blocksCoalesced: Counter
    /// Parts of blocks that were fetched alone, because nobody had asked for the block before.
    package let partsFetched: Counter
    /// Parts that were cut to one frame, because readers held much already.
    package let partsPressed: Counter
    package let readsStarved: Counter
    /// Current versions that were known here, and needed no look at metadata's rows.
    package let headHits: Counter
    package let absenceHits: Counter
    package let headMisses: Counter
    /// Of those, found in the memory of this node's own replica.
    package let headsFromOwnReplica: Counter
    /// Heads that were not remembered, because they may have been over when they came.
    package let fillsRefused: Counter
    /// Streams that had forgotten what this edge did not know yet.
    package let streamResets: Counter
    /// Times that a reader found the stream behind what it had to be shown.
    package let streamsLagging: Counter

    package init(_ registry: MetricsRegistry) {
        self.objectsPut = registry.counter(
            "holdfast_access_objects_put_total", help: "Objects stored.")
        self.bytesPut = registry.counter(
            "holdfast_access_bytes_put_total", help: "Bytes of objects stored.")
        self.partsPut = registry.counter(
            "holdfast_access_parts_put_total", help: "Parts of uploads stored.")
        self.objectsCopied = registry.counter(
            "holdfast_access_objects_copied_total",
            help: "Objects copied without moving their bytes.")
        self.chunksShared = registry.counter(
            "holdfast_access_chunks_shared_total",
            help: "Chunks that were not stored because their bucket had them.")
        self.sharedChunksCondemned = registry.counter(
            "holdfast_access_shared_chunks_condemned_total",
            help: "Shared chunks stored anew because they were about to be deleted.")
        self.uploadsCompleted = registry.counter(
            "holdfast_access_uploads_completed_total", help: "Uploads made objects.")
        self.uploadsAborted = registry.counter(
            "holdfast_access_uploads_aborted_total", help: "Uploads ended by their clients.")
        self.rowsWritten = registry.counter(
            "holdfast_access_rows_written_total",
            help: "Rows of chunks written down while their body was still arriving.")
        self.longBodiesAbandoned = registry.counter(
            "holdfast_access_long_bodies_abandoned_total",
            help: "Long bodies given up behind their first row.")
        self.uploadsRefusedForMemory = registry.counter(
            "holdfast_access_uploads_refused_for_memory_total",
            help: "Uploads refused because others held all memory for bodies.")
        self.chunksEndedEarly = registry.counter(
            "holdfast_access_chunks_ended_early_total",
            help: "Chunks ended before their size to give memory back.")
        self.uploadsOverdue = registry.counter(
            "holdfast_access_uploads_overdue_total",
            help: "Uploads given up because they took too long.")
        self.commitsCondemned = registry.counter(
            "holdfast_access_commits_condemned_total",
            help: "Commits refused because a chunk they name was condemned.")
        self.bytesRead = registry.counter(
            "holdfast_access_bytes_read_total", help: "Bytes of objects handed out.")
        self.bytesSaved = registry.counter(
            "holdfast_access_bytes_saved_total",
            help: "Bytes that compressing frames took off one copy of what was stored.")
        self.handoffWrites = registry.counter(
            "holdfast_access_handoff_writes_total", help: "Copies sent to stand-ins for homes.")
        self.refusedFull = registry.counter(
            "holdfast_access_refused_full_total", help: "Chunks that too few stores had room for.")
        self.hedgedReads = registry.counter(
            "holdfast_access_hedged_reads_total", help: "Copies asked because another was late.")
        self.hedgesDenied = registry.counter(
            "holdfast_access_hedges_denied_total",
            help: "Late copies beside which none was asked, because the budget was spent.")
        self.copiesOverdue = registry.counter(
            "holdfast_access_copies_overdue_total",
            help: "Copies so late that another was asked in their place.")
        self.copiesFailed = registry.counter(
            "holdfast_access_copies_failed_total", help: "Copies that could not be read.")
        self.copiesNeedingRepair = registry.counter(
            "holdfast_access_copies_needing_repair_total", help: "Copies found missing or bad.")
        self.framesRefused = registry.counter(
            "holdfast_access_frames_refused_total", help: "Frames whose tag did not hold.")
        self.framesRotten = registry.counter(
            "holdfast_access_frames_rotten_total",
            help: "Frames whose checksum did not hold where they rest.")
        self.badCopiesFiled = registry.counter(
            "holdfast_access_bad_copies_filed_total", help: "Bad copies told to metadata.")
        self.badCopiesNotFiled = registry.counter(
            "holdfast_access_bad_copies_not_filed_total",
            help: "Bad copies that metadata could not be told of.")
        self.blockHits = registry.counter(
            "holdfast_access_block_hits_total", help: "Blocks found in memory.")
        self.blockMisses = registry.counter(
            "holdfast_access_block_misses_total", help: "Blocks fetched from stores.")
        self.blocksCoalesced = registry.counter(
            "holdfast_access_blocks_coalesced_total", help: "Blocks that another fetch brought.")
        self.partsFetched = registry.counter(
            "holdfast_access_parts_fetched_total",
            help: "Parts of blocks fetched without the rest of their block.")
        self.partsPressed = registry.counter(
            "holdfast_access_parts_pressed_total",
            help: "Parts cut to one frame because readers held much already.")
        self.readsStarved = registry.counter(
            "holdfast_access_reads_starved_total",
            help: "Reads given up because no memory came free for them.")
        self.headHits = registry.counter(
            "holdfast_access_head_hits_total", help: "Current versions known at the edge.")
        self.absenceHits = registry.counter(
            "holdfast_access_absence_hits_total", help: "Absent keys known at the edge.")
        self.headMisses = registry.counter(
            "holdfast_access_head_misses_total",
            help: "Keys that the edge did not know, or no longer.")
        self.headsFromOwnReplica = registry.counter(
            "holdfast_access_heads_from_own_replica_total",
            help: "Keys that the edge did not know, and its own node's replica had in memory.")
        self.fillsRefused = registry.counter(
            "holdfast_fills_refused_total",
            help: "Heads not remembered because they may have been invalidated on their way.")
        self.streamResets = registry.counter(
            "holdfast_stream_resets_total",
            help: "Times the edge was too far behind a group and dropped its names.")
        self.streamsLagging = registry.counter(
            "holdfast_access_streams_lagging_total",
            help: "Times a reader found the invalidation stream behind its read index.")
    }
}
