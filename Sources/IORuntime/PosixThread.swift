import CLinux
import Glibc
import Primitives

/// Threads of our own: loops and pools. Nothing else starts one.
enum PosixThread {
    private final class Work: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Runs `body` on a new thread, detached, that is called `name` (15 bytes count).
    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        let work = Unmanaged.passRetained(Work(name: String(name.prefix(15)), body: body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
                holdfast_name_thread(work.name)
                work.body()
                return nil
            }, work.toOpaque())
        invariant(result == 0, "the system has a thread for \(name) (error \(result))")
        pthread_detach(thread)
    }
}
