import Primitives

/// An element of the small XML documents that S3 answers with: names, text and children; attributes
/// and comments are read over. What S3 never sends (a document type with its entities) is refused.
package struct XMLElement: Equatable, Sendable {
    package let name: String
    /// All text directly inside, with entities resolved; of no use where there are children.
    package fileprivate(set) var text = ""
    package fileprivate(set) var children: [XMLElement] = []

    package init(name: String) { self.name = name }

    package enum Fault: Error, Equatable, Sendable {
        case malformed(offset: Int)
        case tooDeep(limit: Int)
    }

    package static let depthLimit = 16

    package func all(_ name: String) -> [XMLElement] { self.children.filter { $0.name == name } }
    package func first(_ name: String) -> XMLElement? { self.children.first { $0.name == name } }

    /// Reads a document; the root element is its value.
    package static func parse(_ bytes: [UInt8]) throws(Fault) -> XMLElement {
        var parser = XMLParser(bytes)
        return try parser.document()
    }
}

private struct XMLParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private var malformed: XMLElement.Fault { .malformed(offset: self.position) }

    mutating func document() throws(XMLElement.Fault) -> XMLElement {
        if self.bytes.starts(with: [0xEF, 0xBB, 0xBF]) { self.position = 3 }
        try self.skipBetweenElements()
        let root = try self.element(depth: 1)
        try self.skipBetweenElements()
        guard self.position == self.bytes.count else { throw self.malformed }
        return root
    }

    private mutating func skipBetweenElements() throws(XMLElement.Fault) {
        while self.position < self.bytes.count {
            if self.isBlank(self.bytes[self.position]) {
                self.position += 1
            } else if self.take("<?") {
                try self.skip(past: "?>")
            } else if self.take("<!--") {
                try self.skip(past: "-->")
            } else {
                return
            }
        }
    }

    private mutating func element(depth: Int) throws(XMLElement.Fault) -> XMLElement {
        guard depth <= XMLElement.depthLimit else { throw .tooDeep(limit: XMLElement.depthLimit) }
        guard self.take("<") else { throw self.malformed }
        var element = XMLElement(name: try self.name())
        if try self.skipAttributes() { return element }
        var text: [UInt8] = []
        while true {
            if self.take("</") {
                guard try self.name() == element.name else { throw self.malformed }
                self.skipBlanks()
                guard self.take(">") else { throw self.malformed }
                element.text = String(decoding: text, as: UTF8.self)
                return element
            } else if self.take("<!--") {
                try self.skip(past: "-->")
            } else if self.take("<![CDATA[") {
                let start = self.position
                try self.skip(past: "]]>")
                text += self.bytes[start..<self.position - 3]
            } else if self.take("<?") {
                try self.skip(past: "?>")
            } else if self.peek() == UInt8(ascii: "<") {
                element.children.append(try self.element(depth: depth + 1))
            } else {
                text += try self.characters()
            }
        }
    }

    /// Reads over the attributes up to the end of the tag; true when the element ends with it.
    private mutating func skipAttributes() throws(XMLElement.Fault) -> Bool {
        while true {
            self.skipBlanks()
            if self.take("/>") { return true }
            if self.take(">") { return false }
            _ = try self.name()
            self.skipBlanks()
            guard self.take("=") else { throw self.malformed }
            self.skipBlanks()
            let isDouble = self.take("\"")
            guard isDouble || self.take("'") else { throw self.malformed }
            try self.skip(past: isDouble ? "\"" : "'")
        }
    }

    private mutating func name() throws(XMLElement.Fault) -> String {
        let start = self.position
        while let byte = self.peek(), !self.isBlank(byte), !Self.endsNames.contains(byte) {
            self.position += 1
        }
        guard self.position > start else { throw self.malformed }
        return String(decoding: self.bytes[start..<self.position], as: UTF8.self)
    }

    private static let endsNames = Array("<>/=\"'&".utf8)

    /// Text up to the next tag.
    private mutating func characters() throws(XMLElement.Fault) -> [UInt8] {
        var text: [UInt8] = []
        while let byte = self.peek(), byte != UInt8(ascii: "<") {
            if byte == UInt8(ascii: "&") {
                text += try self.entity().utf8
            } else {
                text.append(byte)
                self.position += 1
            }
        }
        guard self.position < self.bytes.count else { throw self.malformed }
        return text
    }

    private mutating func entity() throws(XMLElement.Fault) -> String {
        for (name, meaning) in Self.entities where self.take(name) { return meaning }
        guard self.take("&#") else { throw self.malformed }
        let isHex = self.take("x")
        let start = self.position
        while let byte = self.peek(), byte != UInt8(ascii: ";"), self.position - start < 8 {
            self.position += 1
        }
        let digits = String(decoding: self.bytes[start..<self.position], as: UTF8.self)
        guard self.take(";"), digits.utf8.allSatisfy({ Hex.digit($0) != nil }),
            let value = UInt32(digits, radix: isHex ? 16 : 10), let scalar = Unicode.Scalar(value)
        else { throw self.malformed }
        return String(scalar)
    }

    private static let entities = [
        ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"),
    ]

    private func peek() -> UInt8? {
        self.position < self.bytes.count ? self.bytes[self.position] : nil
    }

    private mutating func take(_ text: String) -> Bool {
        guard self.bytes[self.position...].starts(with: text.utf8) else { return false }
        self.position += text.utf8.count
        return true
    }

    private mutating func skip(past text: String) throws(XMLElement.Fault) {
        while self.position < self.bytes.count {
            if self.take(text) { return }
            self.position += 1
        }
        throw self.malformed
    }

    private mutating func skipBlanks() {
        while let byte = self.peek(), self.isBlank(byte) { self.position += 1 }
    }

    private func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }
}
