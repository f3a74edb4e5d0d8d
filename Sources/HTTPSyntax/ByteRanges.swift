/// One range of a `Range` field (RFC 9110 §14.1.2).
package enum ByteRangeSpecifier: Equatable, Sendable {
    /// `a-` and `a-b`; the last byte is part of it.
    case from(UInt64, through: UInt64?)
    /// `-n`: the last `n` bytes.
    case suffix(UInt64)

    /// The bytes meant, of a representation of `size` bytes; nil when there are none.
    func resolved(size: UInt64) -> Range<UInt64>? {
        switch self {
        case .from(let first, let last):
            guard first < size else { return nil }
            return first..<min(last ?? .max, size - 1) + 1
        case .suffix(let count):
            guard count > 0, size > 0 else { return nil }
            return size - min(count, size)..<size
        }
    }
}

/// What a `Range` field asks for (RFC 9110 §14.2).
package struct RangeRequest: Equatable, Sendable {
    package let specifiers: [ByteRangeSpecifier]

    /// More ranges than that are an attack or a mistake (RFC 9110 §14.2), and are ignored.
    package static let mostRanges = 16

    package enum Answer: Equatable, Sendable {
        case partial(Range<UInt64>)
        /// Two or more that hold a byte and lie apart, in the order asked for; where some of those
        /// asked for overlapped or nearly met, in ascending order.
        case several([Range<UInt64>])
        /// 416 with `Content-Range: bytes */size`.
        case unsatisfiable
    }

    /// Nil for another unit and for anything malformed: the field is then ignored, and the answer
    /// is the whole representation.
    package init?(_ value: ArraySlice<UInt8>) {
        let unit = Array("bytes=".utf8)
        guard value.count > unit.count,
            zip(value, unit).allSatisfy({ ByteClass.lowered($0) == $1 })
        else { return nil }
        var specifiers: [ByteRangeSpecifier] = []
        let list = value.dropFirst(unit.count)
        for element in list.split(separator: ByteClass.comma, omittingEmptySubsequences: false) {
            let text = element.trimmingBlanks()
            if text.isEmpty { continue }
            guard specifiers.count < Self.mostRanges, let specifier = Self.specifier(text) else {
                return nil
            }
            specifiers.append(specifier)
        }
        guard !specifiers.isEmpty else { return nil }
        self.specifiers = specifiers
    }

    private static func specifier(_ text: ArraySlice<UInt8>) -> ByteRangeSpecifier? {
        guard let dash = text.firstIndex(of: UInt8(ascii: "-")) else { return nil }
        let first = text[..<dash]
        let last = text[(dash + 1)...]
        if first.isEmpty { return last.decimal().map { .suffix($0) } }
        guard let start = first.decimal() else { return nil }
        if last.isEmpty { return .from(start, through: nil) }
        guard let end = last.decimal(), start <= end else { return nil }
        return .from(start, through: end)
    }

    /// What to send of a representation of `size` bytes.
    package func answer(size: UInt64) -> Answer {
        let ranges = Self.coalesced(self.specifiers.compactMap { $0.resolved(size: size) })
        guard let first = ranges.first else { return .unsatisfiable }
        return ranges.count == 1 ? .partial(first) : .several(ranges)
    }

    /// About what the head of one more part takes: a smaller gap is sent rather than marked.
    package static let leastGapBytes: UInt64 = 80

    /// Joins ranges that overlap or nearly meet (RFC 9110 §15.3.7.2), so that no byte is sent twice
    /// however often it was asked for.
    private static func coalesced(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        var joined: [Range<UInt64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound < last.upperBound + Self.leastGapBytes {
                let end = max(last.upperBound, range.upperBound)
                joined[joined.count - 1] = last.lowerBound..<end
            } else {
                joined.append(range)
            }
        }
        return joined.count == ranges.count ? ranges : joined
    }
}

/// The value of a `Content-Range` field (RFC 9110 §14.4).
package enum ContentRange: Equatable, Sendable, CustomStringConvertible {
    /// These bytes, at least one, of a representation of `size` bytes (nil: not known).
    case bytes(Range<UInt64>, size: UInt64?)
    /// No byte could be sent of a representation of `size` bytes.
    case unsatisfied(size: UInt64)

    package var description: String {
        switch self {
        case .bytes(let range, let size):
            "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size.map(String.init) ?? "*")"
        case .unsatisfied(let size): "bytes */\(size)"
        }
    }

    /// Nil for anything malformed, and for a range that ends behind the size.
    package init?(_ value: ArraySlice<UInt8>) {
        let unit = Array("bytes ".utf8)
        guard value.starts(with: unit) else { return nil }
        let text = value.dropFirst(unit.count)
        guard let slash = text.firstIndex(of: ByteClass.slash) else { return nil }
        let sizeText = text[(slash + 1)...]
        let isOpen = sizeText.elementsEqual("*".utf8)
        let size = sizeText.decimal()
        guard isOpen || size != nil else { return nil }
        if text[..<slash].elementsEqual("*".utf8) {
            guard let size else { return nil }
            self = .unsatisfied(size: size)
            return
        }
        guard let dash = text[..<slash].firstIndex(of: UInt8(ascii: "-")),
            let first = text[..<dash].decimal(), let last = text[(dash + 1)..<slash].decimal(),
            first <= last, last < size ?? .max
        else { return nil }
        self = .bytes(first..<last + 1, size: size)
    }
}

extension ArraySlice<UInt8> {
    /// All bytes as a decimal number; one that is too large for 64 bits becomes the largest. Nil
    /// for no digits or anything else.
    func decimal() -> UInt64? {
        guard !self.isEmpty else { return nil }
        var number: UInt64 = 0
        for byte in self {
            let digit = ByteClass.digit(byte)
            guard digit <= 9 else { return nil }
            let (scaled, overflows) = number.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = scaled.addingReportingOverflow(UInt64(digit))
            number = overflows || overflowsToo ? .max : sum
        }
        return number
    }

    /// Without the blanks at both ends.
    func trimmingBlanks() -> ArraySlice<UInt8> {
        var slice = self
        while let first = slice.first, ByteClass.isBlank(first) { slice.removeFirst() }
        while let last = slice.last, ByteClass.isBlank(last) { slice.removeLast() }
        return slice
    }
}
