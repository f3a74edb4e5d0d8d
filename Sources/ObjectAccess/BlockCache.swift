import CachePolicy
import Primitives
import Synchronization
import Telemetry

/// Plain blocks of immutable chunks in memory. They never become wrong, so nothing expires; one
/// fetch serves all who wait for the same block.
final class BlockCache: Sendable {
    /// Plain bytes of a block: 16 frames.
    static let blockBytes = 1 << 20

    struct Key: Hashable, Sendable {
        let chunk: ChunkName
        /// Counts blocks from the chunk's start.
        let block: Int
    }

    private typealias Waiter = UnsafeContinuation<[UInt8]?, Never>

    private struct State {
        var blocks: SieveCache<Key, [UInt8]>
        /// Blocks being fetched, and who waits for them beside the fetcher.
        var fetching: [Key: [Waiter]] = [:]
    }

    private enum Found {
        case block([UInt8])
        case fetch
        case wait
    }

    private let state: Mutex<State>
    private let counters: ObjectAccessCounters

    init(capacityBytes: Int, counters: ObjectAccessCounters) {
        self.state = Mutex(State(blocks: SieveCache(capacityBytes: capacityBytes)))
        self.counters = counters
    }

    /// The block, from the cache, from a fetch that is under way, or from `fetch`.
    func block(
        _ key: Key, fetch: () async throws(AccessFault) -> [UInt8]
    ) async throws(AccessFault) -> [UInt8] {
        while true {
            switch self.find(key) {
            case .block(let block):
                self.counters.blockHits.add()
                return block
            case .wait:
                self.counters.blocksCoalesced.add()
                // Nil when the other fetch failed: then it is this one's turn to try.
                if let block = await self.wait(for: key) { return block }
            case .fetch:
                self.counters.blockMisses.add()
                do throws(AccessFault) {
                    let block = try await fetch()
                    self.finish(key, block)
                    return block
                } catch {
                    self.finish(key, nil)
                    throw error
                }
            }
        }
    }

    private func find(_ key: Key) -> Found {
        self.state.withLock { state in
            if let block = state.blocks.value(for: key) { return .block(block) }
            if state.fetching[key] != nil { return .wait }
            state.fetching[key] = []
            return .fetch
        }
    }

    private func wait(for key: Key) async -> [UInt8]? {
        await withUnsafeContinuation { (waiter: Waiter) in
            let isOver = self.state.withLock { state -> [UInt8]?? in
                if state.fetching[key] != nil {
                    state.fetching[key]?.append(waiter)
                    return nil
                }
                return .some(state.blocks.value(for: key))
            }
            if case .some(let block) = isOver { waiter.resume(returning: block) }
        }
    }

    private func finish(_ key: Key, _ block: [UInt8]?) {
        let waiters = self.state.withLock { state -> [Waiter] in
            if let block { state.blocks.insert(block, for: key, sizeBytes: block.count + 128) }
            return state.fetching.removeValue(forKey: key) ?? []
        }
        for waiter in waiters { waiter.resume(returning: block) }
    }
}
