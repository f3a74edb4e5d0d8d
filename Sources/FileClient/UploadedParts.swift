import HTTPSyntax
import Primitives
import Signing

/// A part of an upload that the store has.
package struct UploadedPart: Equatable, Sendable {
    package let number: Int
    package let etag: String
    package let sizeBytes: UInt64
    /// Base64; empty where the store was not told to keep one.
    package let sha256: String

    package init(number: Int, etag: String, sizeBytes: UInt64, sha256: String) {
        self.number = number
        self.etag = etag
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
    }
}

/// One page of the parts of an upload (S3's ListParts).
package struct UploadedPartPage: Equatable, Sendable {
    package var parts: [UploadedPart] = []
    /// Behind which number the next page begins; nil on the last.
    package var next: Int?

    package init?(_ document: XMLElement) {
        guard document.name == "ListPartsResult" else { return nil }
        for entry in document.all("Part") {
            guard let number = entry.first("PartNumber").flatMap({ Int($0.text) }),
                let size = entry.first("Size").flatMap({ UInt64($0.text) }),
                let etag = entry.first("ETag")?.text
            else { return nil }
            self.parts.append(
                UploadedPart(
                    number: number, etag: etag, sizeBytes: size,
                    sha256: entry.first("ChecksumSHA256")?.text ?? ""))
        }
        if document.first("IsTruncated")?.text == "true" {
            guard let next = document.first("NextPartNumberMarker").flatMap({ Int($0.text) }) else {
                return nil
            }
            self.next = next
        }
    }
}

/// Multipart uploads (Amazon S3 API Reference), request by request.
extension FileClient {
    /// Opens an upload whose parts state their SHA-256.
    ///
    /// - Parameter fields: what the object is to be described by, besides the size of its parts.
    func openUpload(
        of object: RemotePath, partBytes: UInt64, fields: [(name: String, value: String)] = []
    ) async throws(FileClientFault) -> String {
        var request = EdgeRequest(.post, object, query: [("uploads", "")])
        request.fields =
            fields + [
                ("x-amz-checksum-algorithm", "SHA256"),
                ("\(PartPlan.metadataField)", "\(partBytes)"),
            ]
        let answer = try await self.fetch(request)
        guard let document = Self.document(answer.body),
            let id = document.first("UploadId")?.text, !id.isEmpty
        else { throw .malformedAnswer(subject: object.description) }
        return id
    }

    /// The parts that the store has, by number; nil when it knows no such upload.
    func uploadedParts(
        of upload: String, _ object: RemotePath
    ) async throws(FileClientFault) -> [Int: UploadedPart]? {
        var parts: [Int: UploadedPart] = [:]
        var marker = 0
        while true {
            var request = EdgeRequest(
                .get, object,
                query: [("uploadId", upload), ("part-number-marker", "\(marker)")])
            request.acceptedRefusals = [.notFound]
            let answer = try await self.fetch(request)
            guard answer.head.status.isSuccess else { return nil }
            guard let document = Self.document(answer.body),
                let page = UploadedPartPage(document), page.next.map({ $0 > marker }) ?? true
            else { throw .malformedAnswer(subject: object.description) }
            for part in page.parts { parts[part.number] = part }
            guard let next = page.next else { return parts }
            marker = next
        }
    }

    /// Makes an object of the parts, which are in order.
    ///
    /// - Parameter checksum: the composite SHA-256 that the edge is to find; nil where the parts'
    ///   are not known.
    func completeUpload(
        _ upload: String, of object: RemotePath, parts: [UploadedPart], checksum: String?
    ) async throws(FileClientFault) {
        var text = "<CompleteMultipartUpload>"
        for part in parts {
            text += "<Part><PartNumber>\(part.number)</PartNumber><ETag>"
            text += part.etag.filter { $0 != "\"" } + "</ETag>"
            if !part.sha256.isEmpty {
                text += "<ChecksumSHA256>\(part.sha256)</ChecksumSHA256>"
            }
            text += "</Part>"
        }
        text += "</CompleteMultipartUpload>"
        var request = EdgeRequest(.post, object, query: [("uploadId", upload)])
        let sizeBytes = parts.reduce(0) { $0 + $1.sizeBytes }
        request.fields = [("x-amz-mp-object-size", "\(sizeBytes)")]
        if let checksum { request.fields.append(("x-amz-checksum-sha256", checksum)) }
        let answer = try await self.fetch(request, body: Array(text.utf8))
        guard Self.document(answer.body)?.name == "CompleteMultipartUploadResult" else {
            throw .malformedAnswer(subject: object.description)
        }
    }

    /// Gives an upload up, with all its parts; fine when there is none.
    func abortUpload(_ upload: String, of object: RemotePath) async throws(FileClientFault) {
        var request = EdgeRequest(.delete, object, query: [("uploadId", upload)])
        request.acceptedRefusals = [.notFound]
        _ = try await self.fetch(request)
    }
}
