import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives

/// What a request asks of S3 (path style), before anything is known of who asks.
package enum S3Operation: Equatable, Sendable {
    case listBuckets
    case createBucket(BucketName)
    case headBucket(BucketName)
    case deleteBucket(BucketName)
    case bucketLocation(BucketName)
    /// Versions are not kept: the answer is always that.
    case bucketVersioning(BucketName)
    case listObjects(BucketName)
    case deleteObjects(BucketName)
    /// By a browser's form.
    case postObject(BucketName)
    case listMultipartUploads(BucketName)
    case putObject(BucketName, ObjectKey)
    case getObject(BucketName, ObjectKey)
    case headObject(BucketName, ObjectKey)
    case objectAttributes(BucketName, ObjectKey)
    case deleteObject(BucketName, ObjectKey)
    case createMultipartUpload(BucketName, ObjectKey)
    case uploadPart(BucketName, ObjectKey, UploadID, PartNumber)
    case listParts(BucketName, ObjectKey, UploadID)
    case completeMultipartUpload(BucketName, ObjectKey, UploadID)
    case abortMultipartUpload(BucketName, ObjectKey, UploadID)

    /// Reads method, path and query; refuses what is no operation, or none that is here.
    package init(_ method: Method, path: ArraySlice<UInt8>, query: S3Query) throws(S3Refusal) {
        let (bucket, key) = try Self.split(path)
        guard let bucket else {
            self = try Self.ofService(method, query)
            return
        }
        guard let name = String(validating: bucket, as: UTF8.self).flatMap(BucketName.init) else {
            throw S3Refusal(.invalidBucketName)
        }
        if key.isEmpty {
            self = try Self.ofBucket(name, method, query)
            return
        }
        guard CatalogLimits.objectKeyBytes.contains(key.count) else {
            throw S3Refusal(.keyTooLong)
        }
        guard let key = ObjectKey(utf8: key) else {
            throw S3Refusal(.invalidURI, "The key is not UTF-8")
        }
        self = try Self.ofObject(name, key, method, query)
    }

    /// The first segment and all that follows its slash, decoded each; nothing is normalised.
    private static func split(
        _ path: ArraySlice<UInt8>
    ) throws(S3Refusal) -> (bucket: [UInt8]?, key: [UInt8]) {
        guard path.first == UInt8(ascii: "/") else { throw S3Refusal(.methodNotAllowed) }
        let rest = path.dropFirst()
        if rest.isEmpty { return (nil, []) }
        let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        guard let bucket = PercentCoding.decode(rest[..<slash]),
            let key = PercentCoding.decode(rest[slash...].dropFirst())
        else { throw S3Refusal(.invalidURI) }
        return (bucket, key)
    }

    private static func ofService(
        _ method: Method, _ query: S3Query
    ) throws(S3Refusal) -> S3Operation {
        guard method == .get else { throw S3Refusal(.methodNotAllowed) }
        try query.refuseSubresources()
        return .listBuckets
    }

    private static func ofBucket(
        _ bucket: BucketName, _ method: Method, _ query: S3Query
    ) throws(S3Refusal) -> S3Operation {
        switch method {
        case .get:
            if query.contains("location") { return .bucketLocation(bucket) }
            if query.contains("versioning") { return .bucketVersioning(bucket) }
            if query.contains("uploads") {
                try query.refuseSubresources(but: ["uploads"])
                return .listMultipartUploads(bucket)
            }
            try query.refuseSubresources()
            return .listObjects(bucket)
        case .head:
            try query.refuseSubresources()
            return .headBucket(bucket)
        case .put:
            try query.refuseAll(but: [])
            return .createBucket(bucket)
        case .delete:
            try query.refuseAll(but: [])
            return .deleteBucket(bucket)
        case .post:
            guard query.contains("delete") else {
                try query.refuseAll(but: [])
                return .postObject(bucket)
            }
            try query.refuseAll(but: ["delete"])
            return .deleteObjects(bucket)
        case .options, .patch, .other: throw S3Refusal(.methodNotAllowed)
        }
    }

    private static func ofObject(
        _ bucket: BucketName, _ key: ObjectKey, _ method: Method, _ query: S3Query
    ) throws(S3Refusal) -> S3Operation {
        switch method {
        case .get where query.contains("uploadId"):
            try query.refuseSubresources(but: ["uploadId"])
            return .listParts(bucket, key, try query.uploadID())
        case .get where query.contains("attributes"):
            try query.refuseSubresources(but: ["attributes"])
            try query.refuseVersions()
            return .objectAttributes(bucket, key)
        case .get, .head:
            try query.refuseSubresources(but: ["partNumber"])
            try query.refuseVersions()
            return method == .get ? .getObject(bucket, key) : .headObject(bucket, key)
        case .put where query.contains("uploadId") || query.contains("partNumber"):
            try query.refuseAll(but: ["uploadId", "partNumber"])
            return .uploadPart(bucket, key, try query.uploadID(), try query.partNumber())
        case .put:
            try query.refuseAll(but: [])
            return .putObject(bucket, key)
        case .delete where query.contains("uploadId"):
            try query.refuseAll(but: ["uploadId"])
            return .abortMultipartUpload(bucket, key, try query.uploadID())
        case .delete:
            try query.refuseAll(but: ["versionId"])
            try query.refuseVersions()
            return .deleteObject(bucket, key)
        case .post where query.contains("uploads"):
            try query.refuseAll(but: ["uploads"])
            return .createMultipartUpload(bucket, key)
        case .post where query.contains("uploadId"):
            try query.refuseAll(but: ["uploadId"])
            return .completeMultipartUpload(bucket, key, try query.uploadID())
        case .post: throw S3Refusal(.notImplemented)
        case .options, .patch, .other: throw S3Refusal(.methodNotAllowed)
        }
    }

    /// The bucket that the requester must own; nil for what concerns no bucket that is there yet.
    package var ownedBucket: BucketName? {
        switch self {
        case .listBuckets, .createBucket: nil
        case .headBucket(let bucket), .deleteBucket(let bucket), .bucketLocation(let bucket),
            .bucketVersioning(let bucket), .listObjects(let bucket), .deleteObjects(let bucket),
            .postObject(let bucket),
            .listMultipartUploads(let bucket), .putObject(let bucket, _),
            .getObject(let bucket, _), .headObject(let bucket, _), .deleteObject(let bucket, _),
            .objectAttributes(let bucket, _), .createMultipartUpload(let bucket, _),
            .uploadPart(let bucket, _, _, _),
            .listParts(let bucket, _, _), .completeMultipartUpload(let bucket, _, _),
            .abortMultipartUpload(let bucket, _, _):
            bucket
        }
    }

    /// What Amazon S3 calls the operations.
    package enum Name: String, CaseIterable, Sendable {
        case listBuckets = "ListBuckets"
        case createBucket = "CreateBucket"
        case headBucket = "HeadBucket"
        case deleteBucket = "DeleteBucket"
        case bucketLocation = "GetBucketLocation"
        case bucketVersioning = "GetBucketVersioning"
        case listObjects = "ListObjects"
        case deleteObjects = "DeleteObjects"
        case postObject = "PostObject"
        case putObject = "PutObject"
        case getObject = "GetObject"
        case headObject = "HeadObject"
        case objectAttributes = "GetObjectAttributes"
        case deleteObject = "DeleteObject"
        case listMultipartUploads = "ListMultipartUploads"
        case createMultipartUpload = "CreateMultipartUpload"
        case uploadPart = "UploadPart"
        case listParts = "ListParts"
        case completeMultipartUpload = "CompleteMultipartUpload"
        case abortMultipartUpload = "AbortMultipartUpload"
    }

    package var name: Name {
        switch self {
        case .listBuckets: .listBuckets
        case .createBucket: .createBucket
        case .headBucket: .headBucket
        case .deleteBucket: .deleteBucket
        case .bucketLocation: .bucketLocation
        case .bucketVersioning: .bucketVersioning
        case .listObjects: .listObjects
        case .deleteObjects: .deleteObjects
        case .postObject: .postObject
        case .putObject: .putObject
        case .getObject: .getObject
        case .headObject: .headObject
        case .objectAttributes: .objectAttributes
        case .deleteObject: .deleteObject
        case .listMultipartUploads: .listMultipartUploads
        case .createMultipartUpload: .createMultipartUpload
        case .uploadPart: .uploadPart
        case .listParts: .listParts
        case .completeMultipartUpload: .completeMultipartUpload
        case .abortMultipartUpload: .abortMultipartUpload
        }
    }
}
