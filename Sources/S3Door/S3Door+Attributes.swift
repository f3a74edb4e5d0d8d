import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives

/// What GetObjectAttributes can tell (Amazon S3 API Reference); the raw values stand in
/// `x-amz-object-attributes`.
package enum ObjectAttributeName: String, CaseIterable, Sendable {
    case entityTag = "ETag"
    case checksum = "Checksum"
    case parts = "ObjectParts"
    case storageClass = "StorageClass"
    case size = "ObjectSize"

    /// Those that a request asks for; throws for none and for what is no attribute.
    package static func asked(by fields: Fields) throws(S3Refusal) -> Set<ObjectAttributeName> {
        let text = String(decoding: fields.joined("x-amz-object-attributes") ?? [], as: UTF8.self)
        var names: Set<ObjectAttributeName> = []
        for word in text.split(separator: ",") {
            guard let name = ObjectAttributeName(rawValue: String(word.filter { $0 != " " })) else {
                throw S3Refusal(.invalidArgument, "Invalid attribute name specified.")
            }
            names.insert(name)
        }
        guard !names.isEmpty else {
            throw S3Refusal(
                .invalidArgument,
                "The x-amz-object-attributes header specifying the attributes "
                    + "to be retrieved is either missing or empty")
        }
        return names
    }
}

extension S3Door {
    func tellAttributes(
        of key: ObjectKey, in bucket: BucketName, _ asked: Asked
    ) async throws(S3Refusal) {
        let names = try ObjectAttributeName.asked(by: asked.fields)
        // Not its head alone, which does not know of parts.
        let reader = try await refusing { () throws(AccessFault) in
            try await self.access.read(
                key, in: bucket, on: asked.exchange.loop, deadline: asked.deadline)
        }
        let partCount = ObjectAnswer.isInParts(reader.head) ? reader.parts?.partCount : nil
        var fields = asked.exchange.makeFields()
        fields.add("Last-Modified", date: reader.head.modified)
        await asked.exchange.respond(
            xml: Self.attributes(names, of: reader.head, partCount: partCount), fields)
    }

    package static func attributes(
        _ names: Set<ObjectAttributeName>, of head: ObjectHead, partCount: Int?
    ) -> XMLWriter {
        var xml = XMLWriter()
        xml.element("GetObjectAttributesResponse", namespace: XMLWriter.s3Namespace) { xml in
            // Without quotes here, unlike everywhere else.
            if names.contains(.entityTag) { xml.element("ETag", head.entityTag.text) }
            if names.contains(.checksum), !head.checksums.isEmpty {
                xml.element("Checksum") { $0.checksums(head.checksums, withType: true) }
            }
            if names.contains(.parts), let partCount {
                xml.element("ObjectParts") { $0.element("PartsCount", partCount) }
            }
            if names.contains(.storageClass) { xml.element("StorageClass", "STANDARD") }
            if names.contains(.size) { xml.element("ObjectSize", head.size) }
        }
        return xml
    }
}
