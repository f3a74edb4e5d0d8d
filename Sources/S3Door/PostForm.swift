import Catalog
import HTTPSyntax
import ObjectExchange
import Primitives
import Signing

/// The fields of a browser's form, which stand before its file (Amazon S3 API Reference, "POST
/// Object").
package struct PostForm: Equatable, Sendable {
    /// By their names in lower case, each once, in the order they came.
    package private(set) var fields: [(name: String, value: String)] = []
    /// What the browser calls the file, without the folders it may have put before it.
    package let fileName: String

    package init(_ fields: [(name: String, value: [UInt8])], fileName: String) throws(S3Refusal) {
        self.fileName = String(
            fileName.utf8.split(whereSeparator: { [0x2f, 0x5c].contains($0) }).last.map {
                Substring($0)
            } ?? "")
        for (name, value) in fields {
            guard let text = String(validating: value, as: UTF8.self) else {
                throw S3Refusal(.invalidArgument, "The field \(name) is not UTF-8")
            }
            guard self[name] == nil else {
                throw S3Refusal(.invalidArgument, "The field \(name) must stand once")
            }
            self.fields.append((name, text))
        }
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.fileName == b.fileName && a.fields.elementsEqual(b.fields, by: ==)
    }

    package subscript(_ name: String) -> String? {
        self.fields.first { $0.name == name }?.value
    }

    /// What the object will be called.
    package func key() throws(S3Refusal) -> ObjectKey {
        guard let pattern = self["key"], !pattern.isEmpty else {
            throw S3Refusal(.invalidArgument, "Bucket POST must contain a field named 'key'.")
        }
        let name = pattern.replacing("${filename}", with: self.fileName)
        guard CatalogLimits.objectKeyBytes.contains(name.utf8.count) else {
            throw S3Refusal(.keyTooLong)
        }
        guard let key = ObjectKey(utf8: Array(name.utf8)) else { throw S3Refusal(.invalidURI) }
        return key
    }

    /// The fields as a policy judges them.
    package func judged(key: ObjectKey, in bucket: BucketName) -> [(name: String, value: String)] {
        self.fields.filter { $0.name != "key" && $0.name != "bucket" }
            + [("key", String(decoding: key.utf8, as: UTF8.self)), ("bucket", bucket.text)]
    }

    // MARK: What the file is stored with

    /// Fields that mean what a header of that name means for PUT.
    private static let headers: Set<String> = [
        "cache-control", "content-disposition", "content-encoding", "content-language",
        "content-md5",
        "content-type", "expires",
    ]
    /// Fields that prove the policy, and are no property of the object.
    private static let proof: Set<String> = [
        "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature",
        "x-amz-security-token",
    ]

    /// The form as the head of the PUT that it stands for, so that both are read by the same rules.
    package func putHead() throws(S3Refusal) -> RequestHead {
        if self["tagging"] != nil {
            throw S3Refusal(.notImplemented, "Tags are not implemented")
        }
        var block = FieldBlock()
        for (name, value) in self.fields {
            let isStored =
                Self.headers.contains(name)
                || name.hasPrefix("x-amz-") && !Self.proof.contains(name)
            guard isStored || name == "acl" else { continue }
            do throws(FieldFault) {
                try block.add(name == "acl" ? "x-amz-acl" : name, value)
            } catch {
                throw S3Refusal(.invalidArgument, "The field \(name) is no value of a header")
            }
        }
        let start = Array("POST / HTTP/1.1\r\nHost: form\r\nTransfer-Encoding: chunked\r\n".utf8)
        var parser = RequestParser()
        let outcome = (start + block.bytes + [0x0d, 0x0a]).withUnsafeBytes { parser.parse($0) }
        guard case .head(let head, _) = outcome else { throw S3Refusal(.malformedForm) }
        return head
    }

    // MARK: What the browser is told

    package enum Success: Equatable, Sendable {
        case noContent
        case ok
        /// 201, with a document.
        case created
        /// 303, with the object's name behind the address.
        case redirect(String)
    }

    package func success(
        _ key: ObjectKey, in bucket: BucketName, entityTag: String
    ) -> Success {
        let address = self["success_action_redirect"] ?? self["redirect"] ?? ""
        if address.hasPrefix("https://") || address.hasPrefix("http://") {
            func coded(_ text: some Sequence<UInt8>) -> String {
                String(decoding: PercentCoding.encode(Array(text)), as: UTF8.self)
            }
            let mark = address.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
            return .redirect(
                "\(address)\(mark)bucket=\(bucket)&key=\(coded(key.utf8))"
                    + "&etag=\(coded("\"\(entityTag)\"".utf8))")
        }
        switch self["success_action_status"] {
        case "200": return .ok
        case "201": return .created
        default: return .noContent
        }
    }
}
