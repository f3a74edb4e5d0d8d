import Catalog
import HTTPSyntax
import Primitives

/// What a `Range` field means at a door.
package enum RangeCustom: Sendable {
    /// As Amazon S3 has it: one range counts, for HEAD too; several are answered with the whole.
    case single
    /// As RFC 9110 §14.2 has it: for GET alone, and several are answered with as many parts.
    case several
}

/// What a GET or HEAD is answered with, by its conditions and its range (RFC 9110 §13.2.2, §14.2).
package enum ReadPlan: Equatable, Sendable {
    case whole
    case partial(Range<UInt64>)
    /// Two or more, as `multipart/byteranges`.
    case several([Range<UInt64>])
    case notModified
    case preconditionFailed
    /// 416; the range begins behind the object's end.
    case unsatisfiable

    /// Throws for a condition that cannot be read: to ignore it could hand out what was not wanted.
    /// Anything that is no range is answered with the whole object.
    ///
    /// - Parameter part: what was asked for by its number, in place of a range; nil: nothing was.
    package init(
        _ method: Method, _ fields: Fields, _ head: ObjectHead, ranges: RangeCustom = .single,
        part: Range<UInt64>? = nil
    ) throws(S3Refusal) {
        guard let conditions = Conditions(fields) else {
            throw S3Refusal(.invalidArgument, "A conditional header is malformed")
        }
        guard let etag = HTTPSyntax.EntityTag(head.entityTag.text) else {
            throw S3Refusal(.internalError, cause: "entity tag \(head.entityTag)")
        }
        let current = Validators(etag: etag, lastModified: head.modified)
        switch conditions.verdict(for: method, current: current) {
        case .notModified: self = .notModified
        case .failed: self = .preconditionFailed
        case .proceed:
            if let part {
                // Of nothing there is no part that `Content-Range` could name.
                self = part.isEmpty ? .whole : .partial(part)
                return
            }
            guard let value = fields.first("range"), let range = RangeRequest(value),
                ranges == .single ? range.specifiers.count == 1 : method == .get,
                conditions.honoursRange(current: current)
            else {
                self = .whole
                return
            }
            switch range.answer(size: head.size) {
            case .partial(let bytes): self = .partial(bytes)
            case .several(let ranges): self = .several(ranges)
            case .unsatisfiable: self = .unsatisfiable
            }
        }
    }
}
