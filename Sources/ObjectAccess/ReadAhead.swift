import IORuntime
import Primitives

/// How far a reader brings blocks ahead of the one it hands out.
///
/// The window opens while the reader still has to wait for what it brings, and closes when whoever
/// reads takes so long for a block that nothing is won by having the next one ready: a thousand slow
/// downloads would push each other's blocks out of the cache before they are sent.
struct ReadAhead: ~Copyable {
    /// From here on the time that a fetch takes is small beside the time that sending does.
    static let slowPart = Duration.milliseconds(250)
    /// A block that is waited for longer should have been asked for earlier.
    static let starvation = Duration.milliseconds(1)

    private let usual: Int
    private let most: Int
    private var blocks: Int
    private var isSlow = false
    private var handedOutAt: Instant?
    /// The position up to which blocks were brought.
    private var end: UInt64 = 0
    private(set) var tasks: [SpawnedTask] = []

    init(blocks: Int, most: Int) {
        self.usual = blocks
        self.blocks = blocks
        self.most = most
    }

    deinit { for task in self.tasks { task.cancel() } }

    /// How many blocks may be brought ahead now.
    var window: Int { self.isSlow ? 0 : self.blocks }

    /// The reader asks for a part: the one before is sent.
    mutating func asked(at now: Instant) {
        guard let before = self.handedOutAt else { return }
        self.isSlow = now - before >= Self.slowPart
        if self.isSlow { self.blocks = self.usual }
    }

    mutating func handedOut(at now: Instant) { self.handedOutAt = now }

    /// A block was waited for.
    mutating func waited(_ span: Duration, for range: Range<UInt64>) {
        let wasBrought = range.upperBound <= self.end
        if wasBrought, span >= Self.starvation { self.blocks = min(self.blocks + 1, self.most) }
    }

    /// Whether a block has not been brought yet.
    func isNew(_ range: Range<UInt64>) -> Bool { range.lowerBound >= self.end }

    mutating func bring(_ range: Range<UInt64>, _ begin: () -> SpawnedTask) {
        self.end = range.upperBound
        // Those before are done, or will be awaited before this one is.
        if self.tasks.count >= self.most { self.tasks.removeFirst() }
        self.tasks.append(begin())
    }
}
