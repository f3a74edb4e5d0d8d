package import OrderedStorage
internal import Primitives

extension CatalogView {
    /// The links of a bucket that were withdrawn one by one, those that end first first.
    package func revokedLinks(
        of bucket: BucketName, limit: Int
    ) throws(StoreFault) -> [RevokedLink] {
        let cursor = self.scan(
            CatalogFamilies.rows, KeyRange(prefix: CatalogKeys.revokedLinks(of: bucket)))
        var revoked: [RevokedLink] = []
        while revoked.count < limit, let pair = try cursor.next() {
            do throws(FormatFault) {
                revoked.append(try CatalogKeys.revokedLink(ofKey: pair.key))
            } catch {
                throw .corrupt("rows \(Hex.encode(pair.key)) is no revoked link: \(error)")
            }
        }
        return revoked
    }

    func answerRevokedLinks(of name: BucketName) throws(StoreFault) -> CatalogAnswer {
        guard let bucket = try self.bucket(name) else { return .noSuchBucket }
        let revoked = try self.revokedLinks(
            of: name, limit: CatalogLimits.revokedLinksPerBucket)
        return .revokedLinks(RevokedLinks(links: bucket.links, revoked: revoked))
    }
}
