package import Primitives

/// The number of a link key: group 0 gives it out, and edges find the public key by it.
package struct LinkKeyID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible
{
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    package init(_ rawValue: UInt32) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "\(self.rawValue)" }
}

/// The name of one link, random: what a denylist row holds until the link would have ended.
package struct LinkID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(_ rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    package var description: String { String(self.rawValue, radix: 16) }
}

/// What a link lets its holder do. The bits are stored in links that are out in the world: forever.
package struct LinkMethods: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// GET, and HEAD with it.
    package static let read = LinkMethods(rawValue: 1)
    /// PUT.
    package static let write = LinkMethods(rawValue: 2)
    /// DELETE.
    package static let delete = LinkMethods(rawValue: 4)
    static let known: LinkMethods = [.read, .write, .delete]

    /// What a request's method needs; nil for a method that no link allows.
    package init?(method: String) {
        switch method {
        case "GET", "HEAD": self = .read
        case "PUT": self = .write
        case "DELETE": self = .delete
        default: return nil
        }
    }
}

/// Which names a link opens, as decoded bytes of `bucket/key`.
package enum LinkPath: Hashable, Sendable {
    case exact([UInt8])
    /// Everything below. Ends with a slash, so that `photos/a/` never opens `photos/ab`.
    case prefix([UInt8])

    package var bytes: [UInt8] {
        switch self {
        case .exact(let bytes), .prefix(let bytes): bytes
        }
    }
}

/// The numbers that withdraw many links at once: a link is good while neither has grown since it
/// was made.
package struct LinkEpochs: Hashable, Sendable {
    /// Of the bucket: raised to withdraw all its links.
    package var bucket: Epoch
    /// Of the person who made the link: raised to withdraw all of that person's links.
    package var maker: Epoch
    package init(bucket: Epoch, maker: Epoch) {
        self.bucket = bucket
        self.maker = maker
    }
}

/// All that a signed link says. Immutable, and signed as just these bytes.
package struct LinkPolicy: Hashable, Sendable {
    /// A bucket's name, a slash, and an S3 key.
    package static let pathLimitBytes = 63 + 1 + 1_024
    package static let versionLimitBytes = 64
    package static let sizeLimitBytes = 1 << 11

    package var id: LinkID
    package var keyID: LinkKeyID
    package var methods: LinkMethods
    package var path: LinkPath
    /// Seconds since 1970 from which the link is good.
    package var notBeforeSeconds: Int64
    /// Seconds since 1970 from which it is good no longer.
    package var expirySeconds: Int64
    package var epochs: LinkEpochs
    /// Where the client must be.
    package var network: IPNetwork?
    /// The most bytes that one upload through the link may have.
    package var bodyLimitBytes: UInt64?
    /// The one version of the object that may be read.
    package var version: [UInt8]?

    package init(
        id: LinkID, keyID: LinkKeyID, methods: LinkMethods, path: LinkPath,
        notBeforeSeconds: Int64, expirySeconds: Int64, epochs: LinkEpochs,
        network: IPNetwork? = nil, bodyLimitBytes: UInt64? = nil, version: [UInt8]? = nil
    ) {
        self.id = id
        self.keyID = keyID
        self.methods = methods
        self.path = path
        self.notBeforeSeconds = notBeforeSeconds
        self.expirySeconds = expirySeconds
        self.epochs = epochs
        self.network = network
        self.bodyLimitBytes = bodyLimitBytes
        self.version = version
    }
}
