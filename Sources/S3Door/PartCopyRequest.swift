import Catalog
import HTTPSyntax
import ObjectAccess
import ObjectExchange
import Primitives

/// What the head of an UploadPartCopy says (Amazon S3 API Reference): from where, under which
/// conditions, and which bytes.
package struct PartCopyRequest: Sendable {
    package let source: ObjectName
    private let conditions: Conditions
    /// First and last byte; nil: the whole object.
    private let bytes: ClosedRange<UInt64>?

    package init(_ fields: Fields) throws(S3Refusal) {
        self.source = try CopyRequest.source(fields)
        self.conditions = try CopyRequest.conditions(fields)
        guard let text = fields.text("x-amz-copy-source-range") else {
            self.bytes = nil
            return
        }
        guard let bytes = Self.bytes(text) else {
            throw S3Refusal(
                .invalidArgument,
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
                    + "and last are the zero-based offsets of the first and last bytes to copy")
        }
        self.bytes = bytes
    }

    private static func bytes(_ text: String) -> ClosedRange<UInt64>? {
        guard text.hasPrefix("bytes=") else { return nil }
        let ends = text.dropFirst(6).split(
            separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]),
            first <= last, last < .max
        else { return nil }
        return first...last
    }

    private static func number(_ text: Substring) -> UInt64? {
        guard text.utf8.first != UInt8(ascii: "+") else { return nil }
        return UInt64(text)
    }

    /// The bytes to copy of the source's version, or why none.
    package func range(of head: ObjectHead) -> Result<Range<UInt64>, S3Refusal> {
        if let refusal = self.conditions.refusal(ofCopying: head) { return .failure(refusal) }
        guard let bytes = self.bytes else { return .success(0..<head.size) }
        guard bytes.upperBound < head.size else {
            return .failure(
                S3Refusal(
                    .invalidArgument,
                    "Range specified is not valid for source object of size: \(head.size)"))
        }
        return .success(bytes.lowerBound..<bytes.upperBound + 1)
    }
}
