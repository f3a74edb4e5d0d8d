internal import OrderedStorage
internal import Primitives
internal import Wire

/// What follows from a row of a slot elsewhere in the group's state.
///
/// Moving rows and erasing them keep it in step with the rows, so that no queue, index or count ever
/// speaks of a row that is not there, or misses one that is.
struct SlotRowTraces: Equatable {
    /// Rows of the family `rows`, without a value.
    var index: [[UInt8]] = []
    /// A wrapped secret, which the group counts under its master key.
    var secret: [UInt8]?

    /// - Throws: where the value cannot be read, or is that of another row than the key says.
    init(of row: SlotRowName, value: [UInt8]) throws(FormatFault) {
        switch row.section {
        case .buckets:
            let bucket = try Bucket(decoding: value)
            try Self.check(row.key, is: CatalogKeys.bucket(bucket.name))
            self.index = [CatalogKeys.bucket(bucket.name, of: bucket.owner)]
            self.secret = bucket.wrappedKey
        case .accessKeys:
            let key = try AccessKey(decoding: value)
            try Self.check(row.key, is: CatalogKeys.accessKey(key.id))
            self.secret = key.wrappedSecret
        case .chunks:
            let key = try CatalogKeys.chunk(ofKey: row.key)
            self.index = Self.queues(of: key, try ChunkRow(decoding: value).life)
        case .uploadProgress:
            let progress = try UploadProgress(decoding: value)
            let (bucket, number) = try CatalogKeys.member(row.key)
            let name = UploadName(bucket: bucket, id: UploadID(rawValue: number))
            self.index = [CatalogKeys.uploadAge(name, touched: progress.touched)]
        case .completedUploads:
            let completed = try CompletedUpload(decoding: value).completed
            let (bucket, number) = try CatalogKeys.member(row.key)
            let name = UploadName(bucket: bucket, id: UploadID(rawValue: number))
            self.index = [CatalogKeys.completedUploadAge(name, completed: completed)]
        case .doomedManifests:
            _ = try DoomedParts(decoding: value)
            let name = try CatalogKeys.doomedManifest(ofKey: row.key)
            self.index = [CatalogKeys.doomedManifestAge(name)]
        case .manifestReferences, .uploads, .uploadListings, .fingerprints, .heads, .manifests,
            .revokedLinks:
            break
        }
    }

    private static func check(_ key: [UInt8], is expected: [UInt8]) throws(FormatFault) {
        guard key == expected else { throw .invalid(field: "key of a row", offset: 0) }
    }

    private static func queues(of key: ChunkKey, _ life: ChunkLife) -> [[UInt8]] {
        switch life {
        case .referenced: []
        case .unreferenced(let since): [CatalogKeys.queued(key, in: .unreferenced, since.time)]
        case .condemned(let since): [CatalogKeys.queued(key, in: .condemned, since.time)]
        case .authorised(let holders): holders.map { CatalogKeys.deletion(of: key, by: $0) }
        case .deleted(let time): [CatalogKeys.queued(key, in: .deleted, time)]
        }
    }
}
