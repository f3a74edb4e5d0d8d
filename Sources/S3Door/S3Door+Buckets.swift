import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives

extension S3Door {
    func listBuckets(_ asked: Asked) async throws(S3Refusal) {
        let owner = asked.requester.owner
        let buckets = try await refusing { () throws(AccessFault) in
            try await self.access.buckets(of: owner, deadline: asked.deadline)
        }
        await asked.exchange.respond(xml: Self.bucketList(buckets, of: owner))
    }

    package static func bucketList(_ buckets: [Bucket], of owner: OwnerID) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("ListAllMyBucketsResult", namespace: XMLWriter.s3Namespace) { xml in
            xml.owner(owner)
            xml.element("Buckets") { xml in
                for bucket in buckets {
                    xml.element("Bucket") { xml in
                        xml.element("Name", bucket.name.text)
                        xml.element("CreationDate", ISOTime.text(bucket.created))
                    }
                }
            }
        }
        return xml
    }

    /// A configuration holds a region and tags; a cluster is one region, whatever it is called.
    private static let configurationLimitBytes = 64 << 10

    func createBucket(_ name: BucketName, _ asked: Asked) async throws(S3Refusal) {
        try AccessControl.check(asked.fields)
        if asked.fields.text("x-amz-bucket-object-lock-enabled")?.lowercased() == "true" {
            throw S3Refusal(.notImplemented, "Object lock is not implemented")
        }
        let body = try await self.collectBody(asked, limitBytes: Self.configurationLimitBytes)
        if !body.isEmpty { try BucketConfiguration.check(body) }
        let creation = try await refusing { () throws(AccessFault) in
            try await self.access.createBucket(
                name, owner: asked.requester.owner, deadline: asked.deadline)
        }
        switch creation {
        case .alreadyOwned: throw S3Refusal(.bucketAlreadyOwnedByYou)
        case .created:
            var fields = asked.exchange.makeFields()
            fields.addChecked("Location", "/\(name)")
            await asked.exchange.respond(.ok, fields)
        }
    }

    func headBucket(_ name: BucketName, _ asked: Asked) async throws(S3Refusal) {
        _ = try await refusing { () throws(AccessFault) in
            try await self.access.bucket(name, deadline: asked.deadline)
        }
        var fields = asked.exchange.makeFields()
        fields.addChecked("x-amz-bucket-region", self.region)
        fields.addChecked("Content-Type", "application/xml")
        await asked.exchange.respond(.ok, fields)
    }

    func deleteBucket(_ name: BucketName, _ asked: Asked) async throws(S3Refusal) {
        try await refusing { () throws(AccessFault) in
            try await self.access.deleteBucket(name, deadline: asked.deadline)
        }
        await asked.exchange.respond(.noContent, asked.exchange.makeFields())
    }

    /// The oldest region has no name here, for clients that were written before there were others.
    private static let unnamedRegion = "us-east-1"

    func tellLocation(_ asked: Asked) async {
        var xml = XMLWriter()
        let region = self.region == Self.unnamedRegion ? "" : self.region
        xml.element("LocationConstraint", namespace: XMLWriter.s3Namespace) { $0.text(region) }
        await asked.exchange.respond(xml: xml)
    }

    func tellVersioning(_ asked: Asked) async {
        var xml = XMLWriter()
        xml.element("VersioningConfiguration", namespace: XMLWriter.s3Namespace) { _ in }
        await asked.exchange.respond(xml: xml)
    }
}

extension XMLWriter {
    mutating func owner(_ owner: OwnerID) {
        self.element("Owner") { xml in
            xml.element("ID", owner.text)
            xml.element("DisplayName", owner.text)
        }
    }
}

/// The canned access lists that mean what is the case anyway: an owner's alone.
enum AccessControl {
    private static let harmless = ["private", "bucket-owner-full-control"]

    static func check(_ fields: Fields) throws(S3Refusal) {
        if let acl = fields.text("x-amz-acl"), !self.harmless.contains(acl) {
            throw S3Refusal(.accessControlListNotSupported)
        }
        for index in 0..<fields.count
        where fields.name(at: index).starts(with: "x-amz-grant-".utf8) {
            throw S3Refusal(.accessControlListNotSupported)
        }
    }
}
