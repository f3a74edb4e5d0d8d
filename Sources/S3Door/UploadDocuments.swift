import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives

/// The documents that answer requests about uploads (Amazon S3 API Reference).
package enum UploadDocuments {
    package static func opened(
        _ upload: UploadID, of key: ObjectKey, in bucket: BucketName
    ) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("InitiateMultipartUploadResult", namespace: XMLWriter.s3Namespace) { xml in
            xml.element("Bucket", bucket.text)
            xml.element("Key", utf8: key.utf8)
            xml.element("UploadId", upload.text)
        }
        return xml
    }

    package static func completed(
        _ key: ObjectKey, in bucket: BucketName, location: String, entityTag: String,
        checksums: [ObjectChecksum]
    ) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("CompleteMultipartUploadResult", namespace: XMLWriter.s3Namespace) { xml in
            xml.element("Location", location)
            xml.element("Bucket", bucket.text)
            xml.element("Key", utf8: key.utf8)
            xml.element("ETag", "\"\(entityTag)\"")
            xml.checksums(checksums, withType: true)
        }
        return xml
    }

    package static func listing(
        of page: UploadPage, in bucket: BucketName, _ request: UploadListingRequest, owner: OwnerID
    ) -> XMLWriter {
        func coded(_ name: [UInt8]) -> [UInt8] {
            request.encodesNames ? PercentCoding.encode(name, keepingSlashes: true) : name
        }
        var xml = XMLWriter()
        xml.element("ListMultipartUploadsResult", namespace: XMLWriter.s3Namespace) { xml in
            xml.element("Bucket", bucket.text)
            xml.element("KeyMarker", utf8: coded(request.keyMarker))
            xml.element("UploadIdMarker", request.uploadMarker?.text ?? "")
            if let next = page.next {
                xml.element("NextKeyMarker", utf8: coded(next.key))
                xml.element("NextUploadIdMarker", next.upload?.text ?? "")
            }
            xml.element("Prefix", utf8: coded(request.prefix))
            if !request.delimiter.isEmpty {
                xml.element("Delimiter", utf8: coded(request.delimiter))
            }
            if request.encodesNames { xml.element("EncodingType", "url") }
            xml.element("MaxUploads", request.maxUploads)
            xml.element("IsTruncated", page.next != nil)
            for upload in page.uploads {
                xml.element("Upload") { xml in
                    xml.element("Key", utf8: coded(upload.key.utf8))
                    xml.element("UploadId", upload.id.text)
                    xml.person("Initiator", owner)
                    xml.person("Owner", owner)
                    xml.element("StorageClass", "STANDARD")
                    xml.element("Initiated", ISOTime.text(upload.opened))
                    if let checksum = upload.checksum { xml.checksumKind(checksum) }
                }
            }
            for prefix in page.commonPrefixes {
                xml.element("CommonPrefixes") { $0.element("Prefix", utf8: coded(prefix)) }
            }
        }
        return xml
    }

    package static func listing(
        of page: UploadPartPage, of upload: UploadName, _ key: ObjectKey,
        checksum: UploadChecksum?, after marker: PartNumber?, limit: Int, owner: OwnerID
    ) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("ListPartsResult", namespace: XMLWriter.s3Namespace) { xml in
            xml.element("Bucket", upload.bucket.text)
            xml.element("Key", utf8: key.utf8)
            xml.element("UploadId", upload.id.text)
            xml.person("Initiator", owner)
            xml.person("Owner", owner)
            xml.element("StorageClass", "STANDARD")
            if let checksum { xml.checksumKind(checksum) }
            xml.element("PartNumberMarker", marker?.rawValue ?? 0)
            if page.isTruncated, let last = page.parts.last {
                xml.element("NextPartNumberMarker", last.number.rawValue)
            }
            xml.element("MaxParts", limit)
            xml.element("IsTruncated", page.isTruncated)
            for part in page.parts {
                xml.element("Part") { xml in
                    xml.element("PartNumber", part.number.rawValue)
                    xml.element("LastModified", ISOTime.text(part.modified))
                    xml.element("ETag", "\"\(part.entityTag)\"")
                    xml.element("Size", part.size)
                    xml.checksums(part.checksums, withType: false)
                }
            }
        }
        return xml
    }
}

extension UploadListStart {
    /// What the markers of the next page say.
    fileprivate var key: [UInt8] {
        switch self {
        case .beginning: []
        case .afterKey(let key), .after(let key, _), .afterPrefix(let key): key
        }
    }

    fileprivate var upload: UploadID? {
        switch self {
        case .beginning, .afterKey, .afterPrefix: nil
        case .after(_, let id): id
        }
    }
}

extension XMLWriter {
    fileprivate mutating func person(_ name: StaticString, _ owner: OwnerID) {
        self.element(name) { xml in
            xml.element("ID", owner.text)
            xml.element("DisplayName", owner.text)
        }
    }

    fileprivate mutating func checksumKind(_ checksum: UploadChecksum) {
        self.element("ChecksumAlgorithm", checksum.algorithm.name.uppercased())
        self.element("ChecksumType", checksum.kind.text)
    }

    /// As elements such as `ChecksumCRC32`.
    mutating func checksums(_ checksums: [ObjectChecksum], withType: Bool) {
        for checksum in checksums {
            let parts = checksum.partCount == 0 ? "" : "-\(checksum.partCount)"
            self.element(
                named: "Checksum\(checksum.algorithm.name.uppercased())",
                Base64.encode(checksum.value) + parts)
        }
        guard withType, let first = checksums.first else { return }
        self.element("ChecksumType", first.partCount == 0 ? "FULL_OBJECT" : "COMPOSITE")
    }
}

extension UploadChecksum.Kind {
    var text: String {
        switch self {
        case .composite: "COMPOSITE"
        case .fullObject: "FULL_OBJECT"
        }
    }

    init?(text: String) {
        switch text {
        case "COMPOSITE": self = .composite
        case "FULL_OBJECT": self = .fullObject
        default: return nil
        }
    }
}

extension UploadChecksum {
    /// What the fields of CreateMultipartUpload ask for: an algorithm, and how the whole's checksum
    /// comes from the parts' (Amazon S3, "Checking object integrity").
    static func asked(by fields: Fields) throws(S3Refusal) -> UploadChecksum? {
        let kindText = fields.text("x-amz-checksum-type")?.uppercased()
        guard let name = fields.text("x-amz-checksum-algorithm")?.lowercased() else {
            guard kindText == nil else {
                throw S3Refusal(
                    .invalidRequest, "x-amz-checksum-type needs x-amz-checksum-algorithm")
            }
            return nil
        }
        guard let algorithm = ChecksumAlgorithm.allCases.first(where: { $0.name == name }) else {
            throw S3Refusal(.invalidRequest, "Checksum algorithm provided is unsupported")
        }
        let usual: Kind = algorithm == .crc64nvme ? .fullObject : .composite
        guard let kind = kindText.map({ Kind(text: $0) }) ?? usual else {
            throw S3Refusal(.invalidRequest, "Value for x-amz-checksum-type header is invalid")
        }
        let isPossible =
            switch algorithm {
            case .crc32, .crc32c: true
            case .crc64nvme: kind == .fullObject
            case .sha1, .sha256: kind == .composite
            }
        guard isPossible else {
            throw S3Refusal(
                .invalidRequest,
                "The \(kind.text) checksum type cannot be used with \(name)")
        }
        return UploadChecksum(algorithm: algorithm, kind: kind)
    }
}

extension UploadID {
    /// As clients know it.
    var text: String { self.description }

    init?(text: String) {
        guard (1...16).contains(text.utf8.count), text.utf8.first != UInt8(ascii: "+"),
            let value = UInt64(text, radix: 16)
        else { return nil }
        self.init(rawValue: value)
    }
}
