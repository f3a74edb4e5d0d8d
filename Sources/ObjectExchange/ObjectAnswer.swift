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

    /// What a `Range` field means.
    package var ranges = RangeCustom.single
    /// The one part of the object that is wanted, of those it was written in; nil: all.
    package var part: PartNumber?

    package init() {}

    /// Answers GET or HEAD.
    package func give(
        _ key: ObjectKey, in bucket: BucketName, of access: ObjectAccess,
        to exchange: DoorExchange
    ) async throws(S3Refusal) {
        // Where parts lie, only a reader knows.
        if exchange.head.method == .head, self.part == nil {
            let head: ObjectHead
            do throws(AccessFault) {
                head = try await access.head(
                    key, in: bucket, age: self.age, deadline: exchange.deadline)
            } catch { throw S3Refusal(of: error) }
            if let begun = try await self.begin(head, exchange) {
                exchange.respondToHead(begun.status, begun.fields, length: begun.lengthBytes)
            }
            return
        }
        let reader: ObjectReader
        do throws(AccessFault) {
            reader = try await access.read(
                key, in: bucket, age: self.age, on: exchange.loop, deadline: exchange.deadline)
        } catch { throw S3Refusal(of: error) }
        let part = try self.wantedPart(of: reader, exchange)
        guard let begun = try await self.begin(reader.head, exchange, part) else { return }
        if exchange.head.method == .head {
            exchange.respondToHead(begun.status, begun.fields, length: begun.lengthBytes)
        } else {
            try await exchange.stream(begun.status, begun.fields, begun.body, of: reader)
        }
    }

    /// A part as it stands in the whole.
    package struct WantedPart: Equatable, Sendable {
        package let range: Range<UInt64>
        /// How many there are; nil where the object was written whole, which is one part as well.
        package let partCount: Int?

        package init(range: Range<UInt64>, partCount: Int?) {
            self.range = range
            self.partCount = partCount
        }
    }

    private func wantedPart(
        of reader: ObjectReader, _ exchange: DoorExchange
    ) throws(S3Refusal) -> WantedPart? {
        guard let number = self.part else { return nil }
        guard !exchange.head.fields.contains("range") else {
            throw S3Refusal(
                .invalidRequest, "Cannot specify both Range header and partNumber query parameter")
        }
        return try Self.part(number, of: reader.head, reader.parts)
    }

    /// What is stored in parts was not always sent in parts: a long body is cut by the edge. The
    /// entity tag tells.
    package static func isInParts(_ head: ObjectHead) -> Bool {
        head.entityTag.text.utf8.contains(UInt8(ascii: "-"))
    }

    package static func part(
        _ number: PartNumber, of head: ObjectHead, _ table: PartTable?
    ) throws(S3Refusal) -> WantedPart {
        guard self.isInParts(head), let table else {
            guard number == .least else { throw S3Refusal(.invalidPartNumber) }
            return WantedPart(range: 0..<head.size, partCount: nil)
        }
        guard let place = table.part(number) else { throw S3Refusal(.invalidPartNumber) }
        return WantedPart(range: place.range, partCount: table.partCount)
    }

    /// A response whose head is made.
    private struct Begun {
        let status: Status
        let fields: FieldBlock
        let body: OutgoingRanges
        var lengthBytes: UInt64 { self.body.lengthBytes }
    }

    /// Nil when the answer was given already.
    private func begin(
        _ head: ObjectHead, _ exchange: DoorExchange, _ part: WantedPart? = nil
    ) async throws(S3Refusal) -> Begun? {
        if let only = self.onlyVersion, only != Array(head.version.description.utf8) {
            throw S3Refusal(.noSuchVersion)
        }
        let plan = try ReadPlan(
            exchange.head.method, exchange.head.fields, head, ranges: self.ranges,
            part: part?.range)
        var fields = exchange.makeFields()
        if let count = part?.partCount { fields.add("x-amz-mp-parts-count", number: count) }
        switch plan {
        case .whole:
            self.describe(head, isWhole: true, in: &fields)
            return Begun(status: .ok, fields: fields, body: .one(0..<head.size))
        case .partial(let range):
            self.describe(head, isWhole: false, in: &fields)
            fields.add(.bytes(range, size: head.size))
            return Begun(status: .partialContent, fields: fields, body: .one(range))
        case .several(let ranges):
            let body = MultipartRanges(
                ranges, of: head.size, contentType: self.contentType(of: head),
                boundary: "holdfast-\(exchange.id.text)")
            self.describe(head, isWhole: false, in: &fields, contentType: body.contentType)
            return Begun(status: .partialContent, fields: fields, body: .several(body))
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

    private func contentType(of head: ObjectHead) -> String {
        let override = self.overrides.first { $0.name == "content-type" }?.value
        return override ?? head.attributes.contentType ?? Self.defaultContentType
    }

    /// The fields of a 200 or 206.
    ///
    /// - Parameter contentType: of the body, where that is another than the object's.
    func describe(
        _ head: ObjectHead, isWhole: Bool, in fields: inout FieldBlock, contentType: String? = nil
    ) {
        self.addValidators(of: head, to: &fields)
        fields.addChecked("Accept-Ranges", "bytes")
        fields.addChecked("Content-Type", contentType ?? self.contentType(of: head))
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
