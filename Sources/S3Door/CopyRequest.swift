import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives

/// What the head of a CopyObject says (Amazon S3 API Reference): from where, under which conditions,
/// and what the copy is to have.
package struct CopyRequest: Sendable {
    package let source: ObjectName
    package let conditions: Conditions
    package private(set) var options = CopyOptions()

    /// - Parameter target: what the copy is written to.
    package init(_ fields: Fields, to target: ObjectName) throws(S3Refusal) {
        try PutRequest.refuseUnknown(fields, mayCopy: true)
        self.source = try Self.source(fields)
        self.conditions = try Self.conditions(fields)
        self.options.precondition = try ObjectPrecondition(fields)
        if try Self.replacesMetadata(fields) {
            self.options.attributes = try ObjectAttributes(fields)
        } else if self.source == target, !Self.changesSomething(fields) {
            throw S3Refusal(
                .invalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself "
                    + "without changing the object's metadata, storage class, website redirect "
                    + "location or encryption attributes.")
        }
    }

    package func refusal(of head: ObjectHead) -> S3Refusal? {
        self.conditions.refusal(ofCopying: head)
    }

    // MARK: Reading

    private static let malformedSource = S3Refusal(
        .invalidArgument,
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")

    /// `bucket/key`, with a slash before it or not, percent-encoded, and a version behind it perhaps.
    package static func source(_ fields: Fields) throws(S3Refusal) -> ObjectName {
        guard let value = fields.first("x-amz-copy-source") else { throw self.malformedSource }
        let parts = value.split(
            separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count > 1 { try S3Query(parts[1]).refuseVersions() }
        guard let decoded = PercentCoding.decode(parts[0]) else { throw self.malformedSource }
        let slash = UInt8(ascii: "/")
        let path = decoded.first == slash ? decoded.dropFirst() : decoded[...]
        guard let end = path.firstIndex(of: slash),
            let name = String(validating: path[..<end], as: UTF8.self),
            let key = ObjectKey(utf8: Array(path[(end + 1)...]))
        else { throw self.malformedSource }
        guard let bucket = BucketName(name) else { throw S3Refusal(.invalidBucketName) }
        return ObjectName(bucket: bucket, key: key)
    }

    /// The conditions that `x-amz-copy-source-if-…` set on the source.
    package static func conditions(_ fields: Fields) throws(S3Refusal) -> Conditions {
        var conditions = Conditions()
        conditions.match = try self.tags(fields.joined("x-amz-copy-source-if-match"))
        conditions.noneMatch = try self.tags(fields.joined("x-amz-copy-source-if-none-match"))
        conditions.modifiedSince = fields.first("x-amz-copy-source-if-modified-since")
            .flatMap(HTTPDate.parse)
        conditions.unmodifiedSince = fields.first("x-amz-copy-source-if-unmodified-since")
            .flatMap(HTTPDate.parse)
        return conditions
    }

    private static func tags(_ value: [UInt8]?) throws(S3Refusal) -> EntityTagList? {
        guard let value else { return nil }
        guard let list = EntityTagList(value[...]) else {
            throw S3Refusal(.invalidArgument, "A condition on the copy's source is malformed")
        }
        return list
    }

    private static func replacesMetadata(_ fields: Fields) throws(S3Refusal) -> Bool {
        switch fields.text("x-amz-metadata-directive") {
        case nil, "COPY": return false
        case "REPLACE": return true
        default: throw S3Refusal(.invalidArgument, "Unknown metadata directive.")
        }
    }

    /// What we store is always so; but who asks for it has asked for something.
    private static func changesSomething(_ fields: Fields) -> Bool {
        fields.contains("x-amz-storage-class") || fields.contains("x-amz-server-side-encryption")
    }
}

extension Conditions {
    /// Why the source's version is not to be copied: to a copy, what a reader would be told is
    /// unchanged is a failed condition as well.
    package func refusal(ofCopying head: ObjectHead) -> S3Refusal? {
        guard let etag = HTTPSyntax.EntityTag(head.entityTag.text) else {
            return S3Refusal(.internalError, cause: "entity tag \(head.entityTag)")
        }
        let current = Validators(etag: etag, lastModified: head.modified)
        switch self.verdict(for: .get, current: current) {
        case .proceed: return nil
        case .notModified, .failed: return S3Refusal(.preconditionFailed)
        }
    }
}
