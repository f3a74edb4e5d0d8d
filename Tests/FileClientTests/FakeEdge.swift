import Cryptography
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import Signing
import Synchronization

/// As much of an S3 door as a client sees, over a store that several edges share. Checks that the
/// signed payload hash is that of the body, and misbehaves where a test wants it to.
final class FakeStore: Sendable {
    struct State {
        var buckets: [String: [String: [UInt8]]] = [:]
        /// `METHOD target` of every request, with the edge's number in front.
        var requests: [String] = []
        /// `x-amz-content-sha256` of every object that was put.
        var payloads: [String] = []
        var uploads: [String: FakeUpload] = [:]
        var uploadCount = 0
        /// Of objects that were made of parts: what was said of their size and their checksum.
        var partsOf: [String: (partBytes: String, checksum: String?)] = [:]
        /// How many more parts are taken; nil for any number.
        var partLimit: Int?
        /// Bytes of objects that were sent to clients.
        var sentBytes = 0
        var mostAtOnce = 0
        var atOnce = 0
    }
    let state = Mutex(State())

    func content(_ bucket: String, _ key: String) -> [UInt8]? {
        self.state.withLock { $0.buckets[bucket]?[key] }
    }
    func set(_ bucket: String, _ key: String, _ bytes: [UInt8]) {
        self.state.withLock { $0.buckets[bucket, default: [:]][key] = bytes }
    }
    func keys(_ bucket: String) -> [String] {
        self.state.withLock { ($0.buckets[bucket]?.keys).map { $0.sorted() } ?? [] }
    }
    var payloads: [String] { self.state.withLock { $0.payloads } }
    var requests: [String] { self.state.withLock { $0.requests } }
}

final class FakeEdge: HTTPResponder {
    enum Trouble: Sendable {
        case status(Status, retryAfter: Int?)
        /// Sends so many bytes of a GET's body and cuts the connection.
        case cutAfter(Int)
        case corrupt
        /// Keeps another body than the one that was sent, and says so in its ETag.
        case storeWrongly
        /// Does not say the SHA-256 of what it stored.
        case storeWronglyAndSaysMD5
    }

    let store: FakeStore
    let number: Int
    /// Taken one after the other by GETs and PUTs of objects.
    let troubles: Mutex<[Trouble?]>
    let pageKeys: Int
    private let loop: any EventLoop
    /// Time to think, so that requests made at once are seen at once.
    private static let thinkingTime: Duration = .milliseconds(20)

    init(
        _ store: FakeStore, number: Int, loop: any EventLoop, troubles: [Trouble?], pageKeys: Int
    ) {
        self.loop = loop
        self.store = store
        self.number = number
        self.troubles = Mutex(troubles)
        self.pageKeys = pageKeys
    }

    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async {
        let target = String(decoding: request.head.target, as: UTF8.self)
        self.store.state.withLock {
            $0.requests.append("\(self.number) \(request.head.method) \(target)")
            $0.atOnce += 1
            $0.mostAtOnce = max($0.mostAtOnce, $0.atOnce)
        }
        do {
            try await self.loop.sleep(for: Self.thinkingTime)
            try await self.answer(request.head, exchange)
        } catch {
            // The client has gone; the test looks at its other end.
        }
        self.store.state.withLock { $0.atOnce -= 1 }
    }

    private func answer(_ head: RequestHead, _ exchange: HTTPExchange)
        async throws(HTTPExchangeFault)
    {
        let path = PercentCoding.decode(head.path) ?? []
        let parts = path.dropFirst().split(
            separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        let bucket = String(decoding: parts[0], as: UTF8.self)
        let key = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
        if bucket == "f" { return try await self.link(head, path, exchange) }
        if key.isEmpty { return try await self.bucket(bucket, head, exchange) }
        if try await self.answerUpload(bucket, key, head, exchange) { return }
        if head.fields.contains("x-amz-copy-source") {
            return try await self.copy(bucket, key, head, exchange)
        }
        let trouble = self.troubles.withLock { troubles -> Trouble? in
            let isData = head.method == .get || head.method == .put
            return !isData || troubles.isEmpty ? nil : troubles.removeFirst()
        }
        if case .status(let status, let retryAfter) = trouble {
            var fields = FieldBlock()
            if let retryAfter { fields.add("Retry-After", number: retryAfter) }
            return try await exchange.respond(OutgoingResponse(status, fields: fields))
        }
        switch head.method {
        case .put: try await self.put(bucket, key, head, exchange, trouble)
        case .get, .head: try await self.get(bucket, key, head, exchange, trouble)
        case .delete:
            self.store.state.withLock { $0.buckets[bucket]?[key] = nil }
            try await exchange.respond(OutgoingResponse(.noContent))
        case .post, .options, .patch, .other:
            try await exchange.respond(OutgoingResponse(.methodNotAllowed))
        }
    }

    private func put(
        _ bucket: String, _ key: String, _ head: RequestHead, _ exchange: HTTPExchange,
        _ trouble: Trouble?
    ) async throws(HTTPExchangeFault) {
        var body = try await exchange.collectBody(limit: 1 << 28)
        let stated = head.fields.text("x-amz-content-sha256") ?? ""
        self.store.state.withLock { $0.payloads.append(stated) }
        guard stated == "UNSIGNED-PAYLOAD" || stated == Hex.encode(SHA256.hash(body)) else {
            return try await self.refuse(.badRequest, "XAmzContentSHA256Mismatch", exchange)
        }
        var saysHash = true
        switch trouble {
        case .storeWrongly: body.append(0)
        case .storeWronglyAndSaysMD5:
            body.append(0)
            saysHash = false
        case .status, .cutAfter, .corrupt, nil: break
        }
        let known = self.store.state.withLock { $0.buckets[bucket] != nil }
        guard known else { return try await self.refuse(.notFound, "NoSuchBucket", exchange) }
        self.store.set(bucket, key, body)
        try await exchange.respond(
            OutgoingResponse(.ok, fields: Self.fields(body, withChecksum: saysHash)))
    }

    private func get(
        _ bucket: String, _ key: String, _ head: RequestHead, _ exchange: HTTPExchange,
        _ trouble: Trouble?
    ) async throws(HTTPExchangeFault) {
        let known = self.store.state.withLock { $0.buckets[bucket] != nil }
        guard known else { return try await self.refuse(.notFound, "NoSuchBucket", exchange) }
        guard var body = self.store.content(bucket, key) else {
            return try await self.refuse(.notFound, "NoSuchKey", exchange)
        }
        let parts = self.store.state.withLock { $0.partsOf["\(bucket)/\(key)"] }
        var fields = parts.map(Self.fields(ofParts:)) ?? Self.fields(body, withChecksum: true)
        var status = Status.ok
        if let range = head.fields.text("range"), range.hasPrefix("bytes="),
            let dash = range.firstIndex(of: "-"), let first = Int(range.dropFirst(6)[..<dash])
        {
            let last = Int(range[range.index(after: dash)...]) ?? body.count - 1
            fields.add(.bytes(UInt64(first)..<UInt64(last + 1), size: UInt64(body.count)))
            body = Array(body[first...last])
            status = .partialContent
        }
        if head.method == .get { self.store.state.withLock { $0.sentBytes += body.count } }
        if case .corrupt = trouble { body[body.count / 2] ^= 1 }
        try exchange.start(
            OutgoingResponse(status, fields: fields), length: UInt64(body.count))
        if case .cutAfter(let count) = trouble {
            try await exchange.write(Array(body.prefix(count)))
            // Closing would let what is still in the client's buffers go.
            try await exchange.flush()
            return exchange.abort()
        }
        try await exchange.write(body)
        try exchange.finish()
    }

    private static func fields(ofParts parts: (partBytes: String, checksum: String?)) -> FieldBlock
    {
        var fields = FieldBlock()
        if let etag = EntityTag("0123-2") { fields.add(etag: etag) }
        do throws(FieldFault) {
            try fields.add("x-amz-meta-holdfast-part-bytes", parts.partBytes)
            if let checksum = parts.checksum {
                try fields.add("x-amz-checksum-sha256", checksum)
            }
        } catch {
            brokenInvariant("digits can stand in a field")
        }
        return fields
    }

    private static func fields(_ body: [UInt8], withChecksum: Bool) -> FieldBlock {
        var fields = FieldBlock()
        if let etag = EntityTag(Hex.encode(MD5.hash(body))) { fields.add(etag: etag) }
        do throws(FieldFault) {
            if withChecksum {
                try fields.add("x-holdfast-sha256", Hex.encode(SHA256.hash(body)))
            }
        } catch {
            brokenInvariant("digits can stand in a field")
        }
        return fields
    }

    func refuse(
        _ status: Status, _ code: String, _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        let text = "<Error><Code>\(code)</Code><Message>Because &amp; so.</Message></Error>"
        try await exchange.respond(OutgoingResponse(status), body: Array(text.utf8))
    }

    private func link(
        _ head: RequestHead, _ path: [UInt8], _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        let query = String(decoding: head.query ?? [], as: UTF8.self)
        let answer =
            #"{"path":"\#(String(decoding: path, as: UTF8.self))?asked=\#(query)","expires":"soon"}"#
        try await exchange.respond(OutgoingResponse(.ok), body: Array(answer.utf8))
    }

    private func bucket(
        _ bucket: String, _ head: RequestHead, _ exchange: HTTPExchange
    ) async throws(HTTPExchangeFault) {
        let isThere = self.store.state.withLock { $0.buckets[bucket] != nil }
        switch head.method {
        case .put:
            self.store.state.withLock { $0.buckets[bucket] = $0.buckets[bucket] ?? [:] }
            try await exchange.respond(OutgoingResponse(.ok))
        case .head: try await exchange.respond(OutgoingResponse(isThere ? .ok : .notFound))
        case .delete:
            self.store.state.withLock { $0.buckets[bucket] = nil }
            try await exchange.respond(OutgoingResponse(.noContent))
        case .get:
            guard isThere || bucket.isEmpty else {
                return try await self.refuse(.notFound, "NoSuchBucket", exchange)
            }
            let page = bucket.isEmpty ? self.bucketList() : self.page(bucket, head)
            try await exchange.respond(OutgoingResponse(.ok), body: Array(page.utf8))
        case .post, .options, .patch, .other:
            try await exchange.respond(OutgoingResponse(.methodNotAllowed))
        }
    }

    private func bucketList() -> String {
        let names = self.store.state.withLock { $0.buckets.keys.sorted() }
        return "<ListAllMyBucketsResult><Buckets>"
            + names.map { "<Bucket><Name>\($0)</Name></Bucket>" }.joined()
            + "</Buckets></ListAllMyBucketsResult>"
    }

    private func page(_ bucket: String, _ head: RequestHead) -> String {
        let parameters = QueryParameter.split(head.query ?? [])
        func value(_ name: String) -> String {
            let found = parameters.first { $0.name.elementsEqual(name.utf8) }?.value ?? []
            return String(decoding: PercentCoding.decode(found) ?? [], as: UTF8.self)
        }
        let (prefix, token) = (value("prefix"), value("continuation-token"))
        let keys = self.store.keys(bucket).filter { $0.hasPrefix(prefix) && $0 > token }
        let page = keys.prefix(self.pageKeys)
        let entries = page.map { key in
            let encoded = PercentCoding.encode(key.utf8, keepingSlashes: true)
            let size = self.store.content(bucket, key)?.count ?? 0
            let tag = Hex.encode(MD5.hash(self.store.content(bucket, key) ?? []))
            return "<Contents><Key>\(String(decoding: encoded, as: UTF8.self))</Key>"
                + "<Size>\(size)</Size><ETag>\"\(tag)\"</ETag></Contents>"
        }
        let isTruncated = page.count < keys.count
        return "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"s3\">"
            + "<EncodingType>url</EncodingType><IsTruncated>\(isTruncated)</IsTruncated>"
            + (isTruncated
                ? "<NextContinuationToken>\(page.last ?? "")</NextContinuationToken>" : "")
            + entries.joined() + "</ListBucketResult>"
    }
}
