/// The bounds of the catalog, each with its unit. A decoder refuses what is over them, so that no
/// entry, row or answer can be larger than these say.
package enum CatalogLimits {
    /// Commands that may share one Raft entry; also keeps ordinals within a version's 16 bits.
    package static let commandsPerEntry = 4_096
    /// Results a session keeps: how far a client may run ahead of its oldest unanswered command.
    package static let sessionWindow: UInt64 = 1_024
    /// Sessions a group keeps. The one that was silent longest makes room.
    package static let sessionsPerGroup: UInt64 = 16_384
    /// Log time after which a silent session is gone.
    package static let sessionLifetime: Duration = .seconds(3_600)
    /// How exactly a session's last use is remembered, so that it is not rewritten by every command.
    package static let sessionTouchInterval: Duration = .seconds(60)
    /// A session opened at log index i counts its commands from i << this, which is above all that
    /// an earlier session of the same client can have counted to.
    package static let sequenceBitsPerIndex: UInt64 = 20
    /// Expired sessions whose rows one `openSession` removes.
    package static let sessionsSweptPerOpening = 16

    /// The length of a bucket's name, in bytes (Amazon S3, "Bucket naming rules").
    package static let bucketNameBytes = 3...63
    /// The length of an object's key, in bytes of UTF-8 (Amazon S3, "Object key names").
    package static let objectKeyBytes = 1...1_024
    package static let ownerBytes = 1...64
    package static let accessKeyIDBytes = 3...128
    package static let entityTagBytes = 1...64
    package static let contentTypeBytes = 256
    /// Names and values of the user's metadata together (Amazon S3 allows 2 KB).
    package static let userMetadataBytes = 2 << 10
    /// Names and values of the stored response headers together.
    package static let storedHeadersBytes = 8 << 10
    package static let fieldsPerObject = 256
    package static let checksumsPerObject = 8
    package static let checksumBytes = 64
    /// Anything sealed under the master key: secrets, bucket keys, private keys.
    package static let wrappedBytes = 4_096
    /// Master keys that a group knows of: those that wrap its secrets, those that did.
    package static let masterKeys = 64
    /// Secrets that one command puts in the place of older forms.
    package static let secretsPerCommand = 64
    package static let publicKeyBytes = 1_024
    package static let linkKeyIDBytes = 1...64
    /// Links of one bucket that are withdrawn one by one; whoever has more to withdraw raises the
    /// bucket's epoch. 16 bytes each where an edge asks for the list.
    package static let revokedLinksPerBucket = 4_096
    /// Revoked links that one command forgets when their time is over.
    package static let revokedLinksSwept = 16
    /// How long past its end a revoked link is remembered: by far more than an edge that answers
    /// links may be behind log time.
    package static let revokedLinkMargin: Duration = .seconds(60)
    /// A group's configuration, as Raft writes it.
    package static let configurationBytes = 4 << 10

    /// Plain bytes that may stand in a manifest instead of in chunks.
    package static let inlineBytes = 16 << 10
    /// What sealing may add to them.
    package static let inlineSealBytes = 256
    package static let chunkBytes: UInt32 = 16 << 20
    /// Chunks of one row of a manifest, and so of one command: a body with more comes in parts.
    package static let chunksPerRow = 64
    /// The greatest number of a part (Amazon S3, "Multipart upload limits").
    package static let partsPerUpload: UInt16 = 10_000
    /// Bytes of one object: 10,000 parts of 5 GiB and some.
    package static let objectBytes: UInt64 = 64 << 40
    /// Rows of parts in one answer, and their bytes: the answer ends with the row that passes them.
    package static let partRowsPerPage = 64
    package static let partRowsPageBytes = 128 << 10
    /// Rows of parts that one command releases, each with at most `chunksPerRow` chunks.
    package static let partsPerSweep = 16
    /// How exactly the time of an upload's last part is remembered.
    package static let uploadTouchInterval: Duration = .seconds(3_600)
    /// Log time for which an upload that was completed is remembered.
    package static let completedUploadLifetime: Duration = .seconds(86_400)
    /// Completed uploads that one command forgets when their time is over.
    package static let completedUploadsSwept = 4
    /// Uploads that may end together with their bucket. One with more is not empty.
    package static let uploadsEndedWithBucket = 1_000
    /// Uploads, or manifests, that a sweeper is told of at once.
    package static let sweepPage = 256
    /// Fingerprints that are looked up at once.
    package static let fingerprintsPerQuery = 256
    /// What compression headers and seals may add to a chunk.
    package static let chunkSealBytes: UInt32 = 64 << 10
    /// Nodes a chunk may name that are not its homes.
    package static let exceptionsPerChunk = 8
    /// Nodes whose copy of a chunk readers may complain of.
    package static let suspectsPerChunk = 8
    /// Homes that a command may name for a chunk (`Layout.replicaLimit`).
    package static let homesPerChunk = 7
    /// Nodes that may be told to delete a chunk.
    package static let holdersPerChunk = homesPerChunk + exceptionsPerChunk
    /// Chunks of one command, query or page that speaks of their deletion.
    package static let chunksPerSweep = 1_024
    /// Log time for which a deleted chunk is remembered: far longer than an upload may take.
    package static let tombstoneLifetime: Duration = .seconds(86_400)
    /// How long after a chunk was sealed a command may give it its row.
    ///
    /// A chunk without a row is new, or was condemned as an orphan, deleted, and forgotten. No
    /// store proposes an orphan younger, by its own clock, than its grace (6 hours unless set otherwise); it is deleted a
    /// grace of log time after that (6 hours more), and forgotten `tombstoneLifetime` after the last
    /// store confirmed it. So whatever was sealed less than this ago finds its row or what it left.
    /// `tombstoneLifetime` alone is 18 hours more than this, however short the graces are: by so
    /// much the clocks of edges may run ahead of log time. A clock that runs behind refuses early.
    package static let newChunkLifetime: Duration = .seconds(6 * 3_600)

    /// Objects and common prefixes of one page of a listing (Amazon S3, `max-keys`).
    package static let listPage = 1_000
    package static let delimiterBytes = 1_024
    package static let bucketPage = 1_000

    /// Rows of slots in one command that brings them.
    package static let rowsPerPiece = 2_048
    /// Rows of slots, with what follows from them, that one command erases.
    package static let rowsErasedPerCommand = 512
    package static let rowKeyBytes = 4 << 10
    /// The largest row of a slot is the root of a manifest in parts of which no two consecutive ones
    /// are of one size: `partsPerUpload` runs of 12 bytes.
    package static let rowValueBytes = 128 << 10
    /// The largest row of a slot as a command brings it.
    package static let importedRowBytes = rowKeyBytes + rowValueBytes + ImportedRow.frameBytes
    /// Moves of slots that are under way at once.
    package static let slotMoves = 64

    package static let nodes = 65_536
    package static let addressBytes = 255
    package static let groups = 65_536
    package static let votersPerGroup = 7
    package static let linkKeys = 64
}
