/// A name of one state of a representation (RFC 9110 §8.8.3).
package struct EntityTag: Hashable, Sendable, CustomStringConvertible {
    /// What stands between the quotes.
    package let opaque: String
    package let isWeak: Bool

    /// Nil when `opaque` holds what no tag may hold: quotes, blanks, control bytes.
    package init?(_ opaque: String, isWeak: Bool = false) {
        guard opaque.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.opaque = opaque
        self.isWeak = isWeak
    }

    private init(checked opaque: ArraySlice<UInt8>, isWeak: Bool) {
        self.opaque = String(decoding: opaque, as: UTF8.self)
        self.isWeak = isWeak
    }

    package var description: String { (self.isWeak ? "W/\"" : "\"") + self.opaque + "\"" }

    /// Both strong and the same (RFC 9110 §8.8.3.2): the bytes are equal.
    package func matchesStrongly(_ other: EntityTag) -> Bool {
        !self.isWeak && !other.isWeak && self.opaque == other.opaque
    }

    /// The same, strong or weak: one may stand for the other.
    package func matchesWeakly(_ other: EntityTag) -> Bool { self.opaque == other.opaque }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != ByteClass.quote && byte != 0x7f
    }

    /// Reads one tag at the beginning of `text` and removes it. A bare word is read as a strong
    /// tag, because S3 clients leave the quotes out.
    static func take(from text: inout ArraySlice<UInt8>) -> EntityTag? {
        var rest = text
        let isWeak = rest.starts(with: "W/\"".utf8)
        if isWeak { rest.removeFirst(2) }
        if rest.first == ByteClass.quote {
            rest.removeFirst()
            guard let end = rest.firstIndex(of: ByteClass.quote),
                rest[..<end].allSatisfy(Self.isAllowed)
            else { return nil }
            text = rest[(end + 1)...]
            return EntityTag(checked: rest[..<end], isWeak: isWeak)
        }
        let end =
            rest.firstIndex { ByteClass.isBlank($0) || $0 == ByteClass.comma } ?? rest.endIndex
        guard end > rest.startIndex, rest[..<end].allSatisfy(Self.isAllowed) else { return nil }
        text = rest[end...]
        return EntityTag(checked: rest[..<end], isWeak: false)
    }

    /// Nil unless the whole text is one tag.
    package static func parse(_ value: ArraySlice<UInt8>) -> EntityTag? {
        var text = value.trimmingBlanks()
        guard let tag = Self.take(from: &text), text.isEmpty else { return nil }
        return tag
    }
}

/// The value of `If-Match` and `If-None-Match` (RFC 9110 §13.1.1).
package enum EntityTagList: Equatable, Sendable {
    /// `*`: any state, as long as there is one.
    case any
    case tags([EntityTag])

    /// Nil for anything malformed.
    package init?(_ value: ArraySlice<UInt8>) {
        var text = value.trimmingBlanks()
        if text.elementsEqual("*".utf8) {
            self = .any
            return
        }
        var tags: [EntityTag] = []
        while !text.isEmpty {
            if text.first == ByteClass.comma {
                text = text.dropFirst().trimmingBlanks()
                continue
            }
            guard let tag = EntityTag.take(from: &text) else { return nil }
            tags.append(tag)
            text = text.trimmingBlanks()
            guard text.isEmpty || text.first == ByteClass.comma else { return nil }
        }
        guard !tags.isEmpty else { return nil }
        self = .tags(tags)
    }

    func matchesStrongly(_ current: EntityTag?) -> Bool {
        switch self {
        case .any: current != nil
        case .tags(let tags): current.map { tags.contains(where: $0.matchesStrongly) } ?? false
        }
    }

    func matchesWeakly(_ current: EntityTag?) -> Bool {
        switch self {
        case .any: current != nil
        case .tags(let tags): current.map { tags.contains(where: $0.matchesWeakly) } ?? false
        }
    }
}
