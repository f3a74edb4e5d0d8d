import Catalog
import HTTPSyntax
import ObjectAccess
import Primitives

extension PutOptions {
    /// What the fields of a PUT say of the object, whichever door it came through: what to store
    /// beside the bytes, what must hold, and what the body must be.
    package init(_ head: RequestHead) throws(S3Refusal) {
        self.init()
        self.attributes = try ObjectAttributes(head.fields)
        self.precondition = try ObjectPrecondition(head.fields)
        self.stated.sizeBytes = head.contentLength
        if let text = head.fields.text("content-md5") {
            guard let digest = Base64.decode(text), digest.count == 16 else {
                throw S3Refusal(.invalidDigest)
            }
            self.stated.md5 = digest
        }
    }
}

extension ObjectAttributes {
    /// Fields that are stored with an object and given back with it, by their names.
    private static let stored: [StaticString] = [
        "cache-control", "content-disposition", "content-encoding", "content-language", "expires",
    ]
    private static let metadataPrefix = Array("x-amz-meta-".utf8)

    package init(_ fields: Fields) throws(S3Refusal) {
        self.init()
        if let value = fields.first("content-type"), !value.isEmpty {
            let text = try Self.text(value, of: "content-type")
            guard text.utf8.count <= CatalogLimits.contentTypeBytes else {
                throw S3Refusal(.invalidArgument, "The content type is too long")
            }
            self.contentType = text
        }
        for name in Self.stored {
            guard let value = fields.first(name) else { continue }
            var text = try Self.text(value, of: "\(name)")
            if name.description == "content-encoding" { text = Self.withoutChunking(text) }
            if text.isEmpty { continue }
            self.headers.append(ObjectField(name: "\(name)", value: text))
        }
        for index in 0..<fields.count {
            let name = fields.name(at: index)
            guard name.starts(with: Self.metadataPrefix) else { continue }
            let word = String(decoding: name.dropFirst(Self.metadataPrefix.count), as: UTF8.self)
            let value = try Self.text(fields.value(at: index), of: "x-amz-meta-\(word)")
            self.metadata.append(ObjectField(name: word, value: value))
        }
        guard ObjectField.sizeBytes(of: self.metadata) <= CatalogLimits.userMetadataBytes else {
            throw S3Refusal(.metadataTooLarge)
        }
        guard ObjectField.sizeBytes(of: self.headers) <= CatalogLimits.storedHeadersBytes else {
            throw S3Refusal(.metadataTooLarge, "The headers to be stored are too long")
        }
    }

    private static func text(
        _ value: ArraySlice<UInt8>, of name: String
    ) throws(S3Refusal) -> String {
        guard let text = String(validating: value, as: UTF8.self) else {
            throw S3Refusal(.invalidArgument, "\(name) is not UTF-8")
        }
        return text
    }

    /// `aws-chunked` says how the body travels, and is no property of the object.
    private static func withoutChunking(_ value: String) -> String {
        value.split(separator: ",").map { $0.trimming(" ") }
            .filter { $0.lowercased() != "aws-chunked" }.joined(separator: ",")
    }
}

extension Substring {
    fileprivate func trimming(_ blank: Character) -> Substring {
        var text = self
        while text.first == blank { text.removeFirst() }
        while text.last == blank { text.removeLast() }
        return text
    }
}

extension ObjectPrecondition {
    /// Reads the conditions of a write. The catalog judges one of them, when the write is applied;
    /// what it could not judge is refused rather than forgotten.
    package init(_ fields: Fields) throws(S3Refusal) {
        guard let conditions = Conditions(fields) else {
            throw S3Refusal(.invalidArgument, "A conditional header is malformed")
        }
        let unsupported = S3Refusal(
            .notImplemented, "Writes take If-None-Match: *, or If-Match with one tag or *")
        guard conditions.unmodifiedSince == nil else { throw unsupported }
        switch (conditions.match, conditions.noneMatch) {
        case (nil, nil): self = .none
        case (nil, .any): self = .absent
        case (.any, nil): self = .present
        case (.tags(let tags), nil):
            guard tags.count == 1, let tag = tags.first, !tag.isWeak,
                let stored = StoredEntityTag(tag.opaque)
            else { throw unsupported }
            self = .matches(stored)
        case (_, .tags), (.some, .any): throw unsupported
        }
    }
}
