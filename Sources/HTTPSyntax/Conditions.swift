import Primitives

/// What identifies the state of a representation that exists.
package struct Validators: Equatable, Sendable {
    package var etag: EntityTag
    package var lastModified: Timestamp

    package init(etag: EntityTag, lastModified: Timestamp) {
        self.etag = etag
        self.lastModified = lastModified
    }
}

/// The conditions that a request sets (RFC 9110 §13), and how they are judged.
package struct Conditions: Equatable, Sendable {
    package var match: EntityTagList?
    package var noneMatch: EntityTagList?
    package var modifiedSince: Timestamp?
    package var unmodifiedSince: Timestamp?
    package var rangeValidator: RangeValidator?

    /// The value of `If-Range` (RFC 9110 §13.1.5).
    package enum RangeValidator: Equatable, Sendable {
        case tag(EntityTag)
        case date(Timestamp)
        /// Neither, so that it matches nothing, and the whole representation is sent.
        case malformed
    }

    package enum Verdict: Equatable, Sendable {
        case proceed
        /// 304
        case notModified
        /// 412
        case failed
    }

    package init() {}

    /// Nil when a tag list is malformed: to be answered with 400, because ignoring a condition
    /// could let a write through that was to be prevented. Malformed dates are ignored, as
    /// RFC 9110 §13.1.3 asks.
    package init?(_ fields: Fields) {
        if let value = fields.joined("if-match") {
            guard let list = EntityTagList(value[...]) else { return nil }
            self.match = list
        }
        if let value = fields.joined("if-none-match") {
            guard let list = EntityTagList(value[...]) else { return nil }
            self.noneMatch = list
        }
        self.modifiedSince = fields.first("if-modified-since").flatMap(HTTPDate.parse)
        self.unmodifiedSince = fields.first("if-unmodified-since").flatMap(HTTPDate.parse)
        if let value = fields.first("if-range") {
            if let date = HTTPDate.parse(value) {
                self.rangeValidator = .date(date)
            } else if let tag = EntityTag.parse(value) {
                self.rangeValidator = .tag(tag)
            } else {
                self.rangeValidator = .malformed
            }
        }
    }

    /// Judges in the order of RFC 9110 §13.2.2. `current` is nil when there is no representation.
    package func verdict(for method: Method, current: Validators?) -> Verdict {
        if let match = self.match {
            if !match.matchesStrongly(current?.etag) { return .failed }
        } else if let limit = self.unmodifiedSince, let current {
            if current.lastModified.seconds > limit.seconds { return .failed }
        }
        let reads = method == .get || method == .head
        if let noneMatch = self.noneMatch {
            if noneMatch.matchesWeakly(current?.etag) { return reads ? .notModified : .failed }
        } else if reads, let limit = self.modifiedSince, let current {
            if current.lastModified.seconds <= limit.seconds { return .notModified }
        }
        return .proceed
    }

    /// Whether a `Range` field counts, or the whole representation is to be sent: `If-Range` must
    /// name the current state, strongly and exactly (RFC 9110 §13.1.5).
    package func honoursRange(current: Validators) -> Bool {
        switch self.rangeValidator {
        case nil: true
        case .tag(let tag): tag.matchesStrongly(current.etag)
        case .date(let date): date.seconds == current.lastModified.seconds
        case .malformed: false
        }
    }
}
