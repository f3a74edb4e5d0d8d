import Catalog
import ClusterClient
import Primitives

/// What becomes of links into a bucket once they are out in the world.
extension ObjectAccess {
    package enum LinkRevocation: Equatable, Sendable {
        case revoked
        /// The bucket remembers as many as it may; all of its links can still be withdrawn at once.
        case listFull
    }

    /// Withdraws one link until its end: at every edge that metadata reaches within
    /// `bucketLifetime`, and here at once.
    package func revoke(
        _ link: RevokedLink, in bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> LinkRevocation {
        let revoke = RevokeLink(bucket: bucket, link: link)
        let result = try await self.submit(.revokeLink(revoke), deadline: deadline)
        self.buckets.forget(bucket)
        switch result {
        case .linkRevoked: return .revoked
        case .limitReached: return .listFull
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case let other: throw .broken("revoking a link gave \(other)")
        }
    }

    /// Withdraws every link into a bucket that was made so far, as soon as `revoke` does.
    package func revokeAllLinks(
        into bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) {
        let result = try await self.submit(.raiseLinkEpoch(bucket), deadline: deadline)
        self.buckets.forget(bucket)
        switch result {
        case .linkEpochRaised: return
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case let other: throw .broken("withdrawing the links of a bucket gave \(other)")
        }
    }

    /// The links that were withdrawn one by one; nil where there is no such bucket.
    package func revokedLinks(
        of bucket: BucketName, deadline: Instant
    ) async throws(AccessFault) -> RevokedLinks? {
        switch try await self.query(.revokedLinks(bucket), deadline: deadline) {
        case .revokedLinks(let revoked): return revoked
        case .noSuchBucket: return nil
        case let other: throw .broken("asking for revoked links gave \(other)")
        }
    }
}
