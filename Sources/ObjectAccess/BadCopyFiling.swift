import CachePolicy
import Catalog
import ClusterClient
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// Tells metadata of copies that readers found missing or bad, so that repair finds them. Best
/// effort, never in a reader's way: each copy once in a while, one at a time, and what does not fit
/// is dropped, because scrubbing finds it too.
final class BadCopyFiling: Sendable {
    struct BadCopy: Hashable, Sendable {
        let chunk: ChunkKey
        let node: NodeID
    }

    /// Copies that wait to be filed.
    static let mostWaiting = 256
    /// Copies remembered as filed.
    static let mostRemembered = 4096
    /// A copy that is found bad again after this is filed again.
    static let rememberedFor = Duration.seconds(600)
    /// The least time between two filings of one edge.
    static let period = Duration.milliseconds(50)

    private struct State {
        var waiting: [BadCopy] = []
        /// When each was filed, or came to wait.
        var remembered = SieveCache<BadCopy, Instant>(
            capacityBytes: BadCopyFiling.mostRemembered)
        var isSending = false
    }

    private let state = Mutex(State())
    private let cluster: ClusterClient
    private let counters: ObjectAccessCounters

    init(cluster: ClusterClient, counters: ObjectAccessCounters) {
        self.cluster = cluster
        self.counters = counters
    }

    /// Files a copy soon, unless it was lately.
    func file(_ copy: BadCopy, on loop: any EventLoop) {
        let now = loop.now
        let begins = self.state.withLock { state -> Bool in
            if let before = state.remembered.value(for: copy), now - before < Self.rememberedFor {
                return false
            }
            guard state.waiting.count < Self.mostWaiting else {
                self.counters.badCopiesNotFiled.add()
                return false
            }
            // One unit each: the capacity counts copies.
            state.remembered.insert(now, for: copy, sizeBytes: 1)
            state.waiting.append(copy)
            defer { state.isSending = true }
            return !state.isSending
        }
        if begins { loop.spawn { await self.send(on: loop) } }
    }

    private func send(on loop: any EventLoop) async {
        while let copy = self.next() {
            let deadline = loop.now + self.cluster.settings.callTimeout
            do throws(ClusterFault) {
                _ = try await self.cluster.submit(
                    .fileBadCopy(FileBadCopy(chunk: copy.chunk, node: copy.node)),
                    deadline: deadline)
                self.counters.badCopiesFiled.add()
            } catch {
                self.counters.badCopiesNotFiled.add()
                self.state.withLock { $0.remembered.remove(copy) }
            }
            do { try await loop.sleep(for: Self.period) } catch {
                // The node stops, and what still waits is forgotten with it.
                return
            }
        }
    }

    private func next() -> BadCopy? {
        self.state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isSending = false
                return nil
            }
            return state.waiting.removeFirst()
        }
    }
}
