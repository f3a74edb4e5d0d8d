import Catalog
import IORuntime
import Primitives

extension ObjectAccess {
    /// Opens the current version for reading; behind every write acknowledged before the call.
    ///
    /// - Parameter loop: the caller's.
    package func read(
        _ key: ObjectKey, in bucket: BucketName, on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> ObjectReader {
        switch try await self.query(.object(bucket, key, withManifest: true), deadline: deadline) {
        case .object(let head, let manifest):
            guard let manifest else {
                throw .broken("version \(head.version) came without its manifest")
            }
            let open = try await self.open(bucket, deadline: deadline, sealing: head.sealedFor)
            return try ObjectReader(
                head: head, manifest: manifest, access: self,
                bucket: .init(name: bucket, key: open.key), loop: loop)
        case .absent: throw .noSuchKey
        case .noSuchBucket: throw .noSuchBucket(bucket)
        case let other: throw .broken("asking for an object gave \(other)")
        }
    }

    /// The bucket whose key a version was sealed with. One remembered by the same name may be an
    /// earlier one, and its key would make every good copy of a chunk look bad.
    private func open(
        _ name: BucketName, deadline: Instant, sealing version: VersionID
    ) async throws(AccessFault) -> OpenBucket {
        let known = try await self.open(name, deadline: deadline)
        if known.bucket.version == version { return known }
        let fresh = try await self.open(name, deadline: deadline, isFreshOnly: true)
        guard fresh.bucket.version == version else {
            throw .unavailable("the bucket was deleted and made again meanwhile")
        }
        return fresh
    }
}
