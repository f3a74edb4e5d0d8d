import Primitives

/// Finds the bytes of one body in a stream of bytes, without copying them (RFC 9112 §6, §7.1).
///
/// The caller keeps a buffer, asks for the next step with what it holds, and drops the bytes that a
/// step has consumed. Where a long run of body bytes is known to follow, the caller may read them
/// past this decoder, straight into their place, and say so with `tookRun`.
package struct BodyDecoder: Sendable {
    package enum Step: Equatable, Sendable {
        /// Drop `consumed` bytes, and call again when more have come behind the rest.
        case needMore(consumed: Int)
        /// Body bytes lie in this range of the buffer; drop all up to its end.
        case bytes(Range<Int>)
        /// Drop `consumed` bytes; the body is complete, and what follows is the next message.
        case end(consumed: Int)
        case refused(HTTPRefusal)
    }

    private enum State: Sendable {
        /// In a run of body bytes; `remaining` may be zero.
        case run(remaining: UInt64, then: RunEnd)
        case untilClose
        /// A line with a chunk's size comes next.
        case chunkSize
        /// The line end behind a chunk's bytes comes next.
        case chunkEnd
        /// The last chunk has been; fields come next.
        indirect case trailers(HeadScan)
        case ended
    }

    private enum RunEnd: Sendable {
        case bodyEnd
        case chunkEnd
    }

    private let limits: HeadLimits
    private var state: State
    /// By how much chunk lines have outweighed what they frame.
    private var excessLineBytes = 0

    /// The fields behind a chunked body, once it has ended. Nothing in them changes the message.
    package private(set) var trailers = Fields.none

    package init(_ framing: BodyFraming, limits: HeadLimits = HeadLimits()) {
        self.limits = limits
        switch framing {
        case .none: self.state = .ended
        case .length(let length): self.state = .run(remaining: length, then: .bodyEnd)
        case .chunked: self.state = .chunkSize
        case .untilClose: self.state = .untilClose
        }
    }

    package var isEnded: Bool {
        if case .ended = self.state { true } else { false }
    }

    /// How many body bytes are sure to come next, with no framing between them.
    package var run: UInt64 {
        switch self.state {
        case .run(let remaining, _): remaining
        case .untilClose: .max
        case .chunkSize, .chunkEnd, .trailers, .ended: 0
        }
    }

    /// How many bytes the rest of the body has; nil when only its end will tell.
    package var remaining: UInt64? {
        switch self.state {
        case .run(let remaining, .bodyEnd): remaining
        case .ended: 0
        case .run(_, .chunkEnd), .untilClose, .chunkSize, .chunkEnd, .trailers: nil
        }
    }

    /// Says that `count` bytes of the run were read past the decoder.
    package mutating func tookRun(_ count: Int) {
        // Nothing is counted until the stream ends, and outside a run `run` is zero.
        guard case .run(let remaining, let then) = self.state else { return }
        invariant(UInt64(count) <= remaining, "a run is never overdrawn")
        self.advance(remaining - UInt64(count), then)
    }

    /// Says that the peer has ended its stream. False: it ended inside the body.
    package mutating func streamEnded() -> Bool {
        switch self.state {
        case .untilClose, .ended:
            self.state = .ended
            return true
        case .run, .chunkSize, .chunkEnd, .trailers: return false
        }
    }

    /// The next step with the bytes that the caller holds, with at most `limit` body bytes in it.
    package mutating func step(_ bytes: UnsafeRawBufferPointer, atMost limit: Int = .max) -> Step {
        var position = 0
        while true {
            switch self.state {
            case .ended: return .end(consumed: position)
            case .untilClose:
                return bytes.isEmpty
                    ? .needMore(consumed: 0) : .bytes(0..<min(bytes.count, limit))
            case .run(let remaining, let then):
                let held = min(bytes.count - position, limit)
                guard held > 0 else { return .needMore(consumed: position) }
                let count = Int(min(remaining, UInt64(held)))
                self.advance(remaining - UInt64(count), then)
                return .bytes(position..<position + count)
            case .chunkSize:
                switch self.readChunkSize(bytes, &position) {
                case .incomplete: return .needMore(consumed: position)
                case .refused(let refusal): return .refused(refusal)
                case .read: break
                }
            case .chunkEnd:
                switch Self.readLineEnd(bytes, &position) {
                case .incomplete: return .needMore(consumed: position)
                case .refused(let refusal): return .refused(refusal)
                case .read: self.state = .chunkSize
                }
            case .trailers(let scan):
                switch self.readTrailers(scan, bytes, &position) {
                case .incomplete: return .needMore(consumed: position)
                case .refused(let refusal): return .refused(refusal)
                case .read: self.state = .ended
                }
            }
        }
    }

    private enum Reading {
        case incomplete
        case read
        case refused(HTTPRefusal)
    }

    private mutating func advance(_ remaining: UInt64, _ then: RunEnd) {
        guard remaining == 0 else {
            self.state = .run(remaining: remaining, then: then)
            return
        }
        switch then {
        case .bodyEnd: self.state = .ended
        case .chunkEnd: self.state = .chunkEnd
        }
    }

    /// Reads `size [extensions] CRLF` (RFC 9112 §7.1). Blanks around the size are refused, though
    /// some readers take them; extensions mean nothing to us, but must be clean text.
    private mutating func readChunkSize(
        _ bytes: UnsafeRawBufferPointer, _ position: inout Int
    ) -> Reading {
        let window = min(bytes.count, position + self.limits.chunkLineBytes)
        guard let lineFeed = bytes.firstLineFeed(from: position, to: window) else {
            return bytes.count - position >= self.limits.chunkLineBytes
                ? .refused(.chunkLineTooLong) : .incomplete
        }
        guard lineFeed > position, bytes[lineFeed - 1] == ByteClass.carriageReturn else {
            return .refused(.bareLineFeed)
        }
        var size: UInt64 = 0
        var digits = 0
        var cursor = position
        while cursor < lineFeed - 1, let digit = Hex.digit(bytes[cursor]) {
            size = size << 4 | UInt64(digit)
            digits += 1
            cursor += 1
            // 15 digits are an exabyte and cannot overflow.
            guard digits <= 15 else { return .refused(.malformedChunkSize) }
        }
        guard digits > 0 else { return .refused(.malformedChunkSize) }
        if cursor < lineFeed - 1 {
            guard bytes[cursor] == UInt8(ascii: ";") else { return .refused(.malformedChunkSize) }
            for offset in cursor..<lineFeed - 1 where !ByteClass.isFieldValue(bytes[offset]) {
                return .refused(.malformedChunkSize)
            }
        }
        guard self.isWorthItsLine(size, lineBytes: lineFeed + 1 - position) else {
            return .refused(.chunkLinesOutweighBody)
        }
        position = lineFeed + 1
        self.state =
            size == 0
            ? .trailers(HeadScan(hasStartLine: false))
            : .run(remaining: size, then: .chunkEnd)
        return .read
    }

    /// What a chunk may weigh beside twice its bytes and for nothing.
    private static let freeLineBytes = 16

    /// Whether lines weigh no more than is fair beside the body. Extensions of a kilobyte around single
    /// bytes would have us read a thousand times what any limit of a body counts.
    private mutating func isWorthItsLine(_ size: UInt64, lineBytes: Int) -> Bool {
        let fair = Self.freeLineBytes + 2 * Int(min(size, UInt64(self.limits.chunkLineBytes)))
        self.excessLineBytes = max(0, self.excessLineBytes + lineBytes + 2 - fair)
        return self.excessLineBytes <= self.limits.chunkExcessBytes
    }

    private static func readLineEnd(
        _ bytes: UnsafeRawBufferPointer, _ position: inout Int
    ) -> Reading {
        let held = bytes.count - position
        if held >= 1, bytes[position] != ByteClass.carriageReturn {
            return .refused(.unterminatedChunk)
        }
        guard held >= 2 else { return .incomplete }
        guard bytes[position + 1] == ByteClass.lineFeed else { return .refused(.unterminatedChunk) }
        position += 2
        return .read
    }

    private mutating func readTrailers(
        _ before: HeadScan, _ bytes: UnsafeRawBufferPointer, _ position: inout Int
    ) -> Reading {
        var scan = before
        let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
        let step = scan.step(
            rest, startLineBytes: 0, headBytes: self.limits.trailerBytes,
            fieldCount: self.limits.fieldCount)
        switch step {
        case .needMore:
            self.state = .trailers(scan)
            return .incomplete
        case .complete(let end):
            self.trailers = scan.fields(rest, end: end)
            position += end
            return .read
        case .refused(.headTooLarge), .startLine: return .refused(.trailersTooLarge)
        case .refused(let refusal): return .refused(refusal)
        }
    }
}
