package import Primitives
internal import Wire

/// The number of a part of an upload: 1 to 10,000 (Amazon S3, "Multipart upload limits").
package struct PartNumber: Hashable, Comparable, Sendable, CustomStringConvertible {
    package static let least = PartNumber(stored: 1)
    package static let greatest = PartNumber(stored: CatalogLimits.partsPerUpload)

    package let rawValue: UInt16

    /// Nil when it is none.
    package init?(_ number: Int) {
        guard (1...Int(CatalogLimits.partsPerUpload)).contains(number) else { return nil }
        self.rawValue = UInt16(number)
    }

    fileprivate init(stored number: UInt16) { self.rawValue = number }

    /// Nil behind the greatest.
    package var next: PartNumber? { PartNumber(Int(self.rawValue) + 1) }

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(self.rawValue) }
}

/// Which parts a manifest consists of, in their order, and how long each is: what a reader needs to
/// find the part that a position lies in, without a look at the parts' rows.
///
/// Parts with consecutive numbers and the same size share a run: an upload of equal parts and a
/// shorter last one has two runs, however many parts it has.
package struct PartTable: Equatable, Sendable {
    package struct Run: Equatable, Sendable {
        package let first: PartNumber
        package private(set) var count: UInt16
        /// Of each of its parts.
        package let partBytes: UInt64

        package var sizeBytes: UInt64 { UInt64(self.count) * self.partBytes }
        package var last: PartNumber { PartNumber(stored: self.first.rawValue + self.count - 1) }

        init(first: PartNumber, count: UInt16 = 1, partBytes: UInt64) {
            self.first = first
            self.count = count
            self.partBytes = partBytes
        }

        /// Whether the part goes into the run, which then has it.
        mutating func takes(_ number: PartNumber, of sizeBytes: UInt64) -> Bool {
            guard self.last.next == number, self.partBytes == sizeBytes else { return false }
            self.count += 1
            return true
        }
    }

    /// A part's place in the whole.
    package struct Place: Equatable, Sendable {
        package let number: PartNumber
        /// The position of its first byte.
        package let start: UInt64
        package let sizeBytes: UInt64

        package var range: Range<UInt64> { self.start..<self.start + self.sizeBytes }
    }

    package private(set) var runs: [Run] = []

    package init() {}

    /// Adds a part behind the others; false, and nothing changes, when its number is not above
    /// theirs or the whole would be longer than an object may be.
    package mutating func append(_ number: PartNumber, sizeBytes: UInt64) -> Bool {
        guard self.runs.last.map({ $0.last < number }) ?? true,
            sizeBytes <= CatalogLimits.objectBytes,
            self.sizeBytes + sizeBytes <= CatalogLimits.objectBytes
        else { return false }
        if !self.runs.isEmpty, self.runs[self.runs.count - 1].takes(number, of: sizeBytes) {
            return true
        }
        self.runs.append(Run(first: number, partBytes: sizeBytes))
        return true
    }

    package var sizeBytes: UInt64 { self.runs.reduce(0) { $0 + $1.sizeBytes } }
    package var partCount: Int { self.runs.reduce(0) { $0 + Int($1.count) } }

    /// The part that the byte at `position` lies in; nil behind the end.
    package func part(at position: UInt64) -> Place? {
        var start: UInt64 = 0
        for run in self.runs {
            if position < start + run.sizeBytes {
                let ordinal = (position - start) / run.partBytes
                return Place(
                    number: PartNumber(stored: run.first.rawValue + UInt16(ordinal)),
                    start: start + ordinal * run.partBytes, sizeBytes: run.partBytes)
            }
            start += run.sizeBytes
        }
        return nil
    }

    /// Where a part lies; nil when the manifest has none of this number.
    package func part(_ number: PartNumber) -> Place? {
        var start: UInt64 = 0
        for run in self.runs {
            if run.first <= number, number <= run.last {
                let ordinal = UInt64(number.rawValue - run.first.rawValue)
                return Place(
                    number: number, start: start + ordinal * run.partBytes,
                    sizeBytes: run.partBytes)
            }
            start += run.sizeBytes
        }
        return nil
    }
}

/// Parts by their numbers, in ascending ranges.
package struct PartSet: Equatable, Sendable {
    package private(set) var ranges: [ClosedRange<PartNumber>]

    package static let all = PartSet(ranges: [.least ... .greatest])

    private init(ranges: [ClosedRange<PartNumber>]) { self.ranges = ranges }

    package init() { self.ranges = [] }

    package var isEmpty: Bool { self.ranges.isEmpty }

    /// Adds a part behind the others; false, and nothing changes, when its number is not above
    /// theirs.
    package mutating func append(_ number: PartNumber) -> Bool {
        guard let last = self.ranges.last else {
            self.ranges = [number...number]
            return true
        }
        guard last.upperBound < number else { return false }
        if last.upperBound.next == number {
            self.ranges[self.ranges.count - 1] = last.lowerBound...number
        } else {
            self.ranges.append(number...number)
        }
        return true
    }

    /// Whether the table has none of these parts.
    func isDisjoint(with table: PartTable) -> Bool {
        var ranges = self.ranges[...]
        for run in table.runs {
            while let range = ranges.first, range.upperBound < run.first { ranges.removeFirst() }
            if let range = ranges.first, range.lowerBound <= run.last { return false }
        }
        return true
    }

    /// Takes away all up to and with `number`.
    mutating func removeThrough(_ number: PartNumber) {
        while let first = self.ranges.first, first.lowerBound <= number {
            guard let next = number.next, next <= first.upperBound else {
                self.ranges.removeFirst()
                continue
            }
            self.ranges[0] = next...first.upperBound
            return
        }
    }
}

extension PartNumber: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.write(self.rawValue) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        guard let number = PartNumber(Int(try reader.read(UInt16.self))) else {
            throw .invalid(field: "part number", offset: at)
        }
        self = number
    }
}

extension PartTable: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeArray(self.runs) {
            $0.write($1.first)
            $0.write($1.count)
            $0.write($1.partBytes)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let runs = try reader.readArray(
            field: "part runs", limit: Int(CatalogLimits.partsPerUpload)
        ) { (reader) throws(FormatFault) in
            Run(
                first: try PartNumber(from: &reader), count: try reader.read(),
                partBytes: try reader.read())
        }
        guard Self.areWellFormed(runs) else { throw .invalid(field: "part runs", offset: at) }
        self.runs = runs
    }

    private static func areWellFormed(_ runs: [Run]) -> Bool {
        var sizeBytes: UInt64 = 0
        var last: UInt16 = 0
        var lastSize: UInt64 = 0
        for run in runs {
            let number = run.first.rawValue
            // What could stand in the run before has one form only.
            let isSeparate =
                number > last && (number > last + 1 || last == 0 || run.partBytes != lastSize)
            guard isSeparate, run.count > 0,
                Int(number) + Int(run.count) - 1 <= Int(CatalogLimits.partsPerUpload),
                run.partBytes <= CatalogLimits.objectBytes
            else { return false }
            sizeBytes += run.sizeBytes
            guard sizeBytes <= CatalogLimits.objectBytes else { return false }
            last = run.last.rawValue
            lastSize = run.partBytes
        }
        return true
    }
}

extension PartSet: WireMessage {
    package func encode(into writer: inout ByteWriter) {
        writer.writeArray(self.ranges) {
            $0.write($1.lowerBound)
            $0.write($1.upperBound)
        }
    }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let bounds = try reader.readArray(
            field: "part ranges", limit: Int(CatalogLimits.partsPerUpload)
        ) { (reader) throws(FormatFault) in
            (try PartNumber(from: &reader), try PartNumber(from: &reader))
        }
        var ranges: [ClosedRange<PartNumber>] = []
        for (first, last) in bounds {
            // Apart from each other: what touches would be one range.
            guard first <= last,
                ranges.last.map({ $0.upperBound.rawValue + 1 < first.rawValue }) ?? true
            else { throw .invalid(field: "part ranges", offset: at) }
            ranges.append(first...last)
        }
        self.ranges = ranges
    }
}
