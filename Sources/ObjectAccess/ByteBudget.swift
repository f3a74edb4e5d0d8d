import Primitives
import Synchronization

/// A bound on bytes that are in flight together. Whoever takes bytes gives them back.
package final class ByteBudget: Sendable {
    private struct State {
        var free: Int
        /// In the order they came, so that nobody starves.
        var waiting: [(bytes: Int, continuation: UnsafeContinuation<Void, Never>)] = []
    }

    let totalBytes: Int
    private let state: Mutex<State>

    package init(totalBytes: Int) {
        invariant(totalBytes > 0, "a budget has some bytes")
        self.totalBytes = totalBytes
        self.state = Mutex(State(free: totalBytes))
    }

    /// Takes bytes if they are free and nobody waits.
    package func takeNow(_ bytes: Int) -> Bool {
        self.state.withLock { state in
            guard state.waiting.isEmpty, state.free >= bytes else { return false }
            state.free -= bytes
            return true
        }
    }

    /// Takes bytes, waiting until they are free. Never more than the whole budget at once.
    package func take(_ bytes: Int) async {
        invariant(bytes <= self.totalBytes, "nobody takes more than there is")
        if self.takeNow(bytes) { return }
        await withUnsafeContinuation { continuation in
            let isTaken = self.state.withLock { state -> Bool in
                if state.waiting.isEmpty, state.free >= bytes {
                    state.free -= bytes
                    return true
                }
                state.waiting.append((bytes, continuation))
                return false
            }
            if isTaken { continuation.resume() }
        }
    }

    package func giveBack(_ bytes: Int) {
        let woken = self.state.withLock { state in
            state.free += bytes
            var woken: [UnsafeContinuation<Void, Never>] = []
            while let first = state.waiting.first, state.free >= first.bytes {
                state.free -= first.bytes
                woken.append(first.continuation)
                state.waiting.removeFirst()
            }
            return woken
        }
        for continuation in woken { continuation.resume() }
    }
}
