import Synchronization

/// Counts jobs that other threads tried to put into the run queue: tasks that had left the
/// simulation and want back in. The one thing here that several threads touch.
final class ForeignJobs: Sendable {
    private let jobCount = Atomic<Int>(0)
    var count: Int { self.jobCount.load(ordering: .acquiring) }
    func add() { self.jobCount.wrappingAdd(1, ordering: .releasing) }
}
