import Primitives

/// Takes an `aws-chunked` body apart ("Transferring Payload in Multiple Chunks", Amazon S3 API
/// Reference): chunks with or without signatures, an empty one at the end, a trailer behind it.
package struct AWSChunkedDecoder: Sendable {
    package enum Event: Equatable, Sendable {
        /// Bytes of the object.
        case bytes(Range<Int>)
        /// The end of a chunk, the empty one included.
        case chunkEnded(signature: String?)
        /// The end of the body; nothing may follow.
        case ended(trailer: [TrailerLine])
    }

    package struct TrailerLine: Equatable, Sendable {
        /// Lower case.
        package let name: String
        package let value: String
    }

    package enum Malformed: Error, Equatable, Sendable {
        case chunkLine
        case chunkEnd
        case trailer
        case bytesBehindEnd
        /// The body ended before it said so.
        case truncated
    }

    /// A chunk's line is a number and a signature.
    private static let lineLimitBytes = 256
    /// Checksum and signature, with room for what else a client may send.
    private static let trailerLimitBytes = 4_096

    private enum State: Equatable {
        case chunkLine
        case chunk(restBytes: UInt64)
        /// The line end behind a chunk's bytes.
        case chunkEnd
        case trailer
        case ended
    }

    private var state = State.chunkLine
    private var line: [UInt8] = []
    private var signature: String?
    private var trailer: [TrailerLine] = []
    private var trailerBytes = 0

    package init() {}

    /// The next event in `input`, from `position` on, which moves behind it; nil when the input is
    /// used up.
    package mutating func next(
        _ input: [UInt8], from position: inout Int
    ) throws(Malformed) -> Event? {
        while true {
            switch self.state {
            case .chunkLine:
                guard let line = try self.takeLine(input, &position) else { return nil }
                let size = try self.readChunkLine(line)
                if size == 0 {
                    self.state = .trailer
                    return .chunkEnded(signature: self.signature)
                }
                self.state = .chunk(restBytes: size)
            case .chunk(let rest):
                guard position < input.count else { return nil }
                let count = Int(min(rest, UInt64(input.count - position)))
                let range = position..<position + count
                position += count
                let left = rest - UInt64(count)
                self.state = left == 0 ? .chunkEnd : .chunk(restBytes: left)
                return .bytes(range)
            case .chunkEnd:
                guard let line = try self.takeLine(input, &position) else { return nil }
                guard line.isEmpty else { throw .chunkEnd }
                self.state = .chunkLine
                return .chunkEnded(signature: self.signature)
            case .trailer:
                guard let line = try self.takeLine(input, &position) else { return nil }
                guard line.isEmpty else {
                    try self.readTrailer(line)
                    continue
                }
                self.state = .ended
                return .ended(trailer: self.trailer)
            case .ended:
                guard position == input.count else { throw .bytesBehindEnd }
                return nil
            }
        }
    }

    /// The end of the input. Some clients leave out the empty line behind the trailer.
    package mutating func inputEnded() throws(Malformed) -> Event? {
        switch self.state {
        case .ended: return nil
        case .trailer where self.line.isEmpty:
            self.state = .ended
            return .ended(trailer: self.trailer)
        case .trailer, .chunkLine, .chunk, .chunkEnd: throw .truncated
        }
    }

    /// A line without its end; nil when it is not all there yet.
    private mutating func takeLine(
        _ input: [UInt8], _ position: inout Int
    ) throws(Malformed) -> [UInt8]? {
        while position < input.count {
            let byte = input[position]
            position += 1
            guard byte != UInt8(ascii: "\n") else {
                var line = self.line
                self.line = []
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                return line
            }
            let limit = self.state == .trailer ? Self.trailerLimitBytes : Self.lineLimitBytes
            guard self.line.count < limit else { throw self.malformedLine }
            self.line.append(byte)
        }
        return nil
    }

    private var malformedLine: Malformed {
        switch self.state {
        case .trailer: .trailer
        case .chunkEnd: .chunkEnd
        case .chunkLine, .chunk, .ended: .chunkLine
        }
    }

    /// `hex` or `hex;chunk-signature=…`.
    private mutating func readChunkLine(_ line: [UInt8]) throws(Malformed) -> UInt64 {
        let parts = line.split(
            separator: UInt8(ascii: ";"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let digits = parts.first, (1...15).contains(digits.count) else { throw .chunkLine }
        var size: UInt64 = 0
        for character in digits {
            guard let digit = Hex.digit(character) else { throw .chunkLine }
            size = size << 4 | UInt64(digit)
        }
        self.signature = nil
        if parts.count == 2 {
            let name = Array("chunk-signature=".utf8)
            guard parts[1].starts(with: name) else { throw .chunkLine }
            self.signature = String(decoding: parts[1].dropFirst(name.count), as: UTF8.self)
        }
        return size
    }

    private mutating func readTrailer(_ line: [UInt8]) throws(Malformed) {
        self.trailerBytes += line.count
        guard self.trailerBytes <= Self.trailerLimitBytes,
            let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0,
            let name = String(validating: line[..<colon], as: UTF8.self),
            let value = String(validating: line[(colon + 1)...], as: UTF8.self)
        else { throw .trailer }
        let trimmed = value.drop { $0 == " " }
        self.trailer.append(TrailerLine(name: name.lowercased(), value: String(trimmed)))
    }
}
