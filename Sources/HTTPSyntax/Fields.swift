/// Where one field line lies in the bytes of its head.
struct FieldLine: Equatable, Sendable {
    var nameStart: UInt16
    var nameCount: UInt16
    var valueStart: UInt16
    var valueCount: UInt16

    var name: Range<Int> {
        Int(self.nameStart)..<Int(self.nameStart) + Int(self.nameCount)
    }
    var value: Range<Int> {
        Int(self.valueStart)..<Int(self.valueStart) + Int(self.valueCount)
    }
}

/// The field lines of a head or of trailers, in the order they came: one array of bytes and one of
/// offsets, whatever their number. Names are in lower case, values as they were sent, without the
/// blanks around them.
package struct Fields: Sendable {
    /// The whole head, start line included, names in lower case.
    let bytes: [UInt8]
    let lines: [FieldLine]

    package static let none = Fields(bytes: [], lines: [])

    package var count: Int { self.lines.count }

    package func name(at index: Int) -> ArraySlice<UInt8> { self.bytes[self.lines[index].name] }
    package func value(at index: Int) -> ArraySlice<UInt8> { self.bytes[self.lines[index].value] }

    /// The value of the first field called `name`, which is written in lower case.
    package func first(_ name: StaticString) -> ArraySlice<UInt8>? {
        for line in self.lines where self.isNamed(line, name) { return self.bytes[line.value] }
        return nil
    }

    /// The same for a name that is not known beforehand; its case does not matter.
    package func first(named name: String) -> ArraySlice<UInt8>? {
        for line in self.lines where self.isNamed(line, name) { return self.bytes[line.value] }
        return nil
    }

    /// The values of all fields called `name`, in order.
    package func all(_ name: StaticString) -> [ArraySlice<UInt8>] {
        var values: [ArraySlice<UInt8>] = []
        for line in self.lines where self.isNamed(line, name) {
            values.append(self.bytes[line.value])
        }
        return values
    }

    /// The first value as text. Ill-formed UTF-8 is replaced, so compare bytes where that matters.
    package func text(_ name: StaticString) -> String? {
        self.first(name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The values of all fields called `name`, which is a list field, as the one list that they
    /// mean (RFC 9110 §5.3). Nil when there are none.
    package func joined(_ name: StaticString) -> [UInt8]? {
        let values = self.all(name)
        guard let first = values.first else { return nil }
        var list = Array(first)
        for value in values.dropFirst() {
            list.append(contentsOf: [ByteClass.comma, ByteClass.space])
            list.append(contentsOf: value)
        }
        return list
    }

    package func contains(_ name: StaticString) -> Bool {
        self.lines.contains { self.isNamed($0, name) }
    }

    private func isNamed(_ line: FieldLine, _ name: StaticString) -> Bool {
        guard Int(line.nameCount) == name.utf8CodeUnitCount else { return false }
        return self.bytes.withUnsafeBufferPointer { bytes in
            let start = Int(line.nameStart)
            for offset in 0..<Int(line.nameCount)
            where bytes[start &+ offset] != name.utf8Start[offset] {
                return false
            }
            return true
        }
    }

    private func isNamed(_ line: FieldLine, _ name: String) -> Bool {
        guard Int(line.nameCount) == name.utf8.count else { return false }
        return zip(self.bytes[line.name], name.utf8).allSatisfy { $0 == ByteClass.lowered($1) }
    }
}
