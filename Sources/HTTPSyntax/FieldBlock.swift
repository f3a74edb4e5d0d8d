import Primitives

/// Why a field cannot be written.
package enum FieldFault: Error, Equatable, Sendable {
    /// The name is not a token.
    case malformedName(String)
    /// The value holds a control byte: a line end there would let its author write fields, or
    /// whole messages, of his own.
    case forbiddenByte(field: String)
    /// The transport writes this field itself, because it says how the message is framed.
    case reserved(String)
}

/// The fields of a message to be sent, kept as the text that goes out.
package struct FieldBlock: Equatable, Sendable {
    /// Complete field lines, each with its CRLF.
    package private(set) var bytes: [UInt8] = []

    /// Those that say how a message is framed; written by whoever frames it.
    private static let reserved: [String] = [
        "connection", "content-length", "date", "keep-alive", "transfer-encoding",
    ]

    package init() {}

    package var isEmpty: Bool { self.bytes.isEmpty }

    /// Adds a field line behind the others.
    package mutating func add(_ name: String, _ value: String) throws(FieldFault) {
        try self.add(name, bytes: Array(value.utf8)[...])
    }

    /// The same for a value that need not be UTF-8.
    package mutating func add(_ name: String, bytes value: ArraySlice<UInt8>) throws(FieldFault) {
        guard !name.isEmpty, name.utf8.allSatisfy(ByteClass.isToken) else {
            throw .malformedName(name)
        }
        for reserved in Self.reserved where reserved.utf8.count == name.utf8.count {
            if zip(reserved.utf8, name.utf8).allSatisfy({ $0 == ByteClass.lowered($1) }) {
                throw .reserved(reserved)
            }
        }
        guard value.allSatisfy(ByteClass.isFieldValue) else { throw .forbiddenByte(field: name) }
        self.append(name.utf8)
        self.append(": ".utf8)
        self.bytes.append(contentsOf: value)
        self.bytes.append(contentsOf: ChunkedEncoding.chunkEnd)
    }

    /// Adds a field whose value is a number, and which therefore cannot go wrong.
    package mutating func add(_ name: StaticString, number: some BinaryInteger) {
        self.add(known: name, "\(number)")
    }

    /// Adds a field whose value this module has made.
    mutating func add(known name: StaticString, _ value: String) {
        self.bytes.append(
            contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        self.append(": ".utf8)
        self.append(value.utf8)
        self.bytes.append(contentsOf: ChunkedEncoding.chunkEnd)
    }

    /// Adds a moment in the form that all date fields have.
    package mutating func add(_ name: StaticString, date: Timestamp) {
        self.add(known: name, HTTPDate.text(date))
    }

    package mutating func add(etag: EntityTag) { self.add(known: "ETag", etag.description) }

    package mutating func add(_ range: ContentRange) {
        self.add(known: "Content-Range", range.description)
    }

    private mutating func append(_ text: some Sequence<UInt8>) {
        self.bytes.append(contentsOf: text)
    }
}
