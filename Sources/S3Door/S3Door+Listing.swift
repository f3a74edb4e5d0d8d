import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives

extension S3Door {
    func listObjects(_ bucket: BucketName, _ asked: Asked) async throws(S3Refusal) {
        let request = try ListingRequest(asked.query)
        let list = ListObjects(
            bucket: bucket, prefix: request.prefix, delimiter: request.delimiter,
            start: request.start, limit: max(1, request.maxKeys))
        var page = try await refusing { () throws(AccessFault) in
            try await self.access.list(list, deadline: asked.deadline)
        }
        // Nothing was wanted but whether the bucket is there.
        if request.maxKeys == 0 { page = ObjectPage() }
        await asked.exchange.respond(
            xml: Self.listing(of: page, bucket, request, owner: asked.requester.owner))
    }

    package static func listing(
        of page: ObjectPage, _ bucket: BucketName, _ request: ListingRequest, owner: OwnerID
    ) -> XMLWriter {
        func coded(_ name: [UInt8]) -> [UInt8] {
            request.encodesNames
                ? PercentCoding.encode(name, keepingSlashes: true) : name
        }
        var xml = XMLWriter()
        xml.element("ListBucketResult", namespace: XMLWriter.s3Namespace) { xml in
            xml.element("Name", bucket.text)
            xml.element("Prefix", utf8: coded(request.prefix))
            switch request.version {
            case .first(let marker):
                xml.element("Marker", utf8: coded(marker))
                // Without a delimiter the last key is the marker, and clients know that.
                if let next = page.next, !request.delimiter.isEmpty {
                    xml.element("NextMarker", utf8: coded(next.name))
                }
            case .second(let startAfter, let token):
                if let startAfter { xml.element("StartAfter", utf8: coded(startAfter)) }
                if let token { xml.element("ContinuationToken", token) }
                if let next = page.next {
                    xml.element("NextContinuationToken", ContinuationToken.text(next))
                }
                xml.element("KeyCount", page.objects.count + page.commonPrefixes.count)
            }
            xml.element("MaxKeys", request.maxKeys)
            if !request.delimiter.isEmpty {
                xml.element("Delimiter", utf8: coded(request.delimiter))
            }
            if request.encodesNames { xml.element("EncodingType", "url") }
            xml.element("IsTruncated", page.isTruncated)
            for object in page.objects {
                xml.object(object, key: coded(object.key.utf8), request.fetchesOwner ? owner : nil)
            }
            for prefix in page.commonPrefixes {
                xml.element("CommonPrefixes") { $0.element("Prefix", utf8: coded(prefix)) }
            }
        }
        return xml
    }
}

extension ListStart {
    /// What a marker says of it.
    fileprivate var name: [UInt8] {
        switch self {
        case .beginning: []
        case .after(let key): key
        case .afterPrefix(let prefix): prefix
        }
    }
}

extension XMLWriter {
    fileprivate mutating func object(_ object: ListedObject, key: [UInt8], _ owner: OwnerID?) {
        self.element("Contents") { xml in
            xml.element("Key", utf8: key)
            xml.element("LastModified", ISOTime.text(object.modified))
            xml.element("ETag", "\"\(object.entityTag)\"")
            for checksum in object.checksums {
                xml.element("ChecksumAlgorithm", checksum.algorithm.name.uppercased())
            }
            if let first = object.checksums.first {
                xml.element("ChecksumType", first.partCount == 0 ? "FULL_OBJECT" : "COMPOSITE")
            }
            xml.element("Size", object.size)
            if let owner { xml.owner(owner) }
            xml.element("StorageClass", "STANDARD")
        }
    }
}
