import Cryptography
import Primitives
import Telemetry

/// What a person's machine needs to know to reach edges.
package struct FileClientOptions: Sendable {
    /// Never empty.
    package var edges: [EdgeAddress]
    package var accessKey: String
    package var secret: Redacted<String>
    /// Part of what signatures cover; edges accept any.
    package var region = "holdfast"
    /// How many files, or parts of large files, travel at once.
    package var jobs = 4
    /// The size of a large file's parts; nil for what suits the file.
    package var partBytes: UInt64?
    /// Where it is noted which uploads are under way, so that the next run of a program can go on
    /// with them; nil when none shall.
    package var stateDirectory: String?
    package var attempts = EdgeAttempts.Limits()

    package static let jobsRange = 1...64
    package static let mostEdges = 64

    package init(edges: [EdgeAddress], accessKey: String, secret: Redacted<String>) {
        self.edges = edges
        self.accessKey = accessKey
        self.secret = secret
    }
}

/// The bounds of a transfer.
enum TransferBounds {
    /// What is in memory of one file at one time.
    static let pieceBytes = 1 << 20
    /// What is asked of a connection at one time.
    static let readBytes = 256 << 10
    /// Files up to this size are read twice, once for the hash that the signature covers.
    static let readTwiceBytes: UInt64 = 8 << 20
    /// For an answer, the body of the request not counted.
    static let answerTimeout: Duration = .seconds(60)
    /// The rate below which the other end is given up, and by which deadlines grow with a body.
    static let leastBytesPerSecond = 4096
    /// For a whole listing page, an error or a link.
    static let smallAnswerBytes = 8 << 20
    /// Keys asked for in one page of a listing.
    static let pageKeys = 1000
    /// Times that one object's bytes may arrive wrong before that is taken for the truth.
    static let mostCorruptedAnswers = 2

    static func deadline(from now: Instant, bodyBytes: UInt64) -> Instant {
        let seconds = bodyBytes / UInt64(Self.leastBytesPerSecond)
        return now + Self.answerTimeout + .seconds(Int64(clamping: seconds))
    }
}
