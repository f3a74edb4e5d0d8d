import Catalog
import Primitives
import Synchronization

/// What one client did to one object, and what it was told.
package struct ObjectOperation: Sendable, Equatable {
    /// What must hold of the object's value when an operation takes effect.
    package enum Condition: Sendable, Equatable {
        case none
        case absent
        case matches(UInt64)
    }

    /// No two puts of a history write the same value.
    package enum Action: Sendable, Equatable {
        case put(UInt64, Condition)
        case delete
        case get
    }

    package enum Outcome: Sendable, Equatable {
        /// The put or the delete took effect.
        case done
        /// The condition did not hold.
        case refused
        /// The value that a get returned; nil where there was none.
        case read(UInt64?)
        /// Nobody could say: it took effect at any time after its call, or never will.
        case unknown
    }

    package let action: Action
    package let outcome: Outcome
    /// The positions of the call and of the return among all events of the run.
    package let call: Int
    package let end: Int

    package init(_ action: Action, _ outcome: Outcome, call: Int, end: Int) {
        self.action = action
        self.outcome = outcome
        self.call = call
        self.end = end
    }
}

/// Everything clients did, for the judge. The simulator runs one job at a time, so the order of
/// calls and returns is known exactly, however the clocks of the machines go.
package final class ObjectHistory: Sendable {
    private struct State {
        var eventCount = 0
        var operations: [ObjectKey: [ObjectOperation]] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    /// The position of an event that happens now.
    package func mark() -> Int {
        self.state.withLock { state in
            state.eventCount += 1
            return state.eventCount
        }
    }

    /// Notes an operation that was called at the event `call` and ends now.
    package func note(
        _ key: ObjectKey, _ action: ObjectOperation.Action, _ outcome: ObjectOperation.Outcome,
        call: Int
    ) {
        let end = self.mark()
        self.state.withLock { state in
            state.operations[key, default: []].append(
                ObjectOperation(action, outcome, call: call, end: end))
        }
    }

    /// The keys with their operations, in the order of the keys.
    package var operations: [(key: ObjectKey, operations: [ObjectOperation])] {
        self.state.withLock { state in
            state.operations.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }
}
