/// The part of head parsing that requests, responses and trailers share: finds lines as bytes
/// arrive, takes field lines apart, and keeps no byte itself.
///
/// The caller hands in the same bytes again, grown, until the head is complete. A line is judged
/// when it is there whole, so that the verdict does not depend on how the bytes were cut.
struct HeadScan: Sendable {
    enum Step {
        case needMore
        /// The start line lies in this range, without its CRLF. `scan` goes on behind it.
        case startLine(Range<Int>)
        /// The empty line has come; the head ends before this offset.
        case complete(end: Int)
        case refused(HTTPRefusal)
    }

    /// Where the message begins: behind the one empty line that is skipped.
    private(set) var start = 0
    private(set) var lines: [FieldLine] = []
    private(set) var facts = FramingFacts()

    private var lineStart = 0
    /// No line feed lies between `lineStart` and this offset.
    private var searched = 0
    private var awaitsStartLine: Bool

    /// `hasStartLine` is false for trailers.
    init(hasStartLine: Bool) {
        self.awaitsStartLine = hasStartLine
    }

    mutating func step(
        _ bytes: UnsafeRawBufferPointer, startLineBytes: Int, headBytes: Int, fieldCount: Int
    ) -> Step {
        while true {
            let limit =
                self.start + (self.awaitsStartLine ? min(startLineBytes, headBytes) : headBytes)
            let window = min(bytes.count, limit)
            guard let lineFeed = bytes.firstLineFeed(from: self.searched, to: window) else {
                self.searched = max(self.searched, window)
                guard window == limit else { return .needMore }
                return .refused(self.awaitsStartLine ? .requestLineTooLong : .headTooLarge)
            }
            let line = self.lineStart..<lineFeed
            self.lineStart = lineFeed + 1
            self.searched = lineFeed + 1
            guard let last = line.last, bytes[last] == ByteClass.carriageReturn else {
                return .refused(.bareLineFeed)
            }
            let content = line.lowerBound..<last
            if self.awaitsStartLine {
                if content.isEmpty {
                    guard self.start == 0 else { return .refused(.emptyLines) }
                    self.start = self.lineStart
                    continue
                }
                self.awaitsStartLine = false
                return .startLine(content)
            }
            if content.isEmpty { return .complete(end: self.lineStart) }
            guard self.lines.count < fieldCount else { return .refused(.tooManyFields) }
            if let refusal = self.take(content, bytes) { return .refused(refusal) }
        }
    }

    /// Takes one field line apart (RFC 9112 §5).
    private mutating func take(
        _ line: Range<Int>, _ bytes: UnsafeRawBufferPointer
    ) -> HTTPRefusal? {
        if ByteClass.isBlank(bytes[line.lowerBound]) { return .foldedField }
        var colon = line.lowerBound
        while colon < line.upperBound, ByteClass.isToken(bytes[colon]) { colon &+= 1 }
        guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == ByteClass.colon
        else { return .malformedFieldName }

        var start = colon &+ 1
        var end = line.upperBound
        while start < end, ByteClass.isBlank(bytes[start]) { start &+= 1 }
        while end > start, ByteClass.isBlank(bytes[end &- 1]) { end &-= 1 }
        guard bytes.isFieldValue(start..<end) else { return .forbiddenByteInField }

        if self.lines.isEmpty { self.lines.reserveCapacity(16) }
        self.lines.append(
            FieldLine(
                nameStart: UInt16(line.lowerBound - self.start),
                nameCount: UInt16(colon - line.lowerBound),
                valueStart: UInt16(start - self.start), valueCount: UInt16(end - start)))
        return self.facts.note(name: line.lowerBound..<colon, value: start..<end, in: bytes)
    }

    /// Copies the head out, with names in lower case.
    func fields(_ bytes: UnsafeRawBufferPointer, end: Int) -> Fields {
        let count = end - self.start
        let head = [UInt8](unsafeUninitializedCapacity: count) { copy, initialized in
            let target = UnsafeMutableRawBufferPointer(copy)
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[self.start..<end]))
            for line in self.lines {
                for position in line.name {
                    target[position] = ByteClass.lowered(target[position])
                }
            }
            initialized = count
        }
        return Fields(bytes: head, lines: self.lines)
    }
}
