import Catalog
import HTTPSyntax
import Primitives

/// What a GET or HEAD is answered with, by its conditions and its range (RFC 9110 §13.2.2, §14.2).
package enum ReadPlan: Equatable, Sendable {
    case whole
    case partial(Range<UInt64>)
    case notModified
    case preconditionFailed
    /// 416; the range begins behind the object's end.
    case unsatisfiable

    /// Throws for a condition that cannot be read: to ignore it could hand out what was not wanted.
    ///
    /// Several ranges, and anything that is no range, are answered with the whole object, as
    /// Amazon S3 does.
    package init(
        _ method: Method, _ fields: Fields, _ head: ObjectHead
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
            guard let value = fields.first("range"), let range = RangeRequest(value),
                range.specifiers.count == 1, conditions.honoursRange(current: current)
            else {
                self = .whole
                return
            }
            switch range.answer(size: head.size) {
            case .partial(let bytes): self = .partial(bytes)
            case .several: self = .whole
            case .unsatisfiable: self = .unsatisfiable
            }
        }
    }
}
