import Catalog
import Placement
import Primitives

/// The catalog in the simplest words: dictionaries, and no thought for the disk.
struct CatalogModel {
    struct Bucket: Equatable {
        let owner: OwnerID
        let version: VersionID
    }

    struct Object: Equatable {
        let tag: EntityTag
        let version: VersionID
        /// The number of its content; copies share one.
        let content: Int
    }

    struct Part: Equatable {
        let tag: EntityTag
        let chunks: [ChunkReference]
        var size: UInt64 { chunks.reduce(0) { $0 + UInt64($1.plainLength) } }
    }

    struct OpenedUpload: Equatable {
        let key: ObjectKey
        let isImplicit: Bool
        var revision: UInt64 = 0
        var parts: [PartNumber: Part] = [:]
    }

    var buckets: [BucketName: Bucket] = [:]
    /// The versions that buckets of a name ever had.
    var bucketVersions: [BucketName: [VersionID]] = [:]
    var objects: [BucketName: [ObjectKey: Object]] = [:]
    /// All chunks of each content ever stored, by its number.
    var contents: [[ChunkReference]] = []
    var uploads: [UploadName: OpenedUpload] = [:]
    var completed: [UploadName: (key: ObjectKey, version: VersionID, at: Timestamp)] = [:]
    /// Every upload that ever was.
    var uploadNames: [UploadName] = []
    /// Chunks that have a row, by slot.
    var chunks: [Slot: [ChunkName: ChunkReference]] = [:]
    var fingerprints: [Slot: [ChunkFingerprint: ChunkName]] = [:]
    private var fingerprintsOfChunks: [Slot: [ChunkName: ChunkFingerprint]] = [:]

    /// What the operation comes to. `version` is that of what it makes, made at `time`.
    mutating func carryOut(
        _ operation: CatalogOperation, as version: VersionID, at time: Timestamp
    ) -> CommandResult {
        switch operation {
        case .createBucket(let create):
            if let present = self.buckets[create.name] {
                return present.owner == create.owner ? .bucketAlreadyOwned : .bucketTaken
            }
            self.buckets[create.name] = Bucket(owner: create.owner, version: version)
            self.bucketVersions[create.name, default: []].append(version)
            return .bucketCreated
        case .deleteBucket(let name):
            guard self.buckets[name] != nil else { return .noSuchBucket }
            guard self.objects[name, default: [:]].isEmpty else { return .bucketNotEmpty }
            self.buckets[name] = nil
            self.uploads = self.uploads.filter { $0.key.bucket != name }
            return .bucketDeleted
        case .revokeLink(let revoke):
            return self.buckets[revoke.bucket] == nil ? .noSuchBucket : .linkRevoked
        case .raiseLinkEpoch(let name):
            return self.buckets[name] == nil ? .noSuchBucket : .linkEpochRaised(version)
        case .putObject(let put): return self.put(put, as: version, at: time)
        case .copyObject(let copy): return self.copy(copy, as: version, at: time)
        case .deleteObject(let delete):
            guard self.buckets[delete.bucket] != nil else { return .noSuchBucket }
            let current = self.objects[delete.bucket]?[delete.key]
            if let refusal = Self.refusal(delete.precondition, current) { return refusal }
            self.objects[delete.bucket]?[delete.key] = nil
            return .objectDeleted(existed: current != nil)
        case .openUpload(let open):
            guard let bucket = self.buckets[open.bucket] else { return .noSuchBucket }
            guard open.sealedFor == bucket.version else { return .bucketReplaced }
            let name = UploadName(
                bucket: open.bucket, id: UploadID(rawValue: version.rawValue))
            self.uploads[name] = OpenedUpload(key: open.key, isImplicit: open.isImplicit)
            self.uploadNames.append(name)
            return .uploadOpened(name.id)
        case .putPart(let put): return self.put(put, at: time)
        case .completeUpload(let complete):
            return self.complete(complete, as: version, at: time)
        case .abortUpload(let abort):
            return self.uploads.removeValue(forKey: abort.upload) == nil
                ? .noSuchUpload : .uploadAborted
        case .unreadable, .openSession, .setWrappingKey, .rewrapSecrets, .retireMasterKey,
            .adoptSlots, .releaseSlots, .retainSlots, .clearImport, .importRows, .dropRows,
            .moveSlots, .advanceSlotMove, .createAccessKey,
            .deleteAccessKey, .sweepManifest, .condemnChunks, .authoriseDeletions,
            .confirmDeletions, .forgetChunks, .fileBadCopy, .correctReferences, .bootstrap,
            .finishBootstrap, .registerNode, .allocateIncarnation, .setLayout, .setGroupTable,
            .addLinkKey, .removeLinkKey:
            brokenInvariant("the model knows buckets, objects and uploads")
        }
    }

    private mutating func put(
        _ put: PutObject, as version: VersionID, at time: Timestamp
    ) -> CommandResult {
        guard let bucket = self.buckets[put.bucket] else { return .noSuchBucket }
        guard put.content.sealedFor == bucket.version else { return .bucketReplaced }
        let current = self.objects[put.bucket]?[put.key]
        if let refusal = Self.refusal(put.precondition, current) { return refusal }
        let chunks: [ChunkReference]
        switch self.store(put.content, in: put.bucket) {
        case .success(let stored): chunks = stored
        case .failure(let refusal): return refusal.result
        }
        return self.make(put.key, in: put.bucket, put.entityTag, chunks, version, time)
    }

    private mutating func make(
        _ key: ObjectKey, in bucket: BucketName, _ tag: EntityTag, _ chunks: [ChunkReference],
        _ version: VersionID, _ time: Timestamp
    ) -> CommandResult {
        self.contents.append(chunks)
        self.objects[bucket, default: [:]][key] = Object(
            tag: tag, version: version, content: self.contents.count - 1)
        return .stored(version, at: time)
    }

    private mutating func copy(
        _ copy: CopyObject, as version: VersionID, at time: Timestamp
    ) -> CommandResult {
        guard self.buckets[copy.bucket] != nil else { return .noSuchBucket }
        guard let source = self.objects[copy.bucket]?[copy.source], source.version == copy.version
        else { return .sourceChanged }
        let current = self.objects[copy.bucket]?[copy.key]
        if let refusal = Self.refusal(copy.precondition, current) { return refusal }
        self.objects[copy.bucket]?[copy.key] = Object(
            tag: source.tag, version: version, content: source.content)
        return .stored(version, at: time)
    }

    // Uploads.

    private mutating func put(_ put: PutPart, at time: Timestamp) -> CommandResult {
        let name = put.upload
        guard let bucket = self.buckets[name.bucket] else { return .noSuchBucket }
        guard let upload = self.uploads[name] else { return .noSuchUpload }
        let chunks: [ChunkReference]
        switch put.source {
        case .content(let content):
            guard content.sealedFor == bucket.version else { return .bucketReplaced }
            switch self.store(content, in: name.bucket) {
            case .success(let stored): chunks = stored
            case .failure(let refusal): return refusal.result
            }
        case .upload(let id, let revision, _):
            let inner = UploadName(bucket: name.bucket, id: id)
            guard let part = self.uploads[inner], part.isImplicit else { return .noSuchUpload }
            guard !upload.isImplicit else { return .malformed }
            guard part.revision == revision else {
                return .uploadChanged(revision: part.revision)
            }
            chunks = Self.joined(part.parts)
            self.uploads[inner] = nil
        }
        self.uploads[name]?.parts[put.number] = Part(tag: put.entityTag, chunks: chunks)
        self.uploads[name]?.revision += 1
        return .partStored(revision: upload.revision + 1, at: time)
    }

    private mutating func complete(
        _ complete: CompleteUpload, as version: VersionID, at time: Timestamp
    ) -> CommandResult {
        let name = complete.upload
        guard self.buckets[name.bucket] != nil else { return .noSuchBucket }
        guard let upload = self.uploads[name] else {
            guard let done = self.completed[name], done.key == complete.key else {
                return .noSuchUpload
            }
            return .uploadCompletedBefore(done.version, at: done.at)
        }
        guard upload.key == complete.key else { return .noSuchUpload }
        guard upload.revision == complete.revision else {
            return .uploadChanged(revision: upload.revision)
        }
        let current = self.objects[name.bucket]?[complete.key]
        if let refusal = Self.refusal(complete.precondition, current) { return refusal }
        self.uploads[name] = nil
        if !upload.isImplicit { self.completed[name] = (complete.key, version, time) }
        let chosen = upload.parts.filter { complete.parts.part($0.key) != nil }
        return self.make(
            complete.key, in: name.bucket, complete.entityTag, Self.joined(chosen), version, time)
    }

    static func joined(_ parts: [PartNumber: Part]) -> [ChunkReference] {
        parts.keys.sorted().flatMap { parts[$0]?.chunks ?? [] }
    }

    // Chunks.

    struct Refusal: Error { let result: CommandResult }

    private mutating func store(
        _ content: ObjectContent, in bucket: BucketName
    ) -> Result<[ChunkReference], Refusal> {
        guard case .chunks(let chunks) = content.manifest else { return .success([]) }
        let slot = bucket.slot
        for (place, wanted) in chunks.enumerated() {
            let known = self.chunks[slot]?[wanted.name]?.sealedLength
            let isAllowed =
                content.deduplication.shared.contains(UInt16(place))
                ? known == wanted.sealedLength
                // No test of the model takes long.
                : known != nil || content.oldestSealed == lately
            guard isAllowed else {
                return .failure(Refusal(result: .chunkCondemned(wanted.name)))
            }
        }
        for chunk in chunks where self.chunks[slot]?[chunk.name] == nil {
            self.chunks[slot, default: [:]][chunk.name] = chunk
        }
        for entry in content.deduplication.entries {
            let name = chunks[Int(entry.position)].name
            guard self.fingerprintsOfChunks[slot]?[name] == nil else { continue }
            self.fingerprintsOfChunks[slot, default: [:]][name] = entry.fingerprint
            self.fingerprints[slot, default: [:]][entry.fingerprint] = name
        }
        return .success(chunks)
    }

    private static func refusal(
        _ condition: ObjectPrecondition, _ current: Object?
    ) -> CommandResult? {
        switch (condition, current) {
        case (.none, _), (.absent, nil), (.present, .some): nil
        case (.absent, .some): .preconditionFailed
        case (.present, nil), (.matches, nil): .noSuchKey
        case (.matches(let tag), .some(let object)): object.tag == tag ? nil : .preconditionFailed
        }
    }

    /// How many times the manifests of living objects, and the parts of uploads that are open, name
    /// each chunk of a bucket.
    func chunkReferences(in bucket: BucketName) -> [ChunkName: UInt64] {
        // A content that several keys share is one manifest.
        let contents = Set(self.objects[bucket, default: [:]].values.map(\.content))
        let uploads = self.uploads.filter { $0.key.bucket == bucket }.values
        let named =
            contents.map { self.contents[$0] } + uploads.map { Self.joined($0.parts) }
        var references: [ChunkName: UInt64] = [:]
        for chunk in named.joined() { references[chunk.name, default: 0] += 1 }
        return references
    }
}
