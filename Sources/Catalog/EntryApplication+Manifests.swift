internal import OrderedStorage
internal import Primitives
internal import Wire

/// Manifests: immutable, with one reference unless a row beside them says more.
extension EntryApplication {
    mutating func add(
        _ content: ObjectContent, as id: ManifestID, in bucket: BucketName
    ) throws(StoreFault) {
        self.put(
            CatalogFamilies.manifests, CatalogKeys.manifest(id, in: bucket), content.manifest.row)
        try self.retainChunks(of: content, in: bucket.slot)
    }

    mutating func retain(_ id: ManifestID, in bucket: BucketName) throws(StoreFault) {
        let references = try self.view.references(to: id, in: bucket)
        self.put(
            CatalogFamilies.rows, CatalogKeys.manifestReferences(id, in: bucket),
            Counter(references + 1).row)
    }

    mutating func releaseManifest(
        of head: ObjectHead, in bucket: BucketName
    ) throws(StoreFault) {
        guard try self.isLastReference(to: head.manifest, in: bucket) else { return }
        if head.isInline {
            self.delete(
                CatalogFamilies.manifests, CatalogKeys.manifest(head.manifest, in: bucket))
        } else {
            try self.remove(head.manifest, in: bucket)
        }
    }

    /// Takes one reference away; whether it was the last.
    private mutating func isLastReference(
        to id: ManifestID, in bucket: BucketName
    ) throws(StoreFault) -> Bool {
        let key = CatalogKeys.manifestReferences(id, in: bucket)
        switch try self.view.references(to: id, in: bucket) {
        case 0, 1: return true
        case 2: self.delete(CatalogFamilies.rows, key)
        case let references:
            self.put(CatalogFamilies.rows, key, Counter(references - 1).row)
        }
        return false
    }

    /// Removes a manifest that nothing refers to: few chunks at once, parts piece by piece.
    ///
    /// One that is gone already, after a wrong count, is not removed again: that must not stop all
    /// voters of a group at the same entry. Whatever count of a chunk is too high for it, the
    /// reference audit finds.
    private mutating func remove(_ id: ManifestID, in bucket: BucketName) throws(StoreFault) {
        guard let manifest = try self.view.manifest(id, in: bucket) else { return }
        self.delete(CatalogFamilies.manifests, CatalogKeys.manifest(id, in: bucket))
        switch manifest {
        case .inline: break
        case .chunks(let chunks):
            for chunk in chunks { try self.release(chunk, in: bucket.slot) }
        case .parts: self.doom(.all, of: id, in: bucket)
        }
    }

    // Parts.

    /// Writes down that parts of a manifest are to be released.
    mutating func doom(_ parts: PartSet, of id: ManifestID, in bucket: BucketName) {
        guard !parts.isEmpty else { return }
        let name = DoomedManifest(doomed: self.now, bucket: bucket, manifest: id)
        self.put(CatalogFamilies.rows, CatalogKeys.doomedManifest(name), DoomedParts(parts).row)
        self.put(CatalogFamilies.rows, CatalogKeys.doomedManifestAge(name), [])
    }

    mutating func sweep(_ name: DoomedManifest) throws(StoreFault) -> CommandResult {
        let key = CatalogKeys.doomedManifest(name)
        guard var parts = try self.view.row(CatalogFamilies.rows, key, as: DoomedParts.self)?.parts
        else { return .manifestSwept(isDone: true) }
        // A range without rows costs a look as well, so looks are what is counted.
        for _ in 0..<CatalogLimits.partsPerSweep {
            guard let range = parts.ranges.first else { break }
            let part = try self.view.firstPart(
                of: name.manifest, in: name.bucket, from: range.lowerBound)
            if let part, part.number <= range.upperBound {
                try self.remove(part, of: name.manifest, in: name.bucket)
                parts.removeThrough(part.number)
            } else {
                parts.removeThrough(range.upperBound)
            }
        }
        if parts.isEmpty {
            self.delete(CatalogFamilies.rows, key)
            self.delete(CatalogFamilies.rows, CatalogKeys.doomedManifestAge(name))
        } else {
            self.put(CatalogFamilies.rows, key, DoomedParts(parts).row)
        }
        return .manifestSwept(isDone: parts.isEmpty)
    }

    /// Removes the row of a part, and what it refers to.
    mutating func remove(
        _ part: ManifestPart, of id: ManifestID, in bucket: BucketName
    ) throws(StoreFault) {
        self.delete(CatalogFamilies.manifests, CatalogKeys.part(part.number, of: id, in: bucket))
        try self.release(part.content, in: bucket)
    }

    /// Takes away what a part referred to.
    mutating func release(_ content: PartContent, in bucket: BucketName) throws(StoreFault) {
        switch content {
        case .chunks(let chunks):
            for chunk in chunks { try self.release(chunk, in: bucket.slot) }
        case .manifest(let id):
            if try self.isLastReference(to: id, in: bucket) { try self.remove(id, in: bucket) }
        }
    }
}

/// The row of a doomed manifest: its parts that are still to be released.
struct DoomedParts: WireMessage {
    private static let formatVersion: UInt8 = 1

    let parts: PartSet
    init(_ parts: PartSet) { self.parts = parts }

    func encode(into writer: inout ByteWriter) {
        writer.write(Self.formatVersion)
        writer.write(self.parts)
    }

    init(from reader: inout ByteReader) throws(FormatFault) {
        try reader.readVersion(Self.formatVersion)
        self.parts = try PartSet(from: &reader)
    }
}
