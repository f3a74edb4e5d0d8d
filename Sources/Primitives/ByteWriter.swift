/// Writes the fields of a format one after the other, numbers little-endian.
///
/// What is generic here is inlinable, as in `ByteReader`.
public struct ByteWriter: Sendable {
    @usableFromInline var storage: [UInt8]

    /// What was written so far.
    @inlinable
    public var bytes: [UInt8] { self.storage }

    @inlinable
    public init(capacity: Int = 0) {
        self.storage = []
        self.storage.reserveCapacity(capacity)
    }

    @inlinable
    public var count: Int { self.storage.count }

    /// A fixed-width number, least significant byte first.
    @inlinable
    public mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { self.storage.append(contentsOf: $0) }
    }

    /// A fixed-width number, most significant byte first: for keys, whose byte order is their order.
    @inlinable
    public mutating func writeBigEndian<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.bigEndian) { self.storage.append(contentsOf: $0) }
    }

    @inlinable
    public mutating func write(_ flag: Bool) { self.storage.append(flag ? 1 : 0) }

    /// Bytes without a length: only for fields whose size the format fixes, and for last fields.
    @inlinable
    public mutating func writeRaw(_ raw: some Collection<UInt8>) {
        self.storage.append(contentsOf: raw)
    }

    /// Bytes behind their count as a `UInt32`.
    @inlinable
    public mutating func writeBytes(_ field: some Collection<UInt8>) {
        self.write(UInt32(field.count))
        self.storage.append(contentsOf: field)
    }

    /// UTF-8 behind its byte count as a `UInt32`.
    @inlinable
    public mutating func writeString(_ text: String) { self.writeBytes(text.utf8) }

    /// A flag, and the value behind it when there is one.
    @inlinable
    public mutating func writeOptional<Value>(
        _ value: Value?, _ write: (inout ByteWriter, Value) -> Void
    ) {
        self.write(value != nil)
        if let value { write(&self, value) }
    }

    /// A `UInt32` count, and the elements behind it.
    @inlinable
    public mutating func writeArray<Elements: Collection>(
        _ elements: Elements, _ write: (inout ByteWriter, Elements.Element) -> Void
    ) {
        self.write(UInt32(elements.count))
        for element in elements { write(&self, element) }
    }

    /// Overwrites a number written before, when its value is known only afterwards.
    @inlinable
    public mutating func patch<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        withUnsafeBytes(of: number.littleEndian) { field in
            for (position, byte) in field.enumerated() { self.storage[offset + position] = byte }
        }
    }
}
