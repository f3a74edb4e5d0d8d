import Synchronization

/// A number that goes up and down, of one process: a queue's length, bytes in flight.
package final class Gauge: Sendable {
    private let level = Atomic<Int64>(0)
    /// How many of the level's digits stand behind the point where it is exposed.
    let decimals: Int
    package init(decimals: Int = 0) { self.decimals = decimals }
    package func set(_ value: Int64) { self.level.store(value, ordering: .relaxed) }
    package func add(_ amount: Int64) { self.level.wrappingAdd(amount, ordering: .relaxed) }
    package var value: Int64 { self.level.load(ordering: .relaxed) }
}
