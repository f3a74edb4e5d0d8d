/// How the end of a body is found (RFC 9112 §6.3).
package enum BodyFraming: Equatable, Sendable {
    /// There is no body.
    case none
    /// Exactly so many bytes, at least one.
    case length(UInt64)
    case chunked
    /// All that comes until the peer ends the stream: responses only.
    case untilClose

    init(length: UInt64) { self = length == 0 ? .none : .length(length) }
}

/// What a request asks to hear before it sends its body (RFC 9110 §10.1.1).
package enum Expectation: Equatable, Sendable {
    case none
    case continues
    /// An expectation that we do not know: to be answered with 417.
    case unknown
}

/// What the fields say about the message itself, gathered as they are read.
struct FramingFacts: Sendable {
    var contentLength: UInt64?
    var isChunked = false
    /// The value of the Host field.
    var host: Range<Int>?
    var closes = false
    var keepsAlive = false
    var expectation = Expectation.none

    /// Looks at one field; returns why the message must be refused, if so.
    mutating func note(
        name: Range<Int>, value: Range<Int>, in bytes: UnsafeRawBufferPointer
    ) -> HTTPRefusal? {
        switch name.count {
        case 4:
            if bytes.equals(name, ignoringCaseOf: "host") { return self.noteHost(value, bytes) }
        case 6:
            if bytes.equals(name, ignoringCaseOf: "expect") {
                let isKnown = bytes.equals(value, ignoringCaseOf: "100-continue")
                self.expectation =
                    isKnown && self.expectation != .unknown ? .continues : .unknown
            }
        case 10:
            if bytes.equals(name, ignoringCaseOf: "connection") {
                self.noteConnection(value, bytes)
            }
        case 14:
            if bytes.equals(name, ignoringCaseOf: "content-length") {
                return self.noteContentLength(value, bytes)
            }
        case 17:
            if bytes.equals(name, ignoringCaseOf: "transfer-encoding") {
                return self.noteTransferEncoding(value, bytes)
            }
        default: break
        }
        return nil
    }

    private mutating func noteHost(
        _ value: Range<Int>, _ bytes: UnsafeRawBufferPointer
    ) -> HTTPRefusal? {
        guard self.host == nil else { return .repeatedHost }
        for position in value where !ByteClass.isHost(bytes[position]) { return .malformedHost }
        self.host = value
        return nil
    }

    private mutating func noteContentLength(
        _ value: Range<Int>, _ bytes: UnsafeRawBufferPointer
    ) -> HTTPRefusal? {
        guard self.contentLength == nil else { return .repeatedContentLength }
        for position in value where bytes[position] == ByteClass.comma {
            return .repeatedContentLength
        }
        // 18 digits are an exabyte and cannot overflow.
        guard 1...18 ~= value.count else { return .malformedContentLength }
        var length: UInt64 = 0
        for position in value {
            let digit = ByteClass.digit(bytes[position])
            guard digit <= 9 else { return .malformedContentLength }
            length = length &* 10 &+ UInt64(digit)
        }
        self.contentLength = length
        return nil
    }

    private mutating func noteTransferEncoding(
        _ value: Range<Int>, _ bytes: UnsafeRawBufferPointer
    ) -> HTTPRefusal? {
        guard !self.isChunked else { return .repeatedTransferEncoding }
        guard bytes.equals(value, ignoringCaseOf: "chunked") else {
            return .unknownTransferCoding
        }
        self.isChunked = true
        return nil
    }

    /// Reads the list of connection options (RFC 9110 §7.6.1).
    private mutating func noteConnection(_ value: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        var start = value.lowerBound
        while start < value.upperBound {
            var end = start
            while end < value.upperBound, bytes[end] != ByteClass.comma { end += 1 }
            var option = start..<end
            while let first = option.first, ByteClass.isBlank(bytes[first]) {
                option.removeFirst()
            }
            while let last = option.last, ByteClass.isBlank(bytes[last]) { option.removeLast() }
            if bytes.equals(option, ignoringCaseOf: "close") { self.closes = true }
            if bytes.equals(option, ignoringCaseOf: "keep-alive") { self.keepsAlive = true }
            start = end + 1
        }
    }

    /// Whether the connection outlives the message (RFC 9112 §9.3).
    func outlives(minorVersion: UInt8) -> Bool {
        !self.closes && (minorVersion >= 1 || self.keepsAlive)
    }
}
