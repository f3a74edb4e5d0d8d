/// The head of a request as a server reads it (RFC 9112 §3). Its bytes are copied once, and what
/// the accessors return are slices of that copy.
package struct RequestHead: Sendable {
    package let method: Method
    package let fields: Fields
    /// 0 or 1.
    package let minorVersion: UInt8
    package let framing: BodyFraming
    /// Whether the client wishes to go on after this exchange.
    package let keepsAlive: Bool
    package let expectation: Expectation

    let targetRange: Range<Int>
    let pathRange: Range<Int>
    let queryRange: Range<Int>?
    let hostRange: Range<Int>?

    /// The target exactly as it was sent: signatures are over these bytes.
    package var target: ArraySlice<UInt8> { self.fields.bytes[self.targetRange] }

    /// The path as it was sent: nothing decoded, no dots or slashes removed. It begins with a
    /// slash, except for `OPTIONS *`, where it is `*`.
    package var path: ArraySlice<UInt8> {
        self.pathRange.isEmpty ? [ByteClass.slash] : self.fields.bytes[self.pathRange]
    }

    /// What follows the first `?` of the target, as it was sent; nil when there is none.
    package var query: ArraySlice<UInt8>? { self.queryRange.map { self.fields.bytes[$0] } }

    /// The authority that the request is for: of the target when that is a whole URI, else of the
    /// Host field (RFC 9112 §3.2.2). Nil only in HTTP/1.0.
    package var host: ArraySlice<UInt8>? { self.hostRange.map { self.fields.bytes[$0] } }

    /// What the body's length is said to be; nil when it is chunked.
    package var contentLength: UInt64? {
        switch self.framing {
        case .none: 0
        case .length(let length): length
        case .chunked, .untilClose: nil
        }
    }

    package var isChunked: Bool { self.framing == .chunked }
    package var expectsContinue: Bool { self.expectation == .continues }
}

/// Reads request heads, one after the other, as their bytes arrive.
package struct RequestParser: Sendable {
    package enum Outcome: Sendable {
        /// Call again with the same bytes and more behind them.
        case needMore
        /// The head took `consumed` bytes; what follows is its body or the next request.
        case head(RequestHead, consumed: Int)
        /// The connection ends here, after an answer of the refusal's status.
        case refused(HTTPRefusal)
    }

    private let limits: HeadLimits
    private var scan = HeadScan(hasStartLine: true)
    private var line: RequestLine?

    package init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
    }

    /// Goes on with `bytes`, which begin where the previous head (or its body) ended.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        while true {
            let step = self.scan.step(
                bytes, startLineBytes: self.limits.startLineBytes,
                headBytes: self.limits.headBytes, fieldCount: self.limits.fieldCount)
            switch step {
            case .needMore: return .needMore
            case .refused(let refusal): return .refused(refusal)
            case .startLine(let range):
                switch RequestLine.parse(bytes, range) {
                case .success(let line): self.line = line
                case .failure(let refusal): return .refused(refusal)
                }
            case .complete(let end):
                guard let line = self.line else { return .refused(.malformedRequestLine) }
                let scan = self.scan
                self.scan = HeadScan(hasStartLine: true)
                self.line = nil
                return Self.head(line, scan, bytes, end: end)
            }
        }
    }

    private static func head(
        _ line: RequestLine, _ scan: HeadScan, _ bytes: UnsafeRawBufferPointer, end: Int
    ) -> Outcome {
        let facts = scan.facts
        let framing: BodyFraming
        if facts.isChunked {
            if facts.contentLength != nil { return .refused(.contentLengthWithTransferEncoding) }
            if line.minorVersion == 0 { return .refused(.transferEncodingInOldVersion) }
            framing = .chunked
        } else {
            framing = BodyFraming(length: facts.contentLength ?? 0)
        }
        if facts.host == nil, line.minorVersion >= 1 { return .refused(.missingHost) }

        func moved(_ range: Range<Int>) -> Range<Int> {
            range.lowerBound - scan.start..<range.upperBound - scan.start
        }
        let head = RequestHead(
            method: line.method, fields: scan.fields(bytes, end: end),
            minorVersion: line.minorVersion, framing: framing,
            keepsAlive: facts.outlives(minorVersion: line.minorVersion),
            // An HTTP/1.0 client does not wait (RFC 9110 §10.1.1).
            expectation: line.minorVersion == 0 ? .none : facts.expectation,
            targetRange: moved(line.target), pathRange: moved(line.path),
            queryRange: line.query.map(moved), hostRange: (line.authority ?? facts.host).map(moved))
        return .head(head, consumed: end)
    }
}
