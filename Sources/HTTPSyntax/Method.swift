/// A request method (RFC 9110 §9), case-sensitive.
package enum Method: Hashable, Sendable, CustomStringConvertible {
    case get
    case head
    case put
    case post
    case delete
    case options
    case patch
    /// Any other token, such as those of WebDAV.
    case other(String)

    /// `text` must be a token; the parser has seen to that.
    package init(_ text: String) {
        switch text {
        case "GET": self = .get
        case "HEAD": self = .head
        case "PUT": self = .put
        case "POST": self = .post
        case "DELETE": self = .delete
        case "OPTIONS": self = .options
        case "PATCH": self = .patch
        default: self = .other(text)
        }
    }

    package var description: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .put: "PUT"
        case .post: "POST"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .patch: "PATCH"
        case .other(let text): text
        }
    }

    /// Whether doing it twice is doing it once (RFC 9110 §9.2.2), so that a client may try again.
    package var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options: true
        case .post, .patch, .other: false
        }
    }

    /// The longest method that the parser takes, in bytes.
    static let longestBytes = 32

    /// The bytes of `range` as a method, without making a `String` for the common ones.
    init?(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>) {
        guard !range.isEmpty, range.count <= Self.longestBytes else { return nil }
        func isText(_ text: StaticString) -> Bool {
            guard range.count == text.utf8CodeUnitCount else { return false }
            for offset in 0..<range.count
            where bytes[range.lowerBound &+ offset] != text.utf8Start[offset] {
                return false
            }
            return true
        }
        if isText("GET") {
            self = .get
        } else if isText("PUT") {
            self = .put
        } else if isText("HEAD") {
            self = .head
        } else {
            for position in range where !ByteClass.isToken(bytes[position]) { return nil }
            self.init(String(decoding: bytes[range], as: UTF8.self))
        }
    }
}
