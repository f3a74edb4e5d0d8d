import Catalog
import Primitives

/// What a bucket has under a key.
enum CurrentObject: Sendable {
    case absent
    case present(ObjectHead, Content)

    /// As much as is known of the version's bytes.
    enum Content: Sendable {
        case unknown
        /// Where they are.
        case manifest(Manifest)
        /// The bytes themselves, opened and proven: of a small object.
        case plain([UInt8])
    }

    /// Whether it tells all that a reader of the bytes asks for.
    var tellsContent: Bool {
        switch self {
        case .absent, .present(_, .manifest), .present(_, .plain): true
        case .present(_, .unknown): false
        }
    }

    /// About what it takes in memory, beside its name.
    var sizeBytes: Int {
        switch self {
        case .absent: Self.entryBytes
        case .present(let head, let content):
            Self.entryBytes + Self.sizeBytes(of: head) + Self.sizeBytes(of: content)
        }
    }

    /// Of an entry in the cache, its places in the tables included.
    private static let entryBytes = 256
    private static let stringBytes = 32

    private static func sizeBytes(of head: ObjectHead) -> Int {
        let fields = head.attributes.headers + head.attributes.metadata
        return 256 + head.checksums.count * 96 + ObjectField.sizeBytes(of: fields)
            + fields.count * 2 * Self.stringBytes
    }

    private static func sizeBytes(of content: Content) -> Int {
        switch content {
        case .unknown: 0
        case .plain(let bytes): bytes.count + Self.stringBytes
        case .manifest(.inline(_, let sealed)): sealed.count + Self.stringBytes
        case .manifest(.chunks(let chunks)):
            chunks.reduce(Self.stringBytes) { $0 + 48 + $1.exceptions.count * 4 }
        case .manifest(.parts(let table)): Self.stringBytes + table.runs.count * 24
        }
    }
}

/// How old what a reader is shown may be.
package enum ReadAge: Sendable {
    /// It shows every write acknowledged before the read began.
    case current
    /// It shows every write acknowledged some seconds before (`ObjectAccessSettings.boundedAge`).
    case bounded
}
