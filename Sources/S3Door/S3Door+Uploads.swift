import Catalog
import HTTPSyntax
import HTTPTransport
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// Multipart uploads (Amazon S3 API Reference, "Uploading and copying objects using multipart
/// upload").
extension S3Door {
    func createUpload(
        _ key: ObjectKey, in bucket: BucketName, _ asked: Asked
    ) async throws(S3Refusal) {
        let put = try PutRequest(
            asked.exchange.head, payload: asked.requester.payload, mayLackLength: true)
        let checksum = try UploadChecksum.asked(by: asked.fields)
        let upload = try await refusing { () throws(AccessFault) in
            try await self.access.openUpload(
                of: key, in: bucket, attributes: put.options.attributes, checksum: checksum,
                deadline: asked.deadline)
        }
        var fields = asked.exchange.makeFields()
        if let checksum {
            fields.addChecked(
                "x-amz-checksum-algorithm", checksum.algorithm.name.uppercased())
            fields.addChecked("x-amz-checksum-type", checksum.kind.text)
        }
        await asked.exchange.respond(
            xml: UploadDocuments.opened(upload, of: key, in: bucket), fields)
    }

    func uploadPart(
        _ number: PartNumber, of upload: UploadName, _ key: ObjectKey, _ asked: Asked
    ) async throws(S3Refusal) {
        if asked.fields.contains("x-amz-copy-source") {
            let target = ObjectName(bucket: upload.bucket, key: key)
            return try await self.copyPart(number, of: upload.id, of: target, asked)
        }
        let put = try PutRequest(asked.exchange.head, payload: asked.requester.payload)
        let body = asked.body(put.form)
        let stored: StoredPart
        do throws(AccessFault) {
            stored = try await self.access.putPart(
                number, of: upload.id, of: key, in: upload.bucket, body,
                stated: put.options.stated, chunks: put.options.statedChunks,
                on: asked.exchange.loop, deadline: asked.deadline)
        } catch {
            throw body.refusal ?? put.refusal(of: error)
        }
        var fields = asked.exchange.makeFields()
        if let tag = HTTPSyntax.EntityTag(stored.entityTag.text) { fields.add(etag: tag) }
        stored.checksums.add(to: &fields, withType: false)
        await asked.exchange.respond(.ok, fields)
    }

    func listParts(
        of upload: UploadName, _ key: ObjectKey, _ asked: Asked
    ) async throws(S3Refusal) {
        let limit = try asked.query.pageLimit("max-parts")
        let marker = try asked.query.partNumberMarker()
        let state = try await refusing { () throws(AccessFault) in
            try await self.access.upload(
                upload.id, of: key, in: upload.bucket, deadline: asked.deadline)
        }
        guard case .open(let opened, _) = state else { throw S3Refusal(.noSuchUpload) }
        var page = try await refusing { () throws(AccessFault) in
            try await self.access.listParts(
                of: upload.id, in: upload.bucket, after: marker, limit: max(1, limit),
                deadline: asked.deadline)
        }
        // Nothing was wanted but whether the upload is there.
        if limit == 0 { page = UploadPartPage(revision: page.revision) }
        await asked.exchange.respond(
            xml: UploadDocuments.listing(
                of: page, of: upload, key, checksum: opened.checksum, after: marker, limit: limit,
                owner: asked.requester.owner))
    }

    /// Ten thousand parts with their checksums, and what XML adds.
    private static let completeDocumentLimitBytes = 4 << 20

    func completeUpload(
        _ upload: UploadName, _ key: ObjectKey, _ asked: Asked
    ) async throws(S3Refusal) {
        let precondition = try ObjectPrecondition(asked.fields)
        let stated = try StatedCompletion(asked.fields)
        // Checksums in the head are of the object, not of this document.
        let body = try await self.collectBody(
            asked, limitBytes: Self.completeDocumentLimitBytes, statesChecksum: false)
        let document = try CompleteDocument(body)
        let outcome = try await refusing { () throws(AccessFault) in
            try await self.access.completeUpload(
                upload.id, of: key, in: upload.bucket, deadline: asked.deadline
            ) { (contents) -> Result<UploadCompletion, S3Refusal> in
                do throws(S3Refusal) {
                    let chosen = try ChosenParts(
                        document, of: contents.parts, checksum: contents.upload.checksum)
                    try stated.check(chosen)
                    return .success(chosen.completion(precondition))
                } catch {
                    return .failure(error)
                }
            }
        }
        let object = try outcome.get()
        let scheme = asked.exchange.request.isSecure ? "https" : "http"
        let host = asked.fields.text("host") ?? ""
        let path = String(decoding: asked.exchange.head.path, as: UTF8.self)
        await asked.exchange.respond(
            xml: UploadDocuments.completed(
                key, in: upload.bucket, location: "\(scheme)://\(host)\(path)",
                entityTag: object.entityTag.text, checksums: object.checksums))
    }

    func abortUpload(
        _ upload: UploadName, _ key: ObjectKey, _ asked: Asked
    ) async throws(S3Refusal) {
        try await refusing { () throws(AccessFault) in
            try await self.access.abortUpload(
                upload.id, of: key, in: upload.bucket, deadline: asked.deadline)
        }
        await asked.exchange.respond(.noContent, asked.exchange.makeFields())
    }

    func listUploads(_ bucket: BucketName, _ asked: Asked) async throws(S3Refusal) {
        let request = try UploadListingRequest(asked.query)
        let list = ListUploads(
            bucket: bucket, prefix: request.prefix, delimiter: request.delimiter,
            start: request.start, limit: max(1, request.maxUploads))
        var page = try await refusing { () throws(AccessFault) in
            try await self.access.listUploads(list, deadline: asked.deadline)
        }
        if request.maxUploads == 0 { page = UploadPage() }
        await asked.exchange.respond(
            xml: UploadDocuments.listing(
                of: page, in: bucket, request, owner: asked.requester.owner))
    }
}

/// What a client may state of an object that it completes.
struct StatedCompletion {
    private let sizeBytes: UInt64?
    private let checksums: [(algorithm: ChecksumAlgorithm, text: String)]

    init(_ fields: Fields) throws(S3Refusal) {
        if let text = fields.text("x-amz-mp-object-size") {
            guard let size = UInt64(text) else {
                throw S3Refusal(.invalidRequest, "x-amz-mp-object-size is no size")
            }
            self.sizeBytes = size
        } else {
            self.sizeBytes = nil
        }
        var checksums: [(algorithm: ChecksumAlgorithm, text: String)] = []
        for index in 0..<fields.count {
            let name = String(decoding: fields.name(at: index), as: UTF8.self)
            guard
                let algorithm = ChecksumAlgorithm.allCases.first(where: {
                    name == "x-amz-checksum-\($0.name)"
                })
            else { continue }
            checksums.append(
                (algorithm, String(decoding: fields.value(at: index), as: UTF8.self)))
        }
        self.checksums = checksums
    }

    func check(_ chosen: ChosenParts) throws(S3Refusal) {
        if let size = self.sizeBytes, size != chosen.sizeBytes {
            throw S3Refusal(
                .invalidRequest,
                "The parts have \(chosen.sizeBytes) bytes together, not \(size) as stated")
        }
        for stated in self.checksums {
            // Some clients repeat the number of parts behind a composite one.
            let text = stated.text.prefix { $0 != "-" }
            let value = Base64.decode(String(text))
            let known = chosen.checksums.first { $0.algorithm == stated.algorithm }
            guard let known, known.value == value else { throw S3Refusal(.badDigest) }
        }
    }
}

extension S3Query {
    /// Behind which part a page begins.
    fileprivate func partNumberMarker() throws(S3Refusal) -> PartNumber? {
        guard let text = try self.text("part-number-marker"), !text.isEmpty, text != "0" else {
            return nil
        }
        guard let number = Int(text), number > 0 else {
            throw S3Refusal(.invalidArgument, "Provided part-number-marker is not an integer")
        }
        return PartNumber(number) ?? .greatest
    }
}
