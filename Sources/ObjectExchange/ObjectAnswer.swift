import Catalog
import HTTPSyntax
import ObjectAccess
import Primitives

/// How the current version of an object is given out, over either door.
package struct ObjectAnswer {
    /// Values that take the place of stored ones, by their names in lower case: the `response-…`
    /// parameters of S3, and the freshness that a link sets.
    package var overrides: [(name: String, value: String)] = []
    /// Whether stored checksums are told (`x-amz-checksum-mode: ENABLED`).
    package var tellsChecksums = false
    /// The one version that may be given out; nil: any.
    package var onlyVersion: [UInt8]?
    /// How old the version that is given out may be.
    package var age = ReadAge.current

    package init() {}

    /// Answers GET or HEAD.
    package func give(
        _ key: ObjectKey, in bucket: BucketName, of access: ObjectAccess,
        to exchange: DoorExchange
    ) async throws(S3Refusal) {
        if exchange.head.method == .head {
            let head: ObjectHead
            do throws(AccessFault) {
                head = try await access.head(
                    key, in: bucket, age: self.age, deadline: exchange.deadline)
            } catch { throw S3Refusal(of: error) }
            if let (status, fields, range) = try await self.begin(head, exchange) {
                exchange.respondToHead(status, fields, length: UInt64(range.count))
            }
            return
        }
        let reader: ObjectReader
        do throws(AccessFault) {
            reader = try await access.read(
                key, in: bucket, age: self.age, on: exchange.loop, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        if let (status, fields, range) = try await self.begin(reader.head, exchange) {
            reader.restrict(to: range)
            try await exchange.stream(status, fields, reader)
        }
    }

    /// Nil when the answer was given already.
    private func begin(
        _ head: ObjectHead, _ exchange: DoorExchange
    ) async throws(S3Refusal) -> (Status, FieldBlock, Range<UInt64>)? {
        if let only = self.onlyVersion, only != Array(head.version.description.utf8) {
            throw S3Refusal(.noSuchVersion)
        }
        let plan = try ReadPlan(exchange.head.method, exchange.head.fields, head)
        var fields = exchange.makeFields()
        switch plan {
        case .whole:
            self.describe(head, isWhole: true, in: &fields)
            return (.ok, fields, 0..<head.size)
        case .partial(let range):
            self.describe(head, isWhole: false, in: &fields)
            fields.add(.bytes(range, size: head.size))
            return (.partialContent, fields, range)
        case .notModified:
            self.addValidators(of: head, to: &fields)
            self.addStored(
                head.attributes.headers.filter {
                    $0.name == "cache-control" || $0.name == "expires"
                },
                to: &fields)
            await exchange.respond(.notModified, fields)
            return nil
        case .preconditionFailed: throw S3Refusal(.preconditionFailed)
        case .unsatisfiable:
            var refusal = S3Refusal(.invalidRange)
            refusal.unsatisfiedSize = head.size
            refusal.details = [.init("ActualObjectSize", "\(head.size)")]
            throw refusal
        }
    }

    private func addValidators(of head: ObjectHead, to fields: inout FieldBlock) {
        if let tag = HTTPSyntax.EntityTag(head.entityTag.text) { fields.add(etag: tag) }
        fields.add("Last-Modified", date: head.modified)
    }

    private func addStored(_ stored: [ObjectField], to fields: inout FieldBlock) {
        for field in stored where !self.overrides.contains(where: { $0.name == field.name }) {
            fields.addChecked(field.name, field.value)
        }
        for (name, value) in self.overrides where name != "content-type" {
            fields.addChecked(name, value)
        }
    }

    private static let defaultContentType = "binary/octet-stream"

    /// The fields of a 200 or 206.
    func describe(_ head: ObjectHead, isWhole: Bool, in fields: inout FieldBlock) {
        self.addValidators(of: head, to: &fields)
        fields.addChecked("Accept-Ranges", "bytes")
        let override = self.overrides.first { $0.name == "content-type" }?.value
        fields.addChecked(
            "Content-Type", override ?? head.attributes.contentType ?? Self.defaultContentType)
        self.addStored(head.attributes.headers, to: &fields)
        for field in head.attributes.metadata {
            fields.addChecked("x-amz-meta-\(field.name)", field.value)
        }
        if let sha256 = head.sha256 {
            fields.addChecked("x-holdfast-sha256", Hex.encode(sha256))
        }
        // A part does not have the checksum of the whole, and clients would hold it against it.
        if self.tellsChecksums, isWhole { head.checksums.add(to: &fields) }
    }
}

extension [ObjectChecksum] {
    /// As `x-amz-checksum-…` fields.
    ///
    /// - Parameter withType: whether it is said how they came about; of a part there is one way.
    package func add(to fields: inout FieldBlock, withType: Bool = true) {
        for checksum in self {
            let parts = checksum.partCount == 0 ? "" : "-\(checksum.partCount)"
            fields.addChecked(
                "x-amz-checksum-\(checksum.algorithm.name)", Base64.encode(checksum.value) + parts)
        }
        guard withType, let first = self.first else { return }
        fields.addChecked(
            "x-amz-checksum-type", first.partCount == 0 ? "FULL_OBJECT" : "COMPOSITE")
    }
}

extension ChecksumAlgorithm {
    /// In lower case, as in a field's name.
    package var name: String {
        switch self {
        case .crc32: "crc32"
        case .crc32c: "crc32c"
        case .crc64nvme: "crc64nvme"
        case .sha1: "sha1"
        case .sha256: "sha256"
        }
    }
}
