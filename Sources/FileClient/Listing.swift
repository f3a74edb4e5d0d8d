import HTTPSyntax
import Primitives
import Signing

/// An object as a listing shows it.
package struct ListedObject: Hashable, Sendable {
    package let key: String
    package let sizeBytes: UInt64
    /// As the edge wrote it: `2026-01-31T12:00:00.000Z`.
    package let lastModified: String
    package let etag: String

    package init(key: String, sizeBytes: UInt64, lastModified: String, etag: String) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.lastModified = lastModified
        self.etag = etag
    }
}

/// One page of a bucket's keys (S3's ListObjectsV2).
package struct ListingPage: Equatable, Sendable {
    package var objects: [ListedObject] = []
    /// What keys have in common up to the delimiter that was asked for.
    package var commonPrefixes: [String] = []
    /// Where the next page begins; nil on the last.
    package var next: String?

    package init() {}

    package init?(_ document: XMLElement) {
        guard document.name == "ListBucketResult" else { return nil }
        let isEncoded = document.first("EncodingType")?.text == "url"
        for entry in document.all("Contents") {
            guard let key = Self.decode(entry.first("Key"), isEncoded), !key.isEmpty,
                let size = entry.first("Size").flatMap({ UInt64($0.text) })
            else { return nil }
            self.objects.append(
                ListedObject(
                    key: key, sizeBytes: size,
                    lastModified: entry.first("LastModified")?.text ?? "",
                    etag: entry.first("ETag")?.text ?? ""))
        }
        for entry in document.all("CommonPrefixes") {
            guard let prefix = Self.decode(entry.first("Prefix"), isEncoded) else { return nil }
            self.commonPrefixes.append(prefix)
        }
        if document.first("IsTruncated")?.text == "true" {
            guard let token = document.first("NextContinuationToken")?.text, !token.isEmpty else {
                return nil
            }
            self.next = token
        }
    }

    /// Keys may hold characters that XML cannot, so they are asked for and come percent-encoded.
    private static func decode(_ element: XMLElement?, _ isEncoded: Bool) -> String? {
        guard let text = element?.text else { return nil }
        guard isEncoded else { return text }
        // S3 itself writes a space as a plus sign, and a plus sign as %2B.
        let bytes = text.utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
        guard let decoded = PercentCoding.decode(bytes[...]) else { return nil }
        return String(validating: decoded, as: UTF8.self)
    }
}

package struct ListedBucket: Hashable, Sendable {
    package let name: String
    package let created: String
}

extension FileClient {
    /// One page of the keys that begin with `path.key`, in order.
    ///
    /// - Parameters:
    ///   - delimiter: keys that go on behind it are shown as one common prefix.
    ///   - token: `next` of the page before; nil for the first.
    package func list(
        _ path: RemotePath, delimiter: String? = nil, after token: String? = nil
    ) async throws(FileClientFault) -> ListingPage {
        var query = [
            ("list-type", "2"), ("encoding-type", "url"),
            ("max-keys", "\(TransferBounds.pageKeys)"), ("prefix", path.key),
        ]
        if let delimiter { query.append(("delimiter", delimiter)) }
        if let token { query.append(("continuation-token", token)) }
        var request = EdgeRequest(.get, path.with(key: ""), query: query)
        request.subject = path.description
        let answer = try await self.fetch(request)
        guard let document = Self.document(answer.body), let page = ListingPage(document),
            page.next == nil || page.next != token
        else { throw .malformedAnswer(subject: path.description) }
        return page
    }

    /// All buckets that the access key may see.
    package func buckets() async throws(FileClientFault) -> [ListedBucket] {
        let answer = try await self.fetch(.buckets)
        guard let document = Self.document(answer.body),
            document.name == "ListAllMyBucketsResult"
        else { throw .malformedAnswer(subject: EdgeRequest.buckets.subject) }
        return (document.first("Buckets")?.all("Bucket") ?? []).map {
            ListedBucket(
                name: $0.first("Name")?.text ?? "", created: $0.first("CreationDate")?.text ?? "")
        }
    }

    static func document(_ bytes: [UInt8]) -> XMLElement? {
        do throws(XMLElement.Fault) { return try XMLElement.parse(bytes) } catch { return nil }
    }

    /// The object of that very key; nil when there is none, or when we may not know: answers to
    /// HEAD have no body, and the reason comes with the next request.
    package func head(_ path: RemotePath) async throws(FileClientFault) -> ListedObject? {
        var request = EdgeRequest(.head, path)
        request.acceptedRefusals = [.notFound, .forbidden]
        let head = try await self.fetch(request).head
        guard head.status.isSuccess else { return nil }
        guard let size = head.statedLength else {
            throw .malformedAnswer(subject: path.description)
        }
        return ListedObject(
            key: path.key, sizeBytes: size, lastModified: head.fields.text("last-modified") ?? "",
            etag: head.fields.text("etag") ?? "")
    }

    /// Makes the bucket where it is missing; true when it was. Where we may not know whether it is,
    /// the first write will tell.
    @discardableResult
    package func ensureBucket(_ bucket: String) async throws(FileClientFault) -> Bool {
        let path = RemotePath(bucket: bucket)
        var look = EdgeRequest(.head, path)
        look.acceptedRefusals = [.notFound, .forbidden]
        guard try await self.fetch(look).head.status == .notFound else { return false }
        // Somebody may make it at the same time: that is fine when we may write to it.
        var make = EdgeRequest(.put, path)
        make.acceptedRefusals = [.conflict]
        let status = try await self.fetch(make).head.status
        guard status == .conflict else { return true }
        _ = try await self.fetch(EdgeRequest(.head, path))
        return false
    }

    /// Removes one object; fine when it is not there.
    package func remove(_ path: RemotePath) async throws(FileClientFault) {
        _ = try await self.fetch(EdgeRequest(.delete, path))
    }
}
