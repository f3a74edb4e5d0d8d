import Catalog
import OrderedStorage
import Primitives
import Testing
import Wire

@Suite struct RevokedLinkTests {
    /// Links that end so many seconds after the group's first entry.
    private static func link(_ number: UInt64, endsAfter seconds: Int64 = 3_600) -> RevokedLink {
        RevokedLink(expirySeconds: 1_000 + seconds, number: number)
    }

    private static func revoke(
        _ number: UInt64, endsAfter seconds: Int64 = 3_600, in bucket: BucketName = photos
    ) -> CatalogOperation {
        .revokeLink(RevokeLink(bucket: bucket, link: Self.link(number, endsAfter: seconds)))
    }

    private static func links(_ group: CatalogGroup) throws -> BucketLinks {
        unwrap(try group.view.bucket(photos)).links
    }

    @Test func `a revoked link stands on the bucket's list, which is another one from then on`()
        throws
    {
        let group = try CatalogGroup.withBucket()
        let fresh = try Self.links(group)
        #expect(fresh == BucketLinks(epoch: photosVersion))
        #expect(try group.send(Self.revoke(7)) == .linkRevoked)
        let changed = VersionID(index: group.index, ordinal: 0)
        #expect(
            try Self.links(group)
                == BucketLinks(epoch: fresh.epoch, revision: changed, revokedCount: 1))
        #expect(try group.send(Self.revoke(5)) == .linkRevoked)
        #expect(
            try group.view.answer(.revokedLinks(photos))
                == .revokedLinks(
                    RevokedLinks(
                        links: try Self.links(group), revoked: [Self.link(5), Self.link(7)])))
    }

    @Test func `a link is revoked once, however often it is asked for`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(Self.revoke(7))
        let before = try Self.links(group)
        #expect(try group.apply(operation: Self.revoke(7)) == .linkRevoked)
        #expect(try Self.links(group) == before)
    }

    @Test func `raising the epoch withdraws all links and forgets the list`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(Self.revoke(7))
        let result = try group.send(.raiseLinkEpoch(photos))
        let epoch = VersionID(index: group.index, ordinal: 0)
        #expect(result == .linkEpochRaised(epoch))
        #expect(try Self.links(group) == BucketLinks(epoch: epoch))
        #expect(try group.view.revokedLinks(of: photos, limit: 10).isEmpty)
    }

    @Test func `no epoch of a bucket is ever that of a later one of its name`() throws {
        let group = try CatalogGroup.withBucket()
        try group.send(.raiseLinkEpoch(photos))
        let old = try Self.links(group)
        try group.send(Self.revoke(7))
        #expect(try group.send(.deleteBucket(photos)) == .bucketDeleted)
        #expect(try group.view.answer(.revokedLinks(photos)) == .noSuchBucket)
        #expect(try group.view.revokedLinks(of: photos, limit: 10).isEmpty)
        try group.send(.createBucket(create(photos)))
        #expect(try Self.links(group).epoch > old.epoch)
        #expect(try Self.links(group).revokedCount == 0)
    }

    @Test func `links that are over make room, those that are not are kept`() throws {
        let group = try CatalogGroup.withBucket()
        for number in 0..<5 as Range<UInt64> { try group.send(Self.revoke(number, endsAfter: 10)) }
        try group.send(Self.revoke(9, endsAfter: 1_000))
        group.pass(.seconds(10) + CatalogLimits.revokedLinkMargin)
        try group.send(Self.revoke(10, endsAfter: 1_000))
        #expect(try Self.links(group).revokedCount == 7, "an edge may be behind")
        group.pass(.seconds(1))
        try group.send(Self.revoke(11, endsAfter: 1_000))
        let left = try group.view.revokedLinks(of: photos, limit: 10)
        #expect(left.map(\.number) == [9, 10, 11])
        #expect(try Self.links(group).revokedCount == 3)
        let before = try Self.links(group)
        #expect(try group.send(Self.revoke(12, endsAfter: 5)) == .linkRevoked)
        #expect(try Self.links(group) == before, "it is over anyway")
    }

    @Test func `a full list refuses more, until the epoch is raised`() throws {
        let group = try CatalogGroup.withBucket()
        let most = UInt64(CatalogLimits.revokedLinksPerBucket)
        try group.apply((0..<most).map { group.command(Self.revoke($0)) })
        #expect(try Self.links(group).revokedCount == most)
        #expect(try group.send(Self.revoke(most)) == .limitReached)
        #expect(try group.send(Self.revoke(0)) == .linkRevoked)
        try group.send(.raiseLinkEpoch(photos))
        #expect(try group.send(Self.revoke(most)) == .linkRevoked)
    }

    @Test func `a bucket that is not there has no links`() throws {
        let group = try CatalogGroup.withBucket()
        let other = bucketName("other")
        try group.own([other.slot])
        #expect(try group.send(Self.revoke(1, in: other)) == .noSuchBucket)
        #expect(try group.send(.raiseLinkEpoch(other)) == .noSuchBucket)
        #expect(try group.view.answer(.revokedLinks(other)) == .noSuchBucket)
    }

    @Test func `a withdrawal is taken when disks are full`() {
        #expect(!Self.revoke(1).grows && !CatalogOperation.raiseLinkEpoch(photos).grows)
    }
}
