internal import Placement
package import Primitives
internal import Wire

/// A tag, and the query's fields behind it. Tags are for ever.
extension CatalogQuery: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .object(let bucket, let key, let withManifest):
            writer.write(tag: 1) {
                $0.write(bucket)
                $0.write(key)
                $0.write(withManifest)
            }
        case .manifest(let bucket, let manifest):
            writer.write(tag: 2) {
                $0.write(bucket)
                $0.write(manifest.rawValue)
            }
        case .bucket(let name): writer.write(tag: 3) { $0.write(name) }
        case .buckets(let list): writer.write(tag: 4) { $0.write(list) }
        case .objects(let list): writer.write(tag: 5) { $0.write(list) }
        case .accessKey(let id): writer.write(tag: 6) { $0.write(id) }
        case .slot(let slot): writer.write(tag: 7) { $0.write(slot.rawValue) }
        case .session(let session): writer.write(tag: 8) { $0.write(session.rawValue) }
        case .applied: writer.write(UInt8(9))
        case .masterKeys: writer.write(UInt8(192))
        case .deletions(let list): writer.write(tag: 128) { $0.write(list) }
        case .chunkStates(let keys): writer.write(tag: 129) { $0.writeMessages(keys) }
        case .manifestParts(let bucket, let manifest, let first, let limit):
            writer.write(tag: 16) {
                $0.write(bucket)
                $0.write(manifest.rawValue)
                $0.write(first)
                $0.write(UInt32(limit))
            }
        case .upload(let name): writer.write(tag: 17) { $0.write(name) }
        case .uploads(let list): writer.write(tag: 18) { $0.write(list) }
        case .uploadParts(let name, let last, let limit):
            writer.write(tag: 19) {
                $0.write(name)
                $0.writeOptionalMessage(last)
                $0.write(UInt32(limit))
            }
        case .deduplicated(let bucket, let fingerprints):
            writer.write(tag: 20) {
                $0.write(bucket)
                $0.writeMessages(fingerprints)
            }
        case .abandonedUploads(let time, let limit):
            writer.write(tag: 21) {
                $0.write(time)
                $0.write(UInt32(limit))
            }
        case .doomedManifests(let time, let limit):
            writer.write(tag: 22) {
                $0.write(time)
                $0.write(UInt32(limit))
            }
        case .revokedLinks(let bucket): writer.write(tag: 96) { $0.write(bucket) }
        case .configuration: writer.write(UInt8(10))
        case .cluster: writer.write(UInt8(32))
        case .tables(let known): writer.write(tag: 33) { $0.write(known) }
        case .nodes: writer.write(UInt8(34))
        case .groupTable: writer.write(UInt8(35))
        case .linkKeys: writer.write(UInt8(36))
        case .incarnation: writer.write(UInt8(37))
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1:
            self = .object(
                try BucketName(from: &reader), try ObjectKey(from: &reader),
                withManifest: try reader.readBool())
        case 2:
            self = .manifest(
                try BucketName(from: &reader), ManifestID(rawValue: try reader.read()))
        case 3: self = .bucket(try BucketName(from: &reader))
        case 4: self = .buckets(try ListBuckets(from: &reader))
        case 5: self = .objects(try ListObjects(from: &reader))
        case 6: self = .accessKey(try AccessKeyID(from: &reader))
        case 7: self = .slot(Slot(rawValue: try reader.read()))
        case 8: self = .session(SessionID(try reader.read()))
        case 9: self = .applied
        case 10: self = .configuration
        case 96: self = .revokedLinks(try BucketName(from: &reader))
        case 192: self = .masterKeys
        case 128: self = .deletions(try ListDeletions(from: &reader))
        case 129: self = .chunkStates(try reader.readChunkKeys())
        case 16:
            self = .manifestParts(
                try BucketName(from: &reader), ManifestID(rawValue: try reader.read()),
                from: try PartNumber(from: &reader),
                limit: try reader.readPageLimit(CatalogLimits.partRowsPerPage))
        case 17: self = .upload(try UploadName(from: &reader))
        case 18: self = .uploads(try ListUploads(from: &reader))
        case 19:
            self = .uploadParts(
                try UploadName(from: &reader), after: try reader.readOptionalMessage(),
                limit: try reader.readPageLimit(CatalogLimits.listPage))
        case 20:
            self = .deduplicated(
                try BucketName(from: &reader),
                try reader.readMessages(
                    field: "fingerprints", limit: CatalogLimits.fingerprintsPerQuery))
        case 21:
            self = .abandonedUploads(
                untouchedSince: try reader.readTimestamp(),
                limit: try reader.readPageLimit(CatalogLimits.sweepPage))
        case 22:
            self = .doomedManifests(
                before: try reader.readTimestamp(),
                limit: try reader.readPageLimit(CatalogLimits.sweepPage))
        case 32: self = .cluster
        case 33: self = .tables(known: try TableVersions(from: &reader))
        case 34: self = .nodes
        case 35: self = .groupTable
        case 36: self = .linkKeys
        case 37: self = .incarnation
        default: throw .invalid(field: "query", offset: at)
        }
    }
}

/// A tag, and the answer's fields behind it. Tags are for ever.
extension CatalogAnswer: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .slotNotOwned(let epoch): writer.write(tag: 1) { $0.write(epoch.rawValue) }
        case .absent: writer.write(UInt8(2))
        case .noSuchBucket: writer.write(UInt8(3))
        case .object(let head, let manifest):
            writer.write(tag: 4) {
                $0.write(head)
                $0.writeOptionalMessage(manifest)
            }
        case .manifest(let manifest): writer.write(tag: 5) { $0.write(manifest) }
        case .bucket(let bucket): writer.write(tag: 6) { $0.write(bucket) }
        case .buckets(let buckets, let slots):
            writer.write(tag: 7) {
                $0.writeMessages(buckets)
                $0.write(slots)
            }
        case .objects(let page): writer.write(tag: 8) { $0.write(page) }
        case .accessKey(let key): writer.write(tag: 9) { $0.write(key) }
        case .slot(let ownership): writer.write(tag: 10) { $0.write(ownership) }
        case .session(let session): writer.write(tag: 11) { $0.write(session) }
        case .applied(let position): writer.write(tag: 12) { $0.write(position) }
        case .configuration(let bytes): writer.write(tag: 13) { $0.writeBytes(bytes) }
        case .manifestParts(let parts): writer.write(tag: 16) { $0.writeMessages(parts) }
        case .upload(let upload, let progress):
            writer.write(tag: 17) {
                $0.write(upload)
                $0.write(progress)
            }
        case .completedUpload(let upload): writer.write(tag: 18) { $0.write(upload) }
        case .uploads(let page): writer.write(tag: 19) { $0.write(page) }
        case .uploadParts(let page): writer.write(tag: 20) { $0.write(page) }
        case .deduplicated(let chunks):
            writer.write(tag: 21) {
                $0.writeArray(chunks) { $0.writeOptionalMessage($1) }
            }
        case .abandonedUploads(let names): writer.write(tag: 22) { $0.writeMessages(names) }
        case .doomedManifests(let names): writer.write(tag: 23) { $0.writeMessages(names) }
        case .masterKeys(let keys): writer.write(tag: 192) { $0.write(keys) }
        case .cluster(let cluster): writer.write(tag: 32) { $0.write(cluster) }
        case .tables(let tables): writer.write(tag: 33) { $0.write(tables) }
        case .nodes(let nodes): writer.write(tag: 35) { $0.writeMessages(nodes) }
        case .groupTable(let table): writer.write(tag: 36) { $0.write(table) }
        case .linkKeys(let keys): writer.write(tag: 37) { $0.writeMessages(keys) }
        case .revokedLinks(let links): writer.write(tag: 96) { $0.write(links) }
        case .deletions(let page): writer.write(tag: 128) { $0.write(page) }
        case .chunkStates(let states): writer.write(tag: 129) { $0.writeMessages(states) }
        case .incarnation(let number): writer.write(tag: 38) { $0.write(number) }
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        switch try reader.read(UInt8.self) {
        case 1: self = .slotNotOwned(Epoch(try reader.read()))
        case 2: self = .absent
        case 3: self = .noSuchBucket
        case 4:
            self = .object(try ObjectHead(from: &reader), try reader.readOptionalMessage())
        case 5: self = .manifest(try Manifest(from: &reader))
        case 6: self = .bucket(try Bucket(from: &reader))
        case 7:
            self = .buckets(
                try reader.readMessages(field: "buckets", limit: CatalogLimits.bucketPage),
                of: try SlotTally(from: &reader))
        case 8: self = .objects(try ObjectPage(from: &reader))
        case 9: self = .accessKey(try AccessKey(from: &reader))
        case 10: self = .slot(try SlotOwnership(from: &reader))
        case 11: self = .session(try Session(from: &reader))
        case 12: self = .applied(try AppliedPosition(from: &reader))
        case 13:
            self = .configuration(
                Array(
                    try reader.readBytes(
                        field: "configuration", limit: CatalogLimits.configurationBytes)))
        case 192: self = .masterKeys(try MasterKeys(from: &reader))
        case 96: self = .revokedLinks(try RevokedLinks(from: &reader))
        case 128: self = .deletions(try DeletionPage(from: &reader))
        case 129:
            self = .chunkStates(
                try reader.readMessages(
                    field: "chunks", limit: CatalogLimits.chunksPerSweep))
        case 16:
            self = .manifestParts(
                try reader.readMessages(field: "parts", limit: CatalogLimits.partRowsPerPage))
        case 17:
            self = .upload(try Upload(from: &reader), try UploadProgress(from: &reader))
        case 18: self = .completedUpload(try CompletedUpload(from: &reader))
        case 19: self = .uploads(try UploadPage(from: &reader))
        case 20: self = .uploadParts(try UploadPartPage(from: &reader))
        case 21:
            self = .deduplicated(
                try reader.readArray(
                    field: "chunks", limit: CatalogLimits.fingerprintsPerQuery
                ) { (reader) throws(FormatFault) in
                    try reader.readOptionalMessage(ChunkReference.self)
                })
        case 22:
            self = .abandonedUploads(
                try reader.readMessages(field: "uploads", limit: CatalogLimits.sweepPage))
        case 23:
            self = .doomedManifests(
                try reader.readMessages(field: "manifests", limit: CatalogLimits.sweepPage))
        case 32: self = .cluster(try Cluster(from: &reader))
        case 33: self = .tables(try ClusterTables(from: &reader))
        case 35:
            self = .nodes(try reader.readMessages(field: "nodes", limit: CatalogLimits.nodes))
        case 36: self = .groupTable(try GroupTable(from: &reader))
        case 37:
            self = .linkKeys(
                try reader.readMessages(field: "link keys", limit: CatalogLimits.linkKeys))
        case 38: self = .incarnation(try reader.read())
        default: throw .invalid(field: "answer", offset: at)
        }
    }
}
