import Catalog
import ObjectExchange

/// The body of DeleteObjects: which keys, and whether only failures are to be told.
package struct DeleteDocument: Equatable, Sendable {
    package struct Item: Equatable, Sendable {
        /// As the client wrote it, which the answer repeats.
        package let key: String
        /// Nil: no object can have that key.
        package let object: ObjectKey?
        package let precondition: ObjectPrecondition
        /// A version other than the one that objects have.
        package let namesOtherVersion: Bool
    }

    /// Amazon S3 API Reference, DeleteObjects.
    private static let mostKeys = 1_000

    package let items: [Item]
    package let isQuiet: Bool

    package init(_ body: [UInt8]) throws(S3Refusal) {
        let root = try XMLRequest.read(body)
        let objects = root.children.filter { $0.name == "Object" }
        guard root.name == "Delete", (1...Self.mostKeys).contains(objects.count) else {
            throw S3Refusal(.malformedXML)
        }
        self.isQuiet = root.first("Quiet")?.text.lowercased() == "true"
        var items: [Item] = []
        for object in objects {
            guard let key = object.first("Key")?.text else { throw S3Refusal(.malformedXML) }
            let version = object.first("VersionId")?.text ?? ""
            items.append(
                Item(
                    key: key, object: ObjectKey(key),
                    precondition: try Self.precondition(object.first("ETag")?.text),
                    namesOtherVersion: !version.isEmpty && version != "null"))
        }
        self.items = items
    }

    private static func precondition(_ text: String?) throws(S3Refusal) -> ObjectPrecondition {
        guard let text, !text.isEmpty else { return .none }
        if text == "*" { return .present }
        let bare =
            text.utf8.first == UInt8(ascii: "\"") ? String(text.dropFirst().dropLast()) : text
        guard let tag = EntityTag(bare) else { throw S3Refusal(.malformedXML) }
        return .matches(tag)
    }
}
