import Catalog
import ObjectExchange
import Primitives

/// The body of CompleteMultipartUpload: the parts that make the object, in their order.
package struct CompleteDocument: Equatable, Sendable {
    package struct Part: Equatable, Sendable {
        package let number: PartNumber
        /// Without quotes.
        package let entityTag: String
        /// What the client remembers of the part's checksum.
        package let checksum: ObjectChecksum?
    }

    package let parts: [Part]

    /// Throws `MalformedXML` for what is no such document, and `InvalidPartOrder` for parts that do
    /// not ascend.
    package init(_ body: [UInt8]) throws(S3Refusal) {
        let root = try XMLRequest.read(body)
        let listed = root.children.filter { $0.name == "Part" }
        guard root.name == "CompleteMultipartUpload",
            (1...Int(CatalogLimits.partsPerUpload)).contains(listed.count)
        else { throw S3Refusal(.malformedXML) }
        var parts: [Part] = []
        for element in listed {
            guard let text = element.first("PartNumber")?.text,
                let number = Int(text).flatMap(PartNumber.init),
                let tag = element.first("ETag")?.text
            else { throw S3Refusal(.malformedXML) }
            if let last = parts.last, number <= last.number {
                throw S3Refusal(.invalidPartOrder)
            }
            parts.append(
                Part(
                    number: number, entityTag: Self.unquoted(tag),
                    checksum: try Self.checksum(of: element)))
        }
        self.parts = parts
    }

    /// Clients send entity tags with their quotes and without.
    private static func unquoted(_ tag: String) -> String {
        guard tag.utf8.count >= 2, tag.utf8.first == UInt8(ascii: "\""),
            tag.utf8.last == UInt8(ascii: "\"")
        else { return tag }
        return String(tag.dropFirst().dropLast())
    }

    private static func checksum(of part: XMLElement) throws(S3Refusal) -> ObjectChecksum? {
        for algorithm in ChecksumAlgorithm.allCases {
            guard let text = part.first("Checksum\(algorithm.name.uppercased())")?.text else {
                continue
            }
            guard let value = Base64.decode(text), value.count == algorithm.sizeBytes else {
                throw S3Refusal(.invalidRequest, "The checksum of a part is no checksum")
            }
            return ObjectChecksum(algorithm: algorithm, value: value)
        }
        return nil
    }
}
