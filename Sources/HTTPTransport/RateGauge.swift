import Primitives

/// Holds the other side to a least rate, counting only the time that we wait for it: who sends or
/// takes a byte now and then must not hold a connection and its memory.
struct RateGauge {
    /// What must move in each window of waiting.
    private let leastBytes: Int
    private let window: Duration
    private var waited = Duration.zero
    private var moved = 0

    init(leastBytesPerSecond: Int, window: Duration) {
        self.leastBytes = leastBytesPerSecond * max(1, Int(window.components.seconds))
        self.window = window
    }

    mutating func moved(_ count: Int) { self.moved += count }

    /// How long a wait that begins now may last.
    func deadline(now: Instant) -> Instant { now + (self.window - self.waited) }

    /// Takes note of a wait; false when the other side was too slow in the window that it ended.
    mutating func waited(from start: Instant, to end: Instant) -> Bool {
        self.waited += end - start
        guard self.waited >= self.window else { return true }
        let isFast = self.moved >= self.leastBytes
        self.waited = .zero
        self.moved = 0
        return isFast
    }
}
