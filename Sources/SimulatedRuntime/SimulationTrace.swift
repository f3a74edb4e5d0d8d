import Primitives

/// What happened in a run: a hash over every decision, and the lines that a person can read.
///
/// Two runs of one seed have the same hash, in every process. Where they have not, something
/// outside the seed decided: the order of a dictionary, an address, a thread.
package final class SimulationTrace {
    /// How many lines are kept; older ones go first.
    package static let lineLimit = 100_000

    /// Folds everything that happened so far.
    package private(set) var hash: UInt64

    /// Called with each line as it is written, for following a run.
    package var echo: ((String) -> Void)?

    private var kept: [String] = []

    init(seed: UInt64) { self.hash = StableHash.mix(seed &+ 0x9e37_79b9_7f4a_7c15) }

    /// The newest lines, oldest first.
    package var lines: [String] { self.kept.suffix(Self.lineLimit) }

    /// Takes a number into the hash.
    func fold(_ value: UInt64) {
        self.hash = (self.hash ^ value) &* 0x9fb2_1c65_1e98_df25
        self.hash ^= self.hash >> 32
    }

    /// Takes a line into the hash and keeps it.
    func write(_ text: String, at now: Instant) {
        let line = "\(Self.seconds(now)) \(text)"
        self.fold(StableHash.of(line.utf8))
        if self.kept.count >= 2 * Self.lineLimit { self.kept.removeFirst(Self.lineLimit) }
        self.kept.append(line)
        self.echo?(line)
    }

    /// The time in seconds with six digits behind the point.
    private static func seconds(_ now: Instant) -> String {
        let microseconds = now.nanoseconds / 1000
        let fraction = String(microseconds % 1_000_000)
        let zeros = String(repeating: "0", count: 6 - fraction.count)
        return "\(microseconds / 1_000_000).\(zeros)\(fraction)"
    }
}
