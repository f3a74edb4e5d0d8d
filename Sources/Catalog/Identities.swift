package import Primitives
internal import Wire

/// Who owns buckets and access keys: 1 to 64 visible ASCII characters.
package struct OwnerID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// Nil when empty, too long, or with anything but visible ASCII.
    package init?(_ text: String) {
        guard CatalogLimits.ownerBytes.contains(text.utf8.count), text.utf8.isVisible else {
            return nil
        }
        self.text = text
    }

    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
    package var description: String { self.text }
}

/// The public half of an S3 credential: 3 to 128 visible ASCII characters.
package struct AccessKeyID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// Nil when too short, too long, or with anything but visible ASCII.
    package init?(_ text: String) {
        guard CatalogLimits.accessKeyIDBytes.contains(text.utf8.count), text.utf8.isVisible else {
            return nil
        }
        self.text = text
    }

    /// Access keys are spread over the groups by their own identity.
    package var slot: Slot { Slot(hashing: self.text.utf8) }
    package static func < (a: Self, b: Self) -> Bool { a.text < b.text }
    package var description: String { self.text }
}

/// An entity tag without its quotes (RFC 9110 §8.8.3): for S3 the MD5 in hexadecimal, with the
/// number of parts behind a dash for a multipart object.
package struct EntityTag: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    /// Nil when empty, longer than 64 bytes, or with a quote or anything but visible ASCII.
    package init?(_ text: String) {
        guard CatalogLimits.entityTagBytes.contains(text.utf8.count), text.utf8.isVisible,
            !text.utf8.contains(UInt8(ascii: "\""))
        else { return nil }
        self.text = text
    }

    package var description: String { self.text }
}

/// The incarnation of a process, given out by group 0 and never twice: it names the process's
/// chunks, and its session in each group.
package struct SessionID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible
{
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(self.rawValue, radix: 16) }
}

/// A version of an object: the index of the log entry that made it and its place in there, packed
/// so that a later version of a bucket is the greater number.
package struct VersionID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible
{
    package static let ordinalBits: UInt64 = 16

    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// - Parameter base: what the slot adds so that versions go on growing after it moved here.
    package init(index: LogIndex, ordinal: Int, base: UInt64 = 0) {
        self.rawValue = (index.rawValue + base) << Self.ordinalBits | UInt64(ordinal)
    }

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(self.rawValue, radix: 16) }
}

/// A manifest within its bucket: the version that first used it.
package struct ManifestID: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(self.rawValue, radix: 16) }
}

extension String.UTF8View {
    /// Whether all of it is ASCII that can be seen: no control characters, no blanks.
    fileprivate var isVisible: Bool { self.allSatisfy { $0 > 0x20 && $0 < 0x7f } }
}

extension OwnerID: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.writeString(self.text) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let text = try reader.readString(field: "owner", bounds: CatalogLimits.ownerBytes)
        guard let owner = Self(text) else { throw .invalid(field: "owner", offset: at) }
        self = owner
    }
}

extension AccessKeyID: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.writeString(self.text) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let text = try reader.readString(
            field: "access key", bounds: CatalogLimits.accessKeyIDBytes)
        guard let id = Self(text) else { throw .invalid(field: "access key", offset: at) }
        self = id
    }
}

extension EntityTag: WireMessage {
    package func encode(into writer: inout ByteWriter) { writer.writeString(self.text) }

    package init(from reader: inout ByteReader) throws(FormatFault) {
        let at = reader.offset
        let text = try reader.readString(field: "entity tag", bounds: CatalogLimits.entityTagBytes)
        guard let tag = Self(text) else { throw .invalid(field: "entity tag", offset: at) }
        self = tag
    }
}
