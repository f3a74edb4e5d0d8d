/// The head of a response as a client reads it (RFC 9112 §4).
package struct ResponseHead: Sendable {
    package let status: Status
    package let fields: Fields
    /// 0 or 1.
    package let minorVersion: UInt8
    package let framing: BodyFraming
    /// Whether the server will take another request on this connection.
    package let keepsAlive: Bool

    /// What the Content-Length field says, also where no body follows (the answer to HEAD).
    package let statedLength: UInt64?
}

/// Reads response heads as their bytes arrive.
package struct ResponseParser: Sendable {
    package enum Outcome: Sendable {
        /// Call again with the same bytes and more behind them.
        case needMore
        /// The head took `consumed` bytes. After an interim status another head follows.
        case head(ResponseHead, consumed: Int)
        case refused(HTTPRefusal)
    }

    private let limits: HeadLimits
    private var scan = HeadScan(hasStartLine: true)
    private var line: StatusLine?

    package init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
    }

    /// Goes on with `bytes`. `method` is that of the request, on which the framing depends.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer, answering method: Method)
        -> Outcome
    {
        while true {
            let step = self.scan.step(
                bytes, startLineBytes: self.limits.startLineBytes,
                headBytes: self.limits.headBytes, fieldCount: self.limits.fieldCount)
            switch step {
            case .needMore: return .needMore
            case .refused(let refusal): return .refused(refusal)
            case .startLine(let range):
                switch StatusLine.parse(bytes, range) {
                case .success(let line): self.line = line
                case .failure(let refusal): return .refused(refusal)
                }
            case .complete(let end):
                guard let line = self.line else { return .refused(.malformedStatusLine) }
                let scan = self.scan
                self.scan = HeadScan(hasStartLine: true)
                self.line = nil
                return Self.head(line, scan, bytes, end: end, method: method)
            }
        }
    }

    private static func head(
        _ line: StatusLine, _ scan: HeadScan, _ bytes: UnsafeRawBufferPointer, end: Int,
        method: Method
    ) -> Outcome {
        let facts = scan.facts
        let framing: BodyFraming
        if facts.isChunked, facts.contentLength != nil {
            return .refused(.contentLengthWithTransferEncoding)
        }
        if method == .head || line.status.forbidsBody {
            framing = .none
        } else if facts.isChunked {
            if line.minorVersion == 0 { return .refused(.transferEncodingInOldVersion) }
            framing = .chunked
        } else if let length = facts.contentLength {
            framing = BodyFraming(length: length)
        } else {
            framing = .untilClose
        }
        let outlives = facts.outlives(minorVersion: line.minorVersion)
        let head = ResponseHead(
            status: line.status, fields: scan.fields(bytes, end: end),
            minorVersion: line.minorVersion, framing: framing,
            keepsAlive: outlives && framing != .untilClose, statedLength: facts.contentLength)
        return .head(head, consumed: end)
    }
}

/// The first line of a response, taken apart.
struct StatusLine: Sendable {
    let status: Status
    let minorVersion: UInt8

    static func parse(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>
    ) -> Result<StatusLine, HTTPRefusal> {
        // "HTTP/1.1 200", and a phrase behind a blank that some servers leave out with the phrase.
        let shortest = 12
        let start = line.lowerBound
        guard line.count >= shortest, let version = HTTPVersion.parse(bytes, at: start),
            bytes[start + 8] == ByteClass.space,
            line.count == shortest || bytes[start + shortest] == ByteClass.space
        else { return .failure(.malformedStatusLine) }
        guard version.major == 1, version.minor <= 1 else { return .failure(.unsupportedVersion) }
        var code: UInt16 = 0
        for position in start + 9..<start + shortest {
            let digit = ByteClass.digit(bytes[position])
            guard digit <= 9 else { return .failure(.malformedStatusLine) }
            code = code * 10 + UInt16(digit)
        }
        guard code >= 100 else { return .failure(.malformedStatusLine) }
        for position in start + shortest..<line.upperBound
        where !ByteClass.isFieldValue(bytes[position]) {
            return .failure(.malformedStatusLine)
        }
        return .success(StatusLine(status: Status(code), minorVersion: version.minor))
    }
}
