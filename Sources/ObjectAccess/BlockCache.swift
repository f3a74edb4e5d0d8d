import CachePolicy
import Primitives
import Synchronization
import Telemetry

/// Plain blocks of immutable chunks in memory. They never become wrong, so nothing expires; one
/// fetch serves all who wait for the same block.
///
/// A block that is wanted whole is taken in when it is fetched. Of one that is wanted in part only
/// those frames are fetched the first time, and the block the second time: most small ranges are
/// read once, and would bring sixteen times what they need.
package final class BlockCache: Sendable {
    /// Plain bytes of a block: 16 frames.
    package static let blockBytes = 1 << 20

    package struct Key: Hashable, Sendable {
        package let chunk: ChunkName
        /// Counts blocks from the chunk's start.
        package let block: Int

        package init(chunk: ChunkName, block: Int) {
            self.chunk = chunk
            self.block = block
        }
    }

    private typealias Outcome = Result<[UInt8], AccessFault>
    /// Hears nil when the fetch was given up: then somebody who waits tries it.
    private typealias Waiter = UnsafeContinuation<Outcome?, Never>

    private struct State {
        var blocks: SieveCache<Key, [UInt8]>
        var heldByReaders = 0
        /// Blocks being fetched, and who waits for them beside the fetcher.
        var fetching: [Key: [Waiter]] = [:]
        /// Blocks of which a part was wanted lately.
        var touched = SieveCache<Key, Void>(capacityBytes: BlockCache.mostTouched)
    }

    private enum Found {
        case block([UInt8])
        case fetch
        case wait
    }

    /// How many blocks a reader may bring ahead of itself at first: none where the cache is so small
    /// that they would push each other out.
    let blocksAhead: Int
    /// How many a reader may bring that still has to wait for them.
    let mostBlocksAhead: Int
    private static let usualBlocksAhead = 2
    private static let largestWindow = 8
    private static let leastBlocksToReadAhead = 8
    /// Blocks remembered as wanted in part.
    private static let mostTouched = 8192
    /// What an entry takes beside its bytes.
    private static let overheadBytes = 128

    private let capacityBytes: Int
    private let state: Mutex<State>
    private let counters: ObjectAccessCounters

    package init(capacityBytes: Int, counters: ObjectAccessCounters) {
        self.capacityBytes = capacityBytes
        self.state = Mutex(State(blocks: SieveCache(capacityBytes: capacityBytes)))
        self.counters = counters
        let blocks = capacityBytes / Self.blockBytes
        let isLarge = blocks >= Self.leastBlocksToReadAhead
        self.blocksAhead = isLarge ? Self.usualBlocksAhead : 0
        self.mostBlocksAhead =
            isLarge
            ? max(Self.usualBlocksAhead, min(Self.largestWindow, blocks / 8)) : 0
    }

    /// Readers hold so much more than before, or less: so much less may be kept here.
    func giveWay(by bytes: Int) {
        self.state.withLock { state in
            state.heldByReaders += bytes
            state.blocks.capacityBytes = max(0, self.capacityBytes - state.heldByReaders)
        }
    }

    /// The block, from the cache, from a fetch that is under way, or from `fetch`.
    package func block(
        _ key: Key, fetch: () async throws(AccessFault) -> [UInt8]
    ) async throws(AccessFault) -> [UInt8] {
        while true {
            switch self.find(key) {
            case .block(let block):
                self.counters.blockHits.add()
                return block
            case .wait:
                self.counters.blocksCoalesced.add()
                if let outcome = await self.wait(for: key) { return try outcome.get() }
            case .fetch:
                self.counters.blockMisses.add()
                do throws(AccessFault) {
                    let block = try await fetch()
                    self.finish(key, .success(block))
                    return block
                } catch {
                    self.finish(key, Self.outcome(of: error))
                    throw error
                }
            }
        }
    }

    /// The block, if it is here.
    func blockNow(_ key: Key) -> [UInt8]? {
        guard let block = self.state.withLock({ $0.blocks.value(for: key) }) else { return nil }
        self.counters.blockHits.add()
        return block
    }

    /// Whether the whole block is worth having for a reader that wants a part of it: it is here, or
    /// on its way, or a part of it was wanted before.
    func isWorthWhole(_ key: Key) -> Bool {
        self.state.withLock { state in
            if state.blocks.contains(key) || state.fetching[key] != nil { return true }
            if state.touched.value(for: key) != nil {
                state.touched.remove(key)
                return true
            }
            // One unit each: the capacity counts blocks.
            state.touched.insert((), for: key, sizeBytes: 1)
            return false
        }
    }

    /// Fetches a block that will be asked for soon, unless it is there or on its way already. Who
    /// asks for it meanwhile waits for this fetch.
    package func fetchAhead(
        _ key: Key, fetch: () async throws(AccessFault) -> [UInt8]
    ) async {
        let isWanted = self.state.withLock { state in
            guard !state.blocks.contains(key), state.fetching[key] == nil else { return false }
            state.fetching[key] = []
            return true
        }
        guard isWanted else { return }
        self.counters.blockMisses.add()
        do throws(AccessFault) {
            let block = try await fetch()
            self.finish(key, .success(block))
        } catch {
            self.finish(key, Self.outcome(of: error))
        }
    }

    /// What a failed fetch says to those who wait for it. Where it ended because its own reader went,
    /// it says nothing of the block. Else all hear the fault at once: were each to try in turn, the
    /// last of many would wait as many times as long as a fetch may take.
    private static func outcome(of fault: AccessFault) -> Outcome? {
        Task.isCancelled ? nil : .failure(fault)
    }

    private func find(_ key: Key) -> Found {
        self.state.withLock { state in
            if let block = state.blocks.value(for: key) { return .block(block) }
            if state.fetching[key] != nil { return .wait }
            state.fetching[key] = []
            return .fetch
        }
    }

    private func wait(for key: Key) async -> Outcome? {
        await withUnsafeContinuation { (waiter: Waiter) in
            let isOver = self.state.withLock { state -> Outcome?? in
                if state.fetching[key] != nil {
                    state.fetching[key]?.append(waiter)
                    return nil
                }
                return .some(state.blocks.value(for: key).map { .success($0) })
            }
            if case .some(let outcome) = isOver { waiter.resume(returning: outcome) }
        }
    }

    private func finish(_ key: Key, _ outcome: Outcome?) {
        let waiters = self.state.withLock { state -> [Waiter] in
            if case .success(let block) = outcome {
                state.blocks.insert(
                    block, for: key, sizeBytes: block.count + Self.overheadBytes)
            }
            return state.fetching.removeValue(forKey: key) ?? []
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }
}
