import Foundation
import FoundationXML
import ObjectExchange

/// An element of a request's body, with what is in it.
package struct XMLElement: Equatable, Sendable {
    package let name: String
    package internal(set) var text = ""
    package internal(set) var children: [XMLElement] = []

    package func first(_ name: String) -> XMLElement? {
        self.children.first { $0.name == name }
    }
}

/// Reads the small XML documents that requests carry.
package enum XMLRequest {
    /// Elements inside elements; S3's own documents have three levels.
    private static let depthLimit = 8
    /// A thousand keys to delete, each with a tag and a version.
    private static let elementLimit = 8_192

    /// The outermost element; throws for what is not well-formed, and for any document type: what
    /// one declares (entities that grow, files to be read) has no place in a request.
    package static func read(_ body: [UInt8]) throws(S3Refusal) -> XMLElement {
        guard !self.declaresType(body) else { throw S3Refusal(.malformedXML) }
        let parser = XMLParser(data: Data(body))
        parser.shouldResolveExternalEntities = false
        let reader = Reader()
        parser.delegate = reader
        guard parser.parse(), !reader.isRefused, let root = reader.root else {
            throw S3Refusal(.malformedXML)
        }
        return root
    }

    private static func declaresType(_ body: [UInt8]) -> Bool {
        let mark = Array("<!".utf8)
        let comment = Array("<!--".utf8)
        let section = Array("<![CDATA[".utf8)
        var position = 0
        while position + mark.count <= body.count {
            let rest = body[position...]
            if rest.starts(with: mark), !rest.starts(with: comment), !rest.starts(with: section) {
                return true
            }
            // UTF-16 would hide the mark from this search.
            if body[position] == 0 { return true }
            position += 1
        }
        return false
    }

    /// Builds the elements; it belongs to one call of `read`.
    private final class Reader: NSObject, XMLParserDelegate {
        private var open: [XMLElement] = []
        private var elementCount = 0
        var root: XMLElement?
        var isRefused = false

        func parser(
            _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
            qualifiedName: String?, attributes: [String: String]
        ) {
            self.elementCount += 1
            guard self.open.count < XMLRequest.depthLimit,
                self.elementCount <= XMLRequest.elementLimit
            else {
                self.isRefused = true
                parser.abortParsing()
                return
            }
            self.open.append(XMLElement(name: name))
        }

        func parser(_ parser: XMLParser, foundCharacters text: String) {
            guard !self.open.isEmpty else { return }
            self.open[self.open.count - 1].text += text
        }

        func parser(_ parser: XMLParser, foundCDATA block: Data) {
            guard !self.open.isEmpty else { return }
            self.open[self.open.count - 1].text += String(decoding: block, as: UTF8.self)
        }

        func parser(
            _ parser: XMLParser, didEndElement name: String, namespaceURI: String?,
            qualifiedName: String?
        ) {
            guard let element = self.open.popLast() else { return }
            if self.open.isEmpty {
                self.root = element
            } else {
                self.open[self.open.count - 1].children.append(element)
            }
        }
    }
}

/// The body of CreateBucket. A cluster has one region, whatever clients call it.
enum BucketConfiguration {
    static func check(_ body: [UInt8]) throws(S3Refusal) {
        guard try XMLRequest.read(body).name == "CreateBucketConfiguration" else {
            throw S3Refusal(.malformedXML)
        }
    }
}
