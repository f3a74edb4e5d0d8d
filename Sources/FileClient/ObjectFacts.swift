import HTTPSyntax
import Primitives

/// What an edge says of one object without its bytes.
package struct ObjectFacts: Sendable {
    package let path: RemotePath
    package let sizeBytes: UInt64
    /// As S3 listings write it, `2026-01-31T12:00:00Z`; as the edge wrote it where that is no date.
    package let lastModified: String
    package let etag: String
    package let contentType: String?
    /// Of the whole content, in hexadecimal; nil for an object that was made of parts.
    package let sha256: String?
    /// S3's other checksums by their algorithm (`crc64nvme`), in the order of these names.
    package let checksums: [(algorithm: String, value: String)]
    /// Fields of the person's own (`x-amz-meta-…`), and those that describe the content
    /// (`cache-control`), in the order in which the edge gave them.
    package let fields: [(name: String, value: String)]
    /// What the bytes are to be held against.
    package let check: ContentCheck

    init?(_ path: RemotePath, _ head: ResponseHead) {
        guard let size = head.statedLength else { return nil }
        let fields = head.fields
        self.path = path
        self.sizeBytes = size
        self.lastModified =
            fields.first("last-modified").flatMap(HTTPDate.parse).map(Self.text)
            ?? fields.text("last-modified") ?? ""
        self.etag = fields.text("etag") ?? ""
        self.contentType = fields.text("content-type")
        self.sha256 = fields.text("x-holdfast-sha256")
        self.checksums = Self.algorithms.compactMap { algorithm in
            fields.first(named: "x-amz-checksum-\(algorithm)").map {
                (algorithm, String(decoding: $0, as: UTF8.self))
            }
        }
        self.fields = (0..<fields.count).compactMap { index in
            let name = String(decoding: fields.name(at: index), as: UTF8.self).lowercased()
            let isKept = name.hasPrefix("x-amz-meta-") || Self.descriptions.contains(name)
            return isKept ? (name, String(decoding: fields.value(at: index), as: UTF8.self)) : nil
        }
        self.check = ContentCheck(announcedBy: fields)
    }

    private static let algorithms = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]
    private static let descriptions = [
        "cache-control", "content-disposition", "content-encoding", "content-language", "expires",
    ]

    private static func text(_ time: Timestamp) -> String {
        let calendar = CalendarTime(time)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(calendar.year)-\(two(calendar.month))-\(two(calendar.day))"
            + "T\(two(calendar.hour)):\(two(calendar.minute)):\(two(calendar.second))Z"
    }
}

extension FileClient {
    /// Asks an edge for the checksums that it has besides the entity tag.
    static let tellChecksums = (name: "x-amz-checksum-mode", value: "ENABLED")

    /// What there is to know of the object of that very key; nil when there is none.
    package func facts(_ path: RemotePath) async throws(FileClientFault) -> ObjectFacts? {
        var request = EdgeRequest(.head, path)
        request.fields = [Self.tellChecksums]
        request.acceptedRefusals = [.notFound]
        let head = try await self.fetch(request).head
        guard head.status.isSuccess else { return nil }
        guard let facts = ObjectFacts(path, head) else {
            throw .malformedAnswer(subject: path.description)
        }
        return facts
    }
}
