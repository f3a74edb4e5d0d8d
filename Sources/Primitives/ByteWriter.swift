/// Writes the fields of a format one after the other, numbers little-endian.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]

    public init(capacity: Int = 0) {
        self.bytes = []
        self.bytes.reserveCapacity(capacity)
    }

    public var count: Int { self.bytes.count }

    /// A fixed-width number, least significant byte first.
    public mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { self.bytes.append(contentsOf: $0) }
    }

    /// A fixed-width number, most significant byte first: for keys, whose byte order is their order.
    public mutating func writeBigEndian<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number.bigEndian) { self.bytes.append(contentsOf: $0) }
    }

    public mutating func write(_ flag: Bool) { self.bytes.append(flag ? 1 : 0) }

    /// Bytes without a length: only for fields whose size the format fixes, and for last fields.
    public mutating func writeRaw(_ raw: some Collection<UInt8>) {
        self.bytes.append(contentsOf: raw)
    }

    /// Bytes behind their count as a `UInt32`.
    public mutating func writeBytes(_ field: some Collection<UInt8>) {
        self.write(UInt32(field.count))
        self.bytes.append(contentsOf: field)
    }

    /// UTF-8 behind its byte count as a `UInt32`.
    public mutating func writeString(_ text: String) { self.writeBytes(text.utf8) }

    /// A flag, and the value behind it when there is one.
    public mutating func writeOptional<Value>(
        _ value: Value?, _ write: (inout ByteWriter, Value) -> Void
    ) {
        self.write(value != nil)
        if let value { write(&self, value) }
    }

    /// A `UInt32` count, and the elements behind it.
    public mutating func writeArray<Elements: Collection>(
        _ elements: Elements, _ write: (inout ByteWriter, Elements.Element) -> Void
    ) {
        self.write(UInt32(elements.count))
        for element in elements { write(&self, element) }
    }

    /// Overwrites a number written before, when its value is known only afterwards.
    public mutating func patch<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        withUnsafeBytes(of: number.littleEndian) { field in
            for (position, byte) in field.enumerated() { self.bytes[offset + position] = byte }
        }
    }
}
