/// The first line of a request, taken apart (RFC 9112 §3). Ranges are into the bytes handed in.
struct RequestLine: Sendable {
    let method: Method
    let minorVersion: UInt8
    let target: Range<Int>
    private(set) var path: Range<Int>
    private(set) var query: Range<Int>?
    /// Only of a target that is a whole URI.
    private(set) var authority: Range<Int>?

    /// `HTTP/1.1` with the blank before it.
    private static let versionBytes = 9

    static func parse(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>
    ) -> Result<RequestLine, HTTPRefusal> {
        guard let firstBlank = Self.firstBlank(bytes, line),
            line.upperBound - firstBlank > Self.versionBytes
        else { return .failure(.malformedRequestLine) }
        let versionStart = line.upperBound - Self.versionBytes
        let target = firstBlank + 1..<versionStart
        guard let method = Method(bytes, in: line.lowerBound..<firstBlank) else {
            return .failure(.malformedRequestLine)
        }
        guard bytes[versionStart] == ByteClass.space,
            let version = HTTPVersion.parse(bytes, at: versionStart + 1)
        else { return .failure(.malformedRequestLine) }
        guard version.major == 1, version.minor <= 1 else { return .failure(.unsupportedVersion) }
        guard method != .other("CONNECT") else { return .failure(.tunnelRequested) }

        var allowed = !target.isEmpty
        for position in target { allowed = allowed && ByteClass.isTarget(bytes[position]) }
        guard allowed else { return .failure(.malformedTarget) }

        var parsed = RequestLine(
            method: method, minorVersion: version.minor, target: target, path: target)
        return parsed.split(bytes) ? .success(parsed) : .failure(.malformedTarget)
    }

    private init(method: Method, minorVersion: UInt8, target: Range<Int>, path: Range<Int>) {
        self.method = method
        self.minorVersion = minorVersion
        self.target = target
        self.path = path
    }

    private static func firstBlank(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) -> Int? {
        for position in line where bytes[position] == ByteClass.space { return position }
        return nil
    }

    /// Finds path and query; false when the target is in no form that we take.
    private mutating func split(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if bytes[self.target.lowerBound] == ByteClass.slash {
            self.splitPath(bytes, from: self.target.lowerBound)
            return true
        }
        if self.target.count == 1, bytes[self.target.lowerBound] == UInt8(ascii: "*") {
            return self.method == .options
        }
        for scheme: StaticString in ["http://", "https://"] {
            let start = self.target.lowerBound + scheme.utf8CodeUnitCount
            guard start < self.target.upperBound,
                bytes.equals(self.target.lowerBound..<start, ignoringCaseOf: scheme)
            else { continue }
            var end = start
            while end < self.target.upperBound, bytes[end] != ByteClass.slash,
                bytes[end] != UInt8(ascii: "?")
            {
                guard ByteClass.isHost(bytes[end]) else { return false }
                end += 1
            }
            guard end > start else { return false }
            self.authority = start..<end
            self.splitPath(bytes, from: end)
            return true
        }
        return false
    }

    private mutating func splitPath(_ bytes: UnsafeRawBufferPointer, from start: Int) {
        let end = self.target.upperBound
        var mark = start
        while mark < end, bytes[mark] != UInt8(ascii: "?") { mark &+= 1 }
        self.path = start..<mark
        self.query = mark < end ? mark + 1..<end : nil
    }
}

/// `HTTP/` digit `.` digit (RFC 9112 §2.3).
struct HTTPVersion {
    let major: UInt8
    let minor: UInt8

    /// Nil unless eight bytes that read so begin at `start`.
    static func parse(_ bytes: UnsafeRawBufferPointer, at start: Int) -> HTTPVersion? {
        guard start + 8 <= bytes.count else { return nil }
        let name: StaticString = "HTTP/"
        for offset in 0..<5 where bytes[start + offset] != name.utf8Start[offset] { return nil }
        let major = ByteClass.digit(bytes[start + 5])
        let minor = ByteClass.digit(bytes[start + 7])
        guard major <= 9, bytes[start + 6] == UInt8(ascii: "."), minor <= 9 else { return nil }
        return HTTPVersion(major: major, minor: minor)
    }
}
