internal import OrderedStorage
internal import Primitives
internal import Wire

/// Withdrawing links: one by one until they end, or all of a bucket at once.
extension EntryApplication {
    mutating func revoke(
        _ revoke: RevokeLink, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        guard let bucket = try self.bucket(revoke.bucket) else { return .noSuchBucket }
        let key = CatalogKeys.revokedLink(revoke.link, of: revoke.bucket)
        guard try self.view.value(CatalogFamilies.rows, key) == nil else { return .linkRevoked }
        guard !self.isForgotten(revoke.link) else { return .linkRevoked }

        var count = bucket.links.revokedCount
        let oldest = try self.view.revokedLinks(
            of: revoke.bucket, limit: CatalogLimits.revokedLinksSwept)
        for link in oldest where self.isForgotten(link) {
            self.delete(CatalogFamilies.rows, CatalogKeys.revokedLink(link, of: revoke.bucket))
            count -= 1
        }
        guard count < CatalogLimits.revokedLinksPerBucket else { return .limitReached }
        self.put(CatalogFamilies.rows, key, [])
        self.setBucket(
            revoke.bucket,
            bucket.with(
                links: BucketLinks(
                    epoch: bucket.links.epoch, revision: self.version(above: versionBase),
                    revokedCount: count + 1)))
        return .linkRevoked
    }

    /// Whether the link has been over for so long that every edge refuses it for its time.
    private func isForgotten(_ link: RevokedLink) -> Bool {
        let margin = CatalogLimits.revokedLinkMargin.components.seconds
        return link.expirySeconds < self.now.seconds - margin
    }

    mutating func raiseLinkEpoch(
        of name: BucketName, versionBase: UInt64
    ) throws(StoreFault) -> CommandResult {
        guard let bucket = try self.bucket(name) else { return .noSuchBucket }
        // The list speaks of links that carry an older epoch, which none will open anything by.
        try self.dropRevokedLinks(of: name)
        let epoch = self.version(above: versionBase)
        self.setBucket(name, bucket.with(links: BucketLinks(epoch: epoch)))
        return .linkEpochRaised(epoch)
    }

    mutating func dropRevokedLinks(of bucket: BucketName) throws(StoreFault) {
        let revoked = try self.view.revokedLinks(
            of: bucket, limit: CatalogLimits.revokedLinksPerBucket)
        for link in revoked {
            self.delete(CatalogFamilies.rows, CatalogKeys.revokedLink(link, of: bucket))
        }
    }
}
