import IORuntime
import Primitives
import Synchronization

/// One timer for the deadlines of many calls: set to the earliest, set anew when it has gone off.
/// A timer for each call would cost more than the call.
final class DeadlineTimer: Sendable {
    private let loop: any EventLoop
    private let sleeping = Mutex<SpawnedTask?>(nil)

    init(loop: any EventLoop) { self.loop = loop }

    /// Calls `passed` at `deadline`, instead of what was armed before.
    func arm(_ deadline: Instant, passed: @escaping @Sendable () -> Void) {
        let loop = self.loop
        let task = loop.spawn {
            do { try await loop.sleep(for: deadline - loop.now) } catch { return }
            passed()
        }
        self.replace(with: task)
    }

    func disarm() { self.replace(with: nil) }

    private func replace(with task: SpawnedTask?) {
        let before = self.sleeping.withLock { sleeping in
            let before = sleeping
            sleeping = task
            return before
        }
        before?.cancel()
    }
}
