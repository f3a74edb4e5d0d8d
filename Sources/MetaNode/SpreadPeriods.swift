import IORuntime
import Primitives

/// Periods drawn around a length, so that the same work of many groups does not fall together.
struct SpreadPeriods {
    private var generator: SeededGenerator

    init(_ environment: any Environment) {
        let seed = environment.randomBytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        self.generator = SeededGenerator(seed: seed)
    }

    /// Three quarters of the period to five.
    mutating func next(of period: Duration) -> Duration {
        period * 3 / 4 + period / 1024 * Int.random(in: 0...512, using: &self.generator)
    }
}
