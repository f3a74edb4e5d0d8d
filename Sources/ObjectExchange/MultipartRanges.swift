import HTTPSyntax
import Primitives

/// Several ranges of one representation as a `multipart/byteranges` body (RFC 9110 §14.6): the
/// delimiters and heads that stand between the bytes, and how long all of it is.
package struct MultipartRanges: Equatable, Sendable {
    package struct Part: Equatable, Sendable {
        /// What stands before the bytes: the delimiter, the part's fields and an empty line.
        package let prefix: [UInt8]
        package let range: Range<UInt64>
    }

    package let parts: [Part]
    /// What stands behind the last part.
    package let suffix: [UInt8]
    /// Of the whole body.
    package let contentType: String

    /// - Parameters:
    ///   - ranges: not empty each.
    ///   - contentType: of the representation.
    ///   - boundary: of token characters. Lengths, and not a search for it, say where parts end to
    ///     whoever reads `Content-Range`.
    package init(
        _ ranges: [Range<UInt64>], of size: UInt64, contentType: String, boundary: String
    ) {
        self.parts = ranges.enumerated().map { position, range in
            let lead = position == 0 ? "" : "\r\n"
            let head =
                "\(lead)--\(boundary)\r\nContent-Type: \(contentType)\r\n"
                + "Content-Range: \(ContentRange.bytes(range, size: size))\r\n\r\n"
            return Part(prefix: Array(head.utf8), range: range)
        }
        self.suffix = Array("\r\n--\(boundary)--\r\n".utf8)
        self.contentType = "multipart/byteranges; boundary=\(boundary)"
    }

    package var lengthBytes: UInt64 {
        self.parts.reduce(UInt64(self.suffix.count)) {
            $0 + UInt64($1.prefix.count) + UInt64($1.range.count)
        }
    }
}

/// The body of a 200 or 206.
package enum OutgoingRanges: Equatable, Sendable {
    case one(Range<UInt64>)
    case several(MultipartRanges)

    package var lengthBytes: UInt64 {
        switch self {
        case .one(let range): UInt64(range.count)
        case .several(let ranges): ranges.lengthBytes
        }
    }
}
