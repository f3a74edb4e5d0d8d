import Catalog
import IORuntime
import Primitives
import Telemetry

/// An object among all buckets.
package struct ObjectName: Equatable, Hashable, Sendable {
    package let bucket: BucketName
    package let key: ObjectKey

    package init(bucket: BucketName, key: ObjectKey) {
        self.bucket = bucket
        self.key = key
    }
}

/// What a copy is to have, beside the bytes.
package struct CopyOptions: Sendable {
    /// Nil: what the source has.
    package var attributes: ObjectAttributes?
    /// Of the object that the copy takes the place of.
    package var precondition = ObjectPrecondition.none

    package init() {}
}

/// What became of a copy.
package struct CopiedObject: Equatable, Sendable {
    package let version: VersionID
    package let modified: Timestamp
    package let entityTag: EntityTag
    package let checksums: [ObjectChecksum]
    package let sizeBytes: UInt64

    package init(
        version: VersionID, modified: Timestamp, entityTag: EntityTag,
        checksums: [ObjectChecksum], sizeBytes: UInt64
    ) {
        self.version = version
        self.modified = modified
        self.entityTag = entityTag
        self.checksums = checksums
        self.sizeBytes = sizeBytes
    }
}

extension ObjectAccess {
    /// How often a copy is tried again because its source changed meanwhile.
    private static let mostCopies = 8

    /// Makes an object's bytes those of another. Inside one bucket no byte moves, whatever the size:
    /// both objects share one manifest, and the copy keeps entity tag and checksums. Between buckets,
    /// which have different keys, the bytes are read and stored again.
    ///
    /// - Parameters:
    ///   - loop: the caller's.
    ///   - check: why the source's version is not to be copied, if it is not; asked of each version
    ///     that is about to be. What it let pass is what is copied.
    package func copy<Refusal: Error>(
        _ source: ObjectName, to target: ObjectName, _ options: CopyOptions,
        on loop: any EventLoop, deadline: Instant, check: (ObjectHead) -> Refusal?
    ) async throws(AccessFault) -> Result<CopiedObject, Refusal> {
        guard source.bucket == target.bucket else {
            return try await self.move(
                source, to: target, options, on: loop, deadline: deadline, check: check)
        }
        for _ in 0..<Self.mostCopies {
            let head = try await self.head(source.key, in: source.bucket, deadline: deadline)
            if let refusal = check(head) { return .failure(refusal) }
            let copy = CopyObject(
                bucket: source.bucket, source: source.key, version: head.version, key: target.key,
                attributes: options.attributes, precondition: options.precondition)
            switch try await self.submit(.copyObject(copy), deadline: deadline) {
            case .stored(let version, let modified):
                self.counters.objectsCopied.add()
                return .success(
                    CopiedObject(
                        version: version, modified: modified, entityTag: head.entityTag,
                        checksums: head.checksums, sizeBytes: head.size))
            case .sourceChanged: continue
            case .preconditionFailed: throw .preconditionFailed
            case .noSuchKey: throw .noSuchKey
            case .noSuchBucket: throw .noSuchBucket(source.bucket)
            case let other: throw .broken("copying an object gave \(other)")
            }
        }
        throw .unavailable("the source of a copy goes on changing")
    }

    /// Copies between buckets: through this node, in its usual memory.
    private func move<Refusal: Error>(
        _ source: ObjectName, to target: ObjectName, _ options: CopyOptions,
        on loop: any EventLoop, deadline: Instant, check: (ObjectHead) -> Refusal?
    ) async throws(AccessFault) -> Result<CopiedObject, Refusal> {
        let reader = try await self.read(
            source.key, in: source.bucket, on: loop, deadline: deadline)
        if let refusal = check(reader.head) { return .failure(refusal) }
        let body = ObjectBody(reader)
        var put = PutOptions()
        put.attributes = options.attributes ?? reader.head.attributes
        put.precondition = options.precondition
        put.stated.sizeBytes = reader.head.size
        put.stated.sha256 = reader.head.sha256
        do throws(AccessFault) {
            let stored = try await self.put(
                target.key, in: target.bucket, body, put, on: loop, deadline: deadline)
            return .success(
                CopiedObject(
                    version: stored.version, modified: stored.modified,
                    entityTag: stored.entityTag, checksums: stored.checksums,
                    sizeBytes: stored.sizeBytes))
        } catch { throw body.fault ?? error }
    }
}

extension ObjectAccess {
    /// Stores bytes of an object as a part of an upload: they are read and stored again.
    ///
    /// - Parameters:
    ///   - loop: the caller's.
    ///   - choose: which bytes of the source's version, or why none.
    package func copyPart<Refusal: Error>(
        _ number: PartNumber, of id: UploadID, of target: ObjectName, from source: ObjectName,
        on loop: any EventLoop, deadline: Instant,
        choose: (ObjectHead) -> Result<Range<UInt64>, Refusal>
    ) async throws(AccessFault) -> Result<StoredPart, Refusal> {
        let reader = try await self.read(
            source.key, in: source.bucket, on: loop, deadline: deadline)
        let range: Range<UInt64>
        switch choose(reader.head) {
        case .success(let chosen): range = chosen
        case .failure(let refusal): return .failure(refusal)
        }
        reader.restrict(to: range)
        let body = ObjectBody(reader)
        var stated = StatedBody()
        stated.sizeBytes = UInt64(range.count)
        do throws(AccessFault) {
            return .success(
                try await self.putPart(
                    number, of: id, of: target.key, in: target.bucket, body, stated: stated,
                    on: loop, deadline: deadline))
        } catch { throw body.fault ?? error }
    }
}

/// The bytes of an object as the body of another.
private final class ObjectBody: BodySource {
    private let reader: ObjectReader
    private let isWhole: Bool
    private var rest: ArraySlice<UInt8> = []
    /// Why reading ended, where that says more than a `BodyFault`.
    private(set) var fault: AccessFault?

    init(_ reader: ObjectReader) {
        self.reader = reader
        self.isWhole = reader.remainingBytes == reader.head.size
    }

    func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        if self.rest.isEmpty {
            do throws(AccessFault) { self.rest = try await self.reader.next() ?? [] } catch {
                self.fault = error
                throw .truncated
            }
        }
        let part = self.rest.prefix(limit)
        self.rest = self.rest.dropFirst(limit)
        return Array(part)
    }

    /// Those of the whole object are those of the whole copy; a checksum of the parts' checksums is
    /// not.
    var verifiedChecksums: [ObjectChecksum] {
        self.isWhole ? self.reader.head.checksums.filter { $0.partCount == 0 } : []
    }
}
