import Primitives
import Synchronization

/// As many as may travel at once, be they small files or parts of large ones. First come, first
/// served.
final class TransferSlots: Sendable {
    private struct State {
        var free: Int
        var waiting = Fifo<UnsafeContinuation<Void, Never>>()
    }

    private let state: Mutex<State>

    init(count: Int) {
        invariant(count > 0, "something can travel")
        self.state = Mutex(State(free: count))
    }

    /// Does `work` as soon as there is a slot. Whoever holds one must not ask for another.
    func holding<Value: Sendable, Fault: Error>(
        _ work: () async throws(Fault) -> Value
    ) async throws(Fault) -> Value {
        await self.acquire()
        defer { self.release() }
        return try await work()
    }

    private func acquire() async {
        await withUnsafeContinuation { continuation in
            let isGranted = self.state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isGranted { continuation.resume() }
        }
    }

    private func release() {
        let next = self.state.withLock { state -> UnsafeContinuation<Void, Never>? in
            if let next = state.waiting.popFirst() { return next }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}
