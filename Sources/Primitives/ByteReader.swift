/// Why bytes could not be read as the format they were said to be. Never a trap: input is input.
public enum FormatFault: Error, Equatable, Sendable {
    /// The bytes end before the field at `offset` does.
    case truncated(offset: Int)
    /// The field at `offset` holds a value that the format does not allow.
    case invalid(field: String, offset: Int)
    /// Bytes follow where the format has ended.
    case trailing(count: Int)
    /// A length or a count is over its bound.
    case tooLarge(field: String, size: Int, limit: Int)
    /// The format's version is one this release does not read.
    case unknownVersion(Int)
    /// The checksum that the bytes carry is not theirs.
    case checksumMismatch(recorded: UInt32, computed: UInt32)
}

/// Reads the fields of a format one after the other; the twin of `ByteWriter`.
///
/// What is generic here is inlinable: unspecialised, as other modules would get it, a message of
/// thirty fields is read in 2.5 µs instead of 0.8.
public struct ByteReader: Sendable {
    @usableFromInline let bytes: ArraySlice<UInt8>
    @usableFromInline var position: Int

    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    @inlinable
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.position = bytes.startIndex
    }

    /// How far the reader has come.
    @inlinable
    public var offset: Int { self.position - self.bytes.startIndex }
    @inlinable
    public var remaining: Int { self.bytes.endIndex - self.position }

    @inlinable
    public mutating func read<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(FormatFault) -> Number {
        Number(littleEndian: try self.load(type))
    }

    @inlinable
    public mutating func readBigEndian<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(FormatFault) -> Number {
        Number(bigEndian: try self.load(type))
    }

    @inlinable
    mutating func load<Number: FixedWidthInteger>(
        _ type: Number.Type
    ) throws(FormatFault) -> Number {
        let size = MemoryLayout<Number>.size
        guard self.remaining >= size else { throw .truncated(offset: self.offset) }
        let start = self.position - self.bytes.startIndex
        self.position += size
        return self.bytes.withUnsafeBytes {
            $0.loadUnaligned(fromByteOffset: start, as: Number.self)
        }
    }

    @inlinable
    public mutating func readBool(field: String = "flag") throws(FormatFault) -> Bool {
        let at = self.offset
        switch try self.read(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw .invalid(field: field, offset: at)
        }
    }

    /// Exactly `count` bytes, without a length before them.
    @inlinable
    public mutating func readRaw(_ count: Int) throws(FormatFault) -> ArraySlice<UInt8> {
        guard count >= 0, self.remaining >= count else { throw .truncated(offset: self.offset) }
        defer { self.position += count }
        return self.bytes[self.position..<self.position + count]
    }

    /// All that is left.
    public mutating func readRest() -> ArraySlice<UInt8> {
        defer { self.position = self.bytes.endIndex }
        return self.bytes[self.position...]
    }

    /// Bytes behind their count; refused before anything is copied if there are more than `limit`.
    @inlinable
    public mutating func readBytes(
        field: String = "bytes", limit: Int = .max
    ) throws(FormatFault) -> ArraySlice<UInt8> {
        let count = Int(try self.read(UInt32.self))
        guard count <= limit else {
            throw .tooLarge(field: field, size: count, limit: limit)
        }
        return try self.readRaw(count)
    }

    /// UTF-8 behind its byte count; ill-formed UTF-8 is refused.
    public mutating func readString(
        field: String = "text", limit: Int = .max
    ) throws(FormatFault) -> String {
        let at = self.offset
        let utf8 = try self.readBytes(field: field, limit: limit)
        guard let text = String(validating: utf8, as: UTF8.self) else {
            throw .invalid(field: field, offset: at)
        }
        return text
    }

    @inlinable
    public mutating func readOptional<Value>(
        _ read: (inout ByteReader) throws(FormatFault) -> Value
    ) throws(FormatFault) -> Value? {
        try self.readBool(field: "presence") ? try read(&self) : nil
    }

    /// A count and its elements; a count that the remaining bytes cannot hold (at one byte an
    /// element) is refused at once.
    @inlinable
    public mutating func readArray<Element>(
        field: String = "array", limit: Int = .max,
        _ read: (inout ByteReader) throws(FormatFault) -> Element
    ) throws(FormatFault) -> [Element] {
        let count = Int(try self.read(UInt32.self))
        guard count <= limit, count <= self.remaining else {
            throw .tooLarge(field: field, size: count, limit: min(limit, self.remaining))
        }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try read(&self)) }
        return elements
    }

    /// To be called last: a format that has ended must have nothing behind it.
    public func finish() throws(FormatFault) {
        if self.remaining > 0 { throw .trailing(count: self.remaining) }
    }
}
