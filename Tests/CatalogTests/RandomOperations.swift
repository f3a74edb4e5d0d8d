import Catalog
import Placement
import Primitives

/// Draws operations that mostly mean something in the state the model is in, and now and then do not.
struct RandomOperations {
    let buckets: [BucketName]
    let keys: [ObjectKey]
    var random: SeededGenerator

    private static let tags = ["t1", "t2", "t3"].map { tag($0) }
    /// Before any time at which a new chunk may get its row.
    static let longAgo = Timestamp(milliseconds: -100_000_000)
    static let chunkNumbers: Range<UInt64> = 0..<200
    static let fingerprints: [ChunkFingerprint] = (0..<40).map {
        unwrap(ChunkFingerprint(bytes: Array(repeating: $0, count: ChunkFingerprint.sizeBytes)))
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &self.random)
    }

    /// Yes once in `count` times.
    mutating func once(in count: Int) -> Bool { self.number(1...count) == 1 }

    mutating func one<Element>(of elements: [Element]) -> Element {
        unwrap(elements.randomElement(using: &self.random))
    }

    mutating func operation(_ model: CatalogModel) -> CatalogOperation {
        let bucket = self.one(of: self.buckets)
        let key = self.one(of: self.keys)
        switch self.number(0...27) {
        case 0, 1:
            let owner = self.one(of: [alice, bob])
            return .createBucket(create(bucket, owner: owner))
        case 2: return .deleteBucket(bucket)
        case 3...6:
            return .deleteObject(
                DeleteObject(bucket: bucket, key: key, precondition: self.precondition()))
        case 7, 8:
            let source = self.one(of: self.keys)
            let version = model.objects[bucket]?[source]?.version ?? VersionID(rawValue: 77)
            return .copyObject(
                CopyObject(
                    bucket: bucket, source: source,
                    version: self.once(in: 10) ? VersionID(rawValue: 1) : version, key: key,
                    precondition: self.precondition()))
        case 9...12:
            let content = self.content(bucket, model)
            return .putObject(
                PutObject(
                    bucket: bucket, key: key, size: content.size, entityTag: self.anyTag(),
                    content: content.content, precondition: self.precondition()))
        case 13, 14:
            return .openUpload(
                OpenUpload(
                    bucket: bucket, key: key, sealedFor: self.bucketVersion(bucket, model),
                    isImplicit: self.once(in: 3)))
        case 15...20: return self.putPart(model)
        case 21...23: return self.completeUpload(model)
        case 24, 25:
            let link = RevokedLink(
                expirySeconds: Int64(self.number(1_000...1_500)),
                number: UInt64(self.number(0...9)))
            return .revokeLink(RevokeLink(bucket: bucket, link: link))
        case 26: return .raiseLinkEpoch(bucket)
        default: return .abortUpload(AbortUpload(upload: self.upload(model)))
        }
    }

    private mutating func anyTag() -> EntityTag { self.one(of: Self.tags) }

    private mutating func precondition() -> ObjectPrecondition {
        self.one(of: [.none, .none, .none, .absent, .present, .matches(self.anyTag())])
    }

    /// Mostly what the bucket is as the entry begins, now and then what it was before.
    private mutating func bucketVersion(
        _ bucket: BucketName, _ model: CatalogModel
    ) -> VersionID {
        let past = model.bucketVersions[bucket, default: []]
        if self.once(in: 10), !past.isEmpty { return self.one(of: past) }
        return model.buckets[bucket]?.version ?? past.last ?? VersionID(rawValue: 0)
    }

    /// A few chunks: now and then some that others name too, said to be shared or not.
    private mutating func content(
        _ bucket: BucketName, _ model: CatalogModel
    ) -> (content: ObjectContent, size: UInt64) {
        var chunks: [ChunkReference] = []
        var deduplication = Deduplication.none
        for place in 0..<UInt16(self.number(0...3)) {
            let number = UInt64.random(in: Self.chunkNumbers, using: &self.random)
            chunks.append(chunk(number, length: self.once(in: 40) ? 50 : 100))
            switch self.number(0...3) {
            case 0: deduplication.shared.append(place)
            case 1:
                deduplication.entries.append(
                    .init(position: place, fingerprint: self.one(of: Self.fingerprints)))
            default: break
            }
        }
        let content = ObjectContent(
            .chunks(chunks), placedBy: LayoutVersion(1),
            sealedFor: self.bucketVersion(bucket, model),
            oldestSealed: chunks.first?.name.counter == 7 ? Self.longAgo : lately,
            deduplication: deduplication)
        return (content, chunks.reduce(0) { $0 + UInt64($1.plainLength) })
    }

    /// Mostly one that is open.
    private mutating func upload(_ model: CatalogModel, isImplicit: Bool? = nil) -> UploadName {
        let none = UploadName(bucket: self.buckets[0], id: UploadID(rawValue: 3))
        let open = model.uploadNames.filter { name in
            model.uploads[name].map { isImplicit == nil || isImplicit == $0.isImplicit } ?? false
        }
        if !open.isEmpty, !self.once(in: 10) { return self.one(of: open) }
        return self.one(of: [none] + model.uploadNames.suffix(10))
    }

    private mutating func putPart(_ model: CatalogModel) -> CatalogOperation {
        let upload = self.upload(model)
        let number = unwrap(PartNumber(self.number(1...6)))
        if self.once(in: 4) {
            let inner = self.upload(model, isImplicit: true)
            let parts = model.uploads[inner]?.parts ?? [:]
            let table = Self.table(of: parts.keys.sorted(), parts)
            return .putPart(
                PutPart(
                    upload: upload, number: number, size: table.sizeBytes, entityTag: self.anyTag(),
                    source: .upload(
                        inner.id, revision: self.revision(of: inner, model), table)))
        }
        let (content, size) = self.content(upload.bucket, model)
        return .putPart(
            PutPart(
                upload: upload, number: number, size: size, entityTag: self.anyTag(),
                source: .content(content)))
    }

    private mutating func revision(of name: UploadName, _ model: CatalogModel) -> UInt64 {
        (model.uploads[name]?.revision ?? 0) + (self.once(in: 8) ? 1_000 : 0)
    }

    private mutating func completeUpload(_ model: CatalogModel) -> CatalogOperation {
        let name = self.upload(model)
        let parts = model.uploads[name]?.parts ?? [:]
        var chosen: [PartNumber] = []
        var leftOut = PartSet()
        for number in parts.keys.sorted() {
            if self.once(in: 5) {
                invariant(leftOut.append(number), "parts come in order")
            } else {
                chosen.append(number)
            }
        }
        let key = model.uploads[name]?.key ?? self.one(of: self.keys)
        return .completeUpload(
            CompleteUpload(
                upload: name, key: self.once(in: 20) ? self.one(of: self.keys) : key,
                revision: self.revision(of: name, model), parts: Self.table(of: chosen, parts),
                leftOut: leftOut, entityTag: self.anyTag(), precondition: self.precondition()))
    }

    private static func table(
        of numbers: [PartNumber], _ parts: [PartNumber: CatalogModel.Part]
    ) -> PartTable {
        var table = PartTable()
        for number in numbers {
            invariant(
                table.append(number, sizeBytes: parts[number]?.size ?? 0), "parts come in order")
        }
        return table
    }
}
