import Primitives

/// Builds keys whose byte order is the order of the tuples they encode, component by component.
///
/// Numbers are big-endian and of fixed width. A byte string that is not last is *escaped*: each
/// `00` becomes `00 FF`, and `00 01` ends it, so that a string stands before every longer string
/// that begins with it, whatever follows either. (The scheme of FoundationDB's tuple layer and
/// CockroachDB's `EncodeBytesAscending`.) A last component needs none of that: nothing follows it
/// that could be mistaken for it, so it is written *raw*.
package struct KeyWriter: Sendable {
    static let escape: UInt8 = 0x00
    static let escapedZero: UInt8 = 0xff
    static let terminator: UInt8 = 0x01

    private var writer: ByteWriter

    package init(capacity: Int = 32) { self.writer = ByteWriter(capacity: capacity) }

    package var key: [UInt8] { self.writer.bytes }

    /// A component that sorts by its value, the least first.
    package mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        // Two's complement sorts negative numbers above positive ones until the sign is flipped.
        self.writer.writeBigEndian(Number.isSigned ? number ^ Number.min : number)
    }

    /// A component that sorts by its value, the greatest first.
    package mutating func writeDescending<Number: FixedWidthInteger>(_ number: Number) {
        self.write(~number)
    }

    /// A byte string that other components may follow.
    package mutating func writeEscaped(_ bytes: some Sequence<UInt8>) {
        self.writeEscapedPrefix(bytes)
        self.writer.writeRaw([Self.escape, Self.terminator])
    }

    /// The beginning of an escaped byte string: `KeyRange(prefix:)` of such a key covers every
    /// string that begins with `bytes`, and whatever follows those strings.
    package mutating func writeEscapedPrefix(_ bytes: some Sequence<UInt8>) {
        // In one piece where they lie in one: called from another module, this is not specialised,
        // and a step of a generic iterator costs more than all that is done with its byte.
        let isWritten: Void? = bytes.withContiguousStorageIfAvailable { self.escape($0) }
        if isWritten == nil { Array(bytes).withUnsafeBufferPointer { self.escape($0) } }
    }

    private mutating func escape(_ bytes: UnsafeBufferPointer<UInt8>) {
        for byte in bytes {
            self.writer.write(byte)
            if byte == Self.escape { self.writer.write(Self.escapedZero) }
        }
    }

    /// A byte string that ends the key, or one whose length the key's format fixes.
    package mutating func writeRaw(_ bytes: some Collection<UInt8>) {
        self.writer.writeRaw(bytes)
    }
}

/// Reads the components of a key; the twin of `KeyWriter`. Bytes from a disk or a peer never trap.
package struct KeyReader: Sendable {
    private var reader: ByteReader

    package init(_ key: [UInt8]) { self.reader = ByteReader(key) }

    package mutating func read<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(FormatFault) -> Number {
        let number = try self.reader.readBigEndian(type)
        return Number.isSigned ? number ^ Number.min : number
    }

    package mutating func readDescending<Number: FixedWidthInteger>(
        _ type: Number.Type = Number.self
    ) throws(FormatFault) -> Number {
        ~(try self.read(type))
    }

    package mutating func readEscaped(field: String = "escaped") throws(FormatFault) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let byte = try self.reader.read(UInt8.self)
            guard byte == KeyWriter.escape else {
                bytes.append(byte)
                continue
            }
            let at = self.reader.offset
            switch try self.reader.read(UInt8.self) {
            case KeyWriter.escapedZero: bytes.append(0)
            case KeyWriter.terminator: return bytes
            default: throw .invalid(field: field, offset: at)
            }
        }
    }

    /// Exactly `count` raw bytes.
    package mutating func readRaw(_ count: Int) throws(FormatFault) -> [UInt8] {
        Array(try self.reader.readRaw(count))
    }

    /// All that is left: the raw last component.
    package mutating func readRest() -> [UInt8] { Array(self.reader.readRest()) }

    /// To be called last: a key that has ended must have nothing behind it.
    package func finish() throws(FormatFault) { try self.reader.finish() }
}
