import ObjectExchange
import Primitives

/// An element of a request's body, with what is in it.
package struct XMLElement: Equatable, Sendable {
    /// Without a namespace's prefix.
    package let name: String
    /// All text directly inside, its references resolved.
    package internal(set) var text = ""
    package internal(set) var children: [XMLElement] = []

    package func first(_ name: String) -> XMLElement? {
        self.children.first { $0.name == name }
    }
}

/// Reads the small XML documents that requests carry: elements, text, the five named entities,
/// character references, comments and CDATA sections (XML 1.0, fifth edition). Attributes are read
/// over, because nothing in S3's documents hangs on one. A document type is refused: what it declares
/// (entities that grow, files to be read) has no place in a request.
///
/// Our own, because FoundationXML's parser can be made to trap by what a client sends.
package enum XMLRequest {
    /// Elements inside elements; S3's own documents have three levels.
    private static let depthLimit = 8
    /// A thousand keys to delete, each with a tag, a version and what it is wrapped in.
    private static let elementLimit = 8_192

    /// The outermost element; throws `MalformedXML` for anything else than one document.
    package static func read(_ body: [UInt8]) throws(S3Refusal) -> XMLElement {
        // Well-formed as a whole, so that text cut between ASCII marks is well-formed too.
        guard String(validating: body, as: UTF8.self) != nil else { throw Self.malformed }
        var reader = Reader(rest: body[...])
        reader.take("\u{feff}")
        var open: [XMLElement] = []
        var elementCount = 0
        while !reader.rest.isEmpty {
            switch try reader.next() {
            case .text(let text):
                if open.isEmpty {
                    guard text.utf8.allSatisfy(Self.isBlank) else { throw Self.malformed }
                } else {
                    open[open.count - 1].text += text
                }
            case .opened(let name, let isEmpty):
                elementCount += 1
                guard open.count < Self.depthLimit, elementCount <= Self.elementLimit else {
                    throw Self.malformed
                }
                open.append(XMLElement(name: name))
                if isEmpty, let root = try Self.close(name, &open) {
                    return try reader.finished(root)
                }
            case .closed(let name):
                if let root = try Self.close(name, &open) { return try reader.finished(root) }
            case .ignored: break
            }
        }
        throw Self.malformed
    }

    /// Ends the innermost element; returns the outermost when it was that.
    private static func close(
        _ name: String, _ open: inout [XMLElement]
    ) throws(S3Refusal) -> XMLElement? {
        guard let element = open.popLast(), element.name == name else { throw Self.malformed }
        if open.isEmpty { return element }
        open[open.count - 1].children.append(element)
        return nil
    }

    fileprivate static var malformed: S3Refusal { S3Refusal(.malformedXML) }

    fileprivate static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d
    }

    private enum Token {
        case text(String)
        case opened(String, isEmpty: Bool)
        case closed(String)
        case ignored
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func next() throws(S3Refusal) -> Token {
            guard self.rest.first == UInt8(ascii: "<") else {
                let text = self.rest.prefix { $0 != UInt8(ascii: "<") }
                self.rest = self.rest[text.endIndex...]
                return .text(try Self.resolved(text))
            }
            if self.take("<!--") {
                _ = try self.through("-->")
                return .ignored
            }
            if self.take("<![CDATA[") {
                return .text(String(decoding: try self.through("]]>"), as: UTF8.self))
            }
            if self.take("<?") {
                _ = try self.through("?>")
                return .ignored
            }
            if self.take("</") {
                var tag = try self.through(">")
                let name = try Self.takeName(&tag)
                guard tag.allSatisfy(XMLRequest.isBlank) else { throw XMLRequest.malformed }
                return .closed(name)
            }
            return try self.start()
        }

        /// The start of an element, its attributes read over.
        private mutating func start() throws(S3Refusal) -> Token {
            self.rest = self.rest.dropFirst()
            let name = try Self.takeName(&self.rest)
            while let byte = self.rest.first {
                self.rest = self.rest.dropFirst()
                switch byte {
                case UInt8(ascii: ">"): return .opened(name, isEmpty: false)
                case UInt8(ascii: "/"):
                    guard self.take(">") else { throw XMLRequest.malformed }
                    return .opened(name, isEmpty: true)
                case UInt8(ascii: "\""), UInt8(ascii: "'"):
                    guard let end = self.rest.firstIndex(of: byte) else {
                        throw XMLRequest.malformed
                    }
                    self.rest = self.rest[(end + 1)...]
                case UInt8(ascii: "<"): throw XMLRequest.malformed
                default: break
                }
            }
            throw XMLRequest.malformed
        }

        /// A name without its namespace's prefix, behind which a blank or a mark must stand.
        private static func takeName(
            _ text: inout ArraySlice<UInt8>
        ) throws(S3Refusal) -> String {
            let whole = text.prefix { byte in
                !XMLRequest.isBlank(byte) && byte != UInt8(ascii: ">") && byte != UInt8(ascii: "/")
            }
            text = text[whole.endIndex...]
            let colon = whole.lastIndex(of: UInt8(ascii: ":"))
            let name = colon.map { whole[($0 + 1)...] } ?? whole
            let isName = name.allSatisfy { byte in
                byte >= 0x80 || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                    || byte == UInt8(ascii: ".") || Character(Unicode.Scalar(byte)).isLetter
                    || Character(Unicode.Scalar(byte)).isNumber
            }
            guard isName, !name.isEmpty else { throw XMLRequest.malformed }
            return String(decoding: name, as: UTF8.self)
        }

        /// What stands behind the outermost element may be blanks and comments.
        mutating func finished(_ root: XMLElement) throws(S3Refusal) -> XMLElement {
            while !self.rest.isEmpty {
                switch try self.next() {
                case .ignored: continue
                case .text(let text) where text.utf8.allSatisfy(XMLRequest.isBlank): continue
                case .text, .opened, .closed: throw XMLRequest.malformed
                }
            }
            return root
        }

        @discardableResult
        mutating func take(_ mark: String) -> Bool {
            guard self.rest.starts(with: mark.utf8) else { return false }
            self.rest = self.rest.dropFirst(mark.utf8.count)
            return true
        }

        /// What stands before `mark`; goes on behind it.
        private mutating func through(_ mark: String) throws(S3Refusal) -> ArraySlice<UInt8> {
            let mark = Array(mark.utf8)
            var position = self.rest.startIndex
            while position + mark.count <= self.rest.endIndex {
                if self.rest[position] == mark[0], self.rest[position...].starts(with: mark) {
                    defer { self.rest = self.rest[(position + mark.count)...] }
                    return self.rest[..<position]
                }
                position += 1
            }
            throw XMLRequest.malformed
        }

        private static let entities: [String: String] = [
            "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'",
        ]

        private static func resolved(_ text: ArraySlice<UInt8>) throws(S3Refusal) -> String {
            var resolved = ""
            var rest = text
            while let mark = rest.firstIndex(of: UInt8(ascii: "&")) {
                resolved += String(decoding: rest[..<mark], as: UTF8.self)
                guard let end = rest[mark...].firstIndex(of: UInt8(ascii: ";")) else {
                    throw XMLRequest.malformed
                }
                let name = String(decoding: rest[(mark + 1)..<end], as: UTF8.self)
                guard let value = Self.entities[name] ?? Self.character(name) else {
                    throw XMLRequest.malformed
                }
                resolved += value
                rest = rest[(end + 1)...]
            }
            return resolved + String(decoding: rest, as: UTF8.self)
        }

        /// `#13` or `#xd`. Control characters are let through: keys may hold them, and clients have
        /// no other way to name those keys.
        private static func character(_ name: String) -> String? {
            guard name.utf8.first == UInt8(ascii: "#") else { return nil }
            let digits = name.dropFirst()
            let isHexadecimal = digits.utf8.first == UInt8(ascii: "x")
            let number = isHexadecimal ? digits.dropFirst() : digits
            guard number.utf8.count <= 7, number.utf8.first != UInt8(ascii: "+"),
                let value = UInt32(number, radix: isHexadecimal ? 16 : 10), value > 0,
                let scalar = Unicode.Scalar(value)
            else { return nil }
            return String(Character(scalar))
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
