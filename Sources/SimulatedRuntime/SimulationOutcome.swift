import Primitives

/// How a run of the simulator ended.
package struct SimulationOutcome: Equatable, Sendable {
    package enum Ending: Equatable, Sendable {
        /// The condition held, or every root task has ended.
        case finished
        /// Nothing is runnable and nothing waits for time, yet the run was not finished: a
        /// deadlock, unless the world was meant to come to rest.
        case idle
        case timeLimit
        case stepLimit
        /// Jobs left for executors outside the simulator; the run cannot be repeated.
        case escaped(jobs: Int)
        /// A process ended itself, which the run had not declared possible.
        case terminated(node: String, status: Int32, reason: String)
    }

    package let ending: Ending
    /// Jobs and timers that ran.
    package let stepCount: Int
    /// The virtual time at the end.
    package let time: Instant
    package let traceHash: UInt64
    /// The root tasks that have not ended, in the order they were spawned.
    package let unfinished: [String]
    /// See `Simulator.blockingCallsOnLoops`.
    package let blockingCallsOnLoops: Int
}
