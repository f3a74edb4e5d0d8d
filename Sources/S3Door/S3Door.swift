import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// Answers S3's protocol (Amazon S3 API Reference), path style, over buckets that belong to whoever
/// made them.
package struct S3Door: Sendable {
    let access: ObjectAccess
    let authenticator: RequestAuthenticator
    /// What `LocationConstraint` says. Signatures may name any region.
    let region: String

    package init(access: ObjectAccess, authenticator: RequestAuthenticator, region: String) {
        self.access = access
        self.authenticator = authenticator
        self.region = region
    }

    /// Answers one request. Everything that the head can decide is decided before a byte of the
    /// body is read, so that a client that waits to be told to go on is told the truth.
    package func respond(to exchange: DoorExchange) async {
        do throws(S3Refusal) {
            let query = try S3Query(exchange.head.query)
            if Self.isForm(exchange.head), !exchange.head.fields.contains("authorization") {
                return try await self.postObject(exchange, query)
            }
            // Who may not ask learns nothing of what would have been answered.
            let requester = try await self.authenticator.authenticate(exchange)
            let operation = try S3Operation(
                exchange.head.method, path: exchange.head.path, query: query)
            if let bucket = operation.ownedBucket {
                try await self.authorise(requester.owner, in: bucket, exchange)
            }
            try await self.carryOut(operation, Asked(exchange, query, requester))
        } catch {
            await exchange.refuse(error)
        }
    }

    /// A request with all that was learnt of it on the way.
    struct Asked {
        let exchange: DoorExchange
        let query: S3Query
        let requester: Requester

        init(_ exchange: DoorExchange, _ query: S3Query, _ requester: Requester) {
            self.exchange = exchange
            self.query = query
            self.requester = requester
        }

        var fields: Fields { self.exchange.head.fields }
        var deadline: Instant { self.exchange.deadline }

        func body(_ form: BodyForm) -> RequestBody {
            RequestBody(ExchangeBody(self.exchange), form, chain: self.requester.chain)
        }
    }

    /// A bucket and all in it belong to its owner alone.
    func authorise(
        _ requester: OwnerID, in bucket: BucketName, _ exchange: DoorExchange
    ) async throws(S3Refusal) {
        let owner = try await refusing { () throws(AccessFault) in
            try await self.access.owner(of: bucket, deadline: exchange.deadline)
        }
        guard owner == requester else { throw S3Refusal(.accessDenied) }
    }

    private func carryOut(_ operation: S3Operation, _ asked: Asked) async throws(S3Refusal) {
        switch operation {
        case .listBuckets: try await self.listBuckets(asked)
        case .createBucket(let name): try await self.createBucket(name, asked)
        case .headBucket(let name): try await self.headBucket(name, asked)
        case .deleteBucket(let name): try await self.deleteBucket(name, asked)
        case .bucketLocation: await self.tellLocation(asked)
        case .bucketVersioning: await self.tellVersioning(asked)
        case .listObjects(let bucket): try await self.listObjects(bucket, asked)
        case .deleteObjects(let bucket): try await self.deleteObjects(bucket, asked)
        // A form says itself who signed it, and was answered before.
        case .postObject:
            throw S3Refusal(
                .preconditionFailed, "Bucket POST must be of the enclosure-type multipart/form-data"
            )
        case .putObject(let bucket, let key): try await self.putObject(key, in: bucket, asked)
        case .getObject(let bucket, let key), .headObject(let bucket, let key):
            try await self.giveObject(key, in: bucket, asked)
        case .objectAttributes(let bucket, let key):
            try await self.tellAttributes(of: key, in: bucket, asked)
        case .deleteObject(let bucket, let key):
            try await self.deleteObject(key, in: bucket, asked)
        case .listMultipartUploads(let bucket): try await self.listUploads(bucket, asked)
        case .createMultipartUpload(let bucket, let key):
            try await self.createUpload(key, in: bucket, asked)
        case .uploadPart(let bucket, let key, let id, let number):
            try await self.uploadPart(number, of: UploadName(bucket: bucket, id: id), key, asked)
        case .listParts(let bucket, let key, let id):
            try await self.listParts(of: UploadName(bucket: bucket, id: id), key, asked)
        case .completeMultipartUpload(let bucket, let key, let id):
            try await self.completeUpload(UploadName(bucket: bucket, id: id), key, asked)
        case .abortMultipartUpload(let bucket, let key, let id):
            try await self.abortUpload(UploadName(bucket: bucket, id: id), key, asked)
        }
    }
}

/// Turns faults of access into what S3 calls them.
func refusing<Value>(
    _ work: () async throws(AccessFault) -> Value
) async throws(S3Refusal) -> Value {
    do throws(AccessFault) { return try await work() } catch { throw S3Refusal(of: error) }
}
