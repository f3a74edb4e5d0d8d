import Catalog
import HTTPSyntax
import HTTPTransport
import ObjectAccess
import ObjectExchange
import Primitives
import Signing

/// Uploads by a browser's form (Amazon S3 API Reference, "Browser-based uploads using POST"): the
/// signature is of a policy and stands in the form, so that a page can let anybody upload what the
/// policy allows, and nothing else.
extension S3Door {
    /// Whether the request's body is a form that says itself who signed it.
    static func isForm(_ head: RequestHead) -> Bool {
        guard head.method == .post, let type = head.fields.first("content-type") else {
            return false
        }
        return FormDecoder(contentType: type) != nil
    }

    func postObject(_ exchange: DoorExchange, _ query: S3Query) async throws(S3Refusal) {
        // Nothing is said of what is there to whom nothing is known of.
        guard
            case .postObject(let bucket) = try S3Operation(
                exchange.head.method, path: exchange.head.path, query: query),
            let decoder = FormDecoder(contentType: exchange.head.fields.first("content-type") ?? [])
        else { throw S3Refusal(.accessDenied) }
        let file = FormFile(ExchangeBody(exchange), decoder)
        let form = try await file.readFields()
        guard let policyText = form["policy"] else { throw S3Refusal(.accessDenied) }
        let owner = try await self.authenticator.signer(
            ofPolicy: policyText, { form[$0] }, deadline: exchange.deadline)
        let key = try form.key()
        let policy = try PostPolicy(policyText)
        try policy.check(form.judged(key: key, in: bucket), at: self.authenticator.wallClock)
        guard let lengths = policy.lengths else { throw S3Refusal(.entityTooLarge) }
        file.allowed = lengths
        try await self.authorise(owner, in: bucket, exchange)

        let put = try PutRequest(form.putHead(), payload: .unsigned)
        let body = RequestBody(file, put.form, chain: nil)
        let stored: StoredObject
        do throws(AccessFault) {
            stored = try await self.access.put(
                key, in: bucket, body, put.options, on: exchange.loop, deadline: exchange.deadline)
        } catch { throw file.refusal ?? body.refusal ?? put.refusal(of: error) }
        await self.tell(
            form.success(key, in: bucket, entityTag: stored.entityTag.text), of: stored,
            ObjectName(bucket: bucket, key: key), exchange)
    }

    private func tell(
        _ success: PostForm.Success, of stored: StoredObject, _ name: ObjectName,
        _ exchange: DoorExchange
    ) async {
        var fields = exchange.makeFields()
        if let tag = HTTPSyntax.EntityTag(stored.entityTag.text) { fields.add(etag: tag) }
        let scheme = exchange.request.isSecure ? "https" : "http"
        let host = exchange.head.fields.text("host") ?? ""
        let path = String(
            decoding: PercentCoding.encode(Array(name.key.utf8), keepingSlashes: true),
            as: UTF8.self)
        let location = "\(scheme)://\(host)/\(name.bucket)/\(path)"
        switch success {
        case .redirect(let address):
            fields.addChecked("Location", address)
            await exchange.respond(.seeOther, fields)
        case .noContent, .ok:
            fields.addChecked("Location", location)
            await exchange.respond(success == .ok ? .ok : .noContent, fields)
        case .created:
            fields.addChecked("Location", location)
            fields.addChecked("Content-Type", "application/xml")
            let xml = Self.document(
                ofPosted: name, at: location, entityTag: stored.entityTag.text)
            await exchange.respond(.created, fields, body: xml.bytes)
        }
    }

    package static func document(
        ofPosted name: ObjectName, at location: String, entityTag: String
    ) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("PostResponse") { xml in
            xml.element("Location", location)
            xml.element("Bucket", name.bucket.text)
            xml.element("Key", utf8: name.key.utf8)
            xml.element("ETag", "\"\(entityTag)\"")
        }
        return xml
    }
}

/// The file of a form as a body: what stands between the form's delimiters, within the length that
/// its policy allows.
package final class FormFile: BodySource {
    private let source: any BodySource
    private var decoder: FormDecoder
    /// Decoded and not handed out.
    private var rest: ArraySlice<UInt8> = []
    private var receivedBytes: UInt64 = 0

    private static let inputBytes = 64 << 10

    package var allowed: ClosedRange<UInt64> = 0...UInt64.max
    /// Why the body was refused, where that says more than a `BodyFault`.
    package private(set) var refusal: S3Refusal?

    package init(_ source: any BodySource, _ decoder: FormDecoder) {
        self.source = source
        self.decoder = decoder
    }

    /// Reads up to the file; to be called once, before the file is read.
    package func readFields() async throws(S3Refusal) -> PostForm {
        var fields: [(name: String, value: [UInt8])] = []
        while true {
            switch try self.decoder.next() {
            case .field(let name, let value): fields.append((name, value))
            case .fileBegan(let name): return try PostForm(fields, fileName: name)
            case .needsMore:
                let bytes: [UInt8]
                do throws(BodyFault) {
                    bytes = try await self.source.next(upTo: Self.inputBytes)
                } catch { throw S3Refusal(of: error) }
                guard !bytes.isEmpty else { throw S3Refusal(.malformedForm) }
                self.decoder.take(bytes)
            case .fileBytes, .fileEnded: throw S3Refusal(.malformedForm)
            }
        }
    }

    package func next(upTo limit: Int) async throws(BodyFault) -> [UInt8] {
        while self.rest.isEmpty {
            switch try self.nextEvent() {
            case .fileBytes(let bytes):
                self.receivedBytes += UInt64(bytes.count)
                guard self.receivedBytes <= self.allowed.upperBound else {
                    throw self.refused(S3Refusal(.entityTooLarge))
                }
                self.rest = bytes[...]
            case .fileEnded:
                guard self.receivedBytes >= self.allowed.lowerBound else {
                    throw self.refused(S3Refusal(.entityTooSmall))
                }
                return []
            case .needsMore:
                let bytes = try await self.source.next(upTo: Self.inputBytes)
                // Without the last delimiter the file may be a part of one.
                guard !bytes.isEmpty else { throw .truncated }
                self.decoder.take(bytes)
            case .field, .fileBegan: throw self.refused(S3Refusal(.malformedForm))
            }
        }
        defer { self.rest = self.rest.dropFirst(limit) }
        return Array(self.rest.prefix(limit))
    }

    private func nextEvent() throws(BodyFault) -> FormDecoder.Event {
        do throws(S3Refusal) { return try self.decoder.next() } catch { throw self.refused(error) }
    }

    private func refused(_ refusal: S3Refusal) -> BodyFault {
        self.refusal = refusal
        return .malformed(refusal.code)
    }
}
