package import Primitives
internal import Wire

/// What a bucket's row says of the links into it, so that whoever knows the bucket knows which of
/// them are withdrawn, or that there is a list to ask for.
package struct BucketLinks: Equatable, Sendable {
    /// A link opens the bucket only if it carries just this. Born as the bucket's version, and
    /// raised to the version of the command that withdraws all links: so it never comes back, not
    /// even in a later bucket of the same name.
    package let epoch: VersionID
    /// Which list of revoked links stands beside the bucket: changes whenever that does.
    package let revision: VersionID
    /// Links on the list.
    package let revokedCount: UInt32

    package init(epoch: VersionID, revision: VersionID, revokedCount: UInt32) {
        self.epoch = epoch
        self.revision = revision
        self.revokedCount = revokedCount
    }

    /// Of a bucket that was just made, or whose links were all withdrawn.
    package init(epoch: VersionID) {
        self.init(epoch: epoch, revision: epoch, revokedCount: 0)
    }
}

/// A link that was withdrawn before its end.
package struct RevokedLink: Hashable, Comparable, Sendable {
    /// Seconds since 1970 at which the link ends, and is remembered no longer.
    package let expirySeconds: Int64
    /// The link's own number, as its policy has it.
    package let number: UInt64

    package init(expirySeconds: Int64, number: UInt64) {
        self.expirySeconds = expirySeconds
        self.number = number
    }

    package static func < (a: Self, b: Self) -> Bool {
        (a.expirySeconds, a.number) < (b.expirySeconds, b.number)
    }
}

/// The links of a bucket that are withdrawn one by one, all of one moment.
package struct RevokedLinks: Equatable, Sendable {
    package let links: BucketLinks
    /// In the order of their ends; at most `CatalogLimits.revokedLinksPerBucket`.
    package let revoked: [RevokedLink]

    package init(links: BucketLinks, revoked: [RevokedLink]) {
        self.links = links
        self.revoked = revoked
    }
}

/// Withdraws one link of a bucket until its end.
package struct RevokeLink: Equatable, Sendable {
    package let bucket: BucketName
    package let link: RevokedLink

    package init(bucket: BucketName, link: RevokedLink) {
        self.bucket = bucket
        self.link = link
    }
}

extension BucketLinks: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.epoch.rawValue)
        writer.write(self.revision.rawValue)
        writer.write(self.revokedCount)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            epoch: VersionID(rawValue: try reader.read()),
            revision: VersionID(rawValue: try reader.read()), revokedCount: try reader.read())
    }
}

extension RevokedLink: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.expirySeconds)
        writer.write(self.number)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(expirySeconds: try reader.read(), number: try reader.read())
    }
}

extension RevokedLinks: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.links)
        writer.writeMessages(self.revoked)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            links: try BucketLinks(from: &reader),
            revoked: try reader.readMessages(
                field: "revoked links", limit: CatalogLimits.revokedLinksPerBucket))
    }
}

extension RevokeLink: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.write(self.bucket)
        writer.write(self.link)
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        self.init(
            bucket: try BucketName(from: &reader), link: try RevokedLink(from: &reader))
    }
}
