/// Writes an XML 1.0 document as bytes: elements and text, which is all that S3 answers with.
package struct XMLWriter {
    package private(set) var bytes = Array("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".utf8)

    /// The namespace of S3's own documents.
    package static let s3Namespace: StaticString = "http://s3.amazonaws.com/doc/2006-03-01/"

    package init() {}

    /// An element that holds what `content` writes.
    package mutating func element(
        _ name: StaticString, namespace: StaticString? = nil, _ content: (inout XMLWriter) -> Void
    ) {
        self.append("<")
        self.append(name)
        if let namespace {
            self.append(" xmlns=\"")
            self.append(namespace)
            self.append("\"")
        }
        self.append(">")
        content(&self)
        self.close(name)
    }

    /// An element that holds `text`, escaped.
    package mutating func element(_ name: StaticString, _ text: String) {
        self.element(name, utf8: text.utf8)
    }

    package mutating func element(_ name: StaticString, utf8 text: some Sequence<UInt8>) {
        self.append("<")
        self.append(name)
        self.append(">")
        self.escape(text)
        self.close(name)
    }

    package mutating func element(_ name: StaticString, _ number: some BinaryInteger) {
        self.element(name, utf8: "\(number)".utf8)
    }

    package mutating func element(_ name: StaticString, _ flag: Bool) {
        self.element(name, utf8: (flag ? "true" : "false").utf8)
    }

    /// An element whose name is not known when compiling; `name` must be a plain word.
    package mutating func element(named name: String, _ text: String) {
        self.bytes += "<\(name)>".utf8
        self.escape(text.utf8)
        self.bytes += "</\(name)>".utf8
    }

    /// Text inside the element that is being written.
    package mutating func text(_ text: String) { self.escape(text.utf8) }

    private mutating func close(_ name: StaticString) {
        self.append("</")
        self.append(name)
        self.append(">")
    }

    private mutating func append(_ text: StaticString) {
        self.bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Control characters are written as references, as Amazon S3 does: XML 1.0 has no place for
    /// most of them (§2.2), so who lists keys with such characters asks for `encoding-type=url`. A
    /// bare carriage return would be read as a line feed (§2.11).
    private mutating func escape(_ text: some Sequence<UInt8>) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "&"): self.append("&amp;")
            case UInt8(ascii: "<"): self.append("&lt;")
            case UInt8(ascii: ">"): self.append("&gt;")
            case UInt8(ascii: "\""): self.append("&quot;")
            case UInt8(ascii: "\t"), UInt8(ascii: "\n"): self.bytes.append(byte)
            case 0..<0x20: self.bytes += "&#x\(String(byte, radix: 16));".utf8
            default: self.bytes.append(byte)
            }
        }
    }
}
