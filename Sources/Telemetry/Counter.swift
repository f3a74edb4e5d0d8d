import Synchronization

/// A number that only grows, of one process.
package final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)
    package init() {}
    package func add(_ amount: UInt64 = 1) { self.count.wrappingAdd(amount, ordering: .relaxed) }
    package var value: UInt64 { self.count.load(ordering: .relaxed) }
}
