import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Synchronization

/// An upload in parts, as the store that several edges share keeps it.
struct FakeUpload {
    let name: String
    let partBytes: String
    var parts: [Int: [UInt8]] = [:]
}

/// What a client sees of multipart uploads and of copies.
extension FakeEdge {
    /// True when the request was one of these, and is answered.
    func answerUpload(
        _ bucket: String, _ key: String, _ head: RequestHead, _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) -> Bool {
        let name = "\(bucket)/\(key)"
        let id = Self.parameter("uploadId", head)
        switch (head.method, id) {
        case (.post, nil):
            let id = self.store.state.withLock { state in
                state.uploadCount += 1
                state.uploads["\(state.uploadCount)"] = FakeUpload(
                    name: name,
                    partBytes: head.fields.text("x-amz-meta-holdfast-part-bytes") ?? "")
                return state.uploadCount
            }
            try await self.answer(
                "<InitiateMultipartUploadResult><UploadId>\(id)</UploadId>"
                    + "</InitiateMultipartUploadResult>", exchange)
        case (_, nil): return false
        case (let method, let id?):
            let isKnown = self.store.state.withLock { $0.uploads[id]?.name == name }
            guard isKnown else {
                try await self.refuse(.notFound, "NoSuchUpload", exchange)
                return true
            }
            switch method {
            case .put: try await self.putPart(id, head, exchange)
            case .get: try await self.listParts(id, exchange)
            case .post: try await self.complete(id, bucket, key, head, exchange)
            default:
                self.store.state.withLock { $0.uploads[id] = nil }
                try await exchange.respond(OutgoingResponse(.noContent))
            }
        }
        return true
    }

    private func putPart(
        _ id: String, _ head: RequestHead, _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        let number = Int(Self.parameter("partNumber", head) ?? "") ?? 0
        let body: [UInt8]
        if let range = head.fields.text("x-amz-copy-source-range") {
            let ends = range.dropFirst(6).split(separator: "-").compactMap { Int($0) }
            body = Array(self.source(of: head)[ends[0]...ends[1]])
        } else {
            body = try await exchange.collectBody(limit: 1 << 28)
            let sha256 = SHA256.hash(body)
            guard head.fields.text("x-amz-checksum-sha256") == Base64.encode(sha256),
                head.fields.text("x-amz-content-sha256") == Hex.encode(sha256)
            else { return try await self.refuse(.badRequest, "BadDigest", exchange) }
        }
        let isRefused = self.store.state.withLock { state in
            if let limit = state.partLimit {
                state.partLimit = limit - 1
                if limit <= 0 { return true }
            }
            state.uploads[id]?.parts[number] = body
            return false
        }
        guard !isRefused else { return try await self.refuse(.forbidden, "AccessDenied", exchange) }
        let tag = Hex.encode(MD5.hash(body))
        if head.fields.contains("x-amz-copy-source") {
            return try await self.answer(
                "<CopyPartResult><ETag>\"\(tag)\"</ETag></CopyPartResult>", exchange)
        }
        var fields = FieldBlock()
        if let etag = EntityTag(tag) { fields.add(etag: etag) }
        try await exchange.respond(OutgoingResponse(.ok, fields: fields))
    }

    private func listParts(_ id: String, _ exchange: HTTPExchange) async throws(HTTPExchangeFault) {
        let parts = self.store.state.withLock { $0.uploads[id]?.parts ?? [:] }
        let entries = parts.sorted { $0.key < $1.key }.map { number, body in
            "<Part><PartNumber>\(number)</PartNumber><Size>\(body.count)</Size>"
                + "<ETag>\"\(Hex.encode(MD5.hash(body)))\"</ETag>"
                + "<ChecksumSHA256>\(Base64.encode(SHA256.hash(body)))</ChecksumSHA256></Part>"
        }
        try await self.answer(
            "<ListPartsResult>\(entries.joined())</ListPartsResult>", exchange)
    }

    private func complete(
        _ id: String, _ bucket: String, _ key: String, _ head: RequestHead,
        _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        _ = try await exchange.collectBody(limit: 1 << 20)
        guard let upload = self.store.state.withLock({ $0.uploads.removeValue(forKey: id) }) else {
            return try await self.refuse(.notFound, "NoSuchUpload", exchange)
        }
        let bodies = upload.parts.sorted { $0.key < $1.key }.map(\.value)
        let stated = head.fields.text("x-amz-checksum-sha256")
        let joined = PartsDigestText.of(bodies)
        guard stated == nil || stated == joined else {
            return try await self.refuse(.badRequest, "BadDigest", exchange)
        }
        self.store.set(bucket, key, bodies.reduce(into: []) { $0 += $1 })
        self.store.state.withLock {
            $0.partsOf["\(bucket)/\(key)"] = (upload.partBytes, stated)
        }
        try await self.answer(
            "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>", exchange)
    }

    /// Copies a whole object.
    func copy(
        _ bucket: String, _ key: String, _ head: RequestHead, _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        let body = self.source(of: head)
        let match = head.fields.text("x-amz-copy-source-if-match") ?? ""
        guard match.contains(Hex.encode(MD5.hash(body))) else {
            return try await self.refuse(.preconditionFailed, "PreconditionFailed", exchange)
        }
        self.store.set(bucket, key, body)
        try await self.answer("<CopyObjectResult></CopyObjectResult>", exchange)
    }

    private func source(of head: RequestHead) -> [UInt8] {
        let path = PercentCoding.decode(head.fields.first("x-amz-copy-source") ?? []) ?? []
        let parts = path.dropFirst().split(separator: UInt8(ascii: "/"), maxSplits: 1)
        return self.store.content(
            String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self))
            ?? []
    }

    private func answer(
        _ text: String, _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        try await exchange.respond(OutgoingResponse(.ok), body: Array(text.utf8))
    }

    private static func parameter(_ name: String, _ head: RequestHead) -> String? {
        QueryParameter.split(head.query ?? []).first { $0.name.elementsEqual(name.utf8) }.map {
            String(decoding: $0.value ?? [], as: UTF8.self)
        }
    }
}

private enum PartsDigestText {
    static func of(_ bodies: [[UInt8]]) -> String {
        Base64.encode(SHA256.hash(bodies.flatMap { SHA256.hash($0) })) + "-\(bodies.count)"
    }
}
