import Catalog
import IORuntime
import Primitives

extension ObjectAccess {
    /// The current version's head.
    ///
    /// - Parameter age: how old it may be.
    package func head(
        _ key: ObjectKey, in bucket: BucketName, age: ReadAge = .current, deadline: Instant
    ) async throws(AccessFault) -> ObjectHead {
        let current = try await self.current(
            key, in: bucket, withContent: false, age: age, deadline: deadline)
        guard case .present(let head, _) = current else { throw .noSuchKey }
        return head
    }

    /// Opens the current version for reading.
    ///
    /// - Parameters:
    ///   - age: how old it may be.
    ///   - loop: the caller's.
    package func read(
        _ key: ObjectKey, in bucket: BucketName, age: ReadAge = .current,
        on loop: any EventLoop, deadline: Instant
    ) async throws(AccessFault) -> ObjectReader {
        let current = try await self.current(
            key, in: bucket, withContent: true, age: age, deadline: deadline)
        guard case .present(let head, let content) = current else { throw .noSuchKey }
        let open = try await self.open(bucket, deadline: deadline, sealing: head.sealedFor)
        return try ObjectReader(
            head: head, content: content, access: self,
            bucket: .init(name: bucket, key: open.key), loop: loop)
    }

    /// The bucket whose key a version was sealed with. One remembered by the same name may be an
    /// earlier one, and its key would make every good copy of a chunk look bad.
    func open(
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
