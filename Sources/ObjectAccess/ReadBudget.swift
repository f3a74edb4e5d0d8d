import ChunkProtocol
import IORuntime
import Primitives
import Synchronization
import Telemetry

/// A bound on the plain bytes that readers hold together: fetched, and not yet sent.
///
/// A part of it is kept for shares of one frame. A reader that finds no room for a block is given its
/// bytes frame by frame, so those who stall with a whole block in hand can be no more than the other
/// part has blocks, and do not stand in anybody's way. What is held comes out of the block cache, so
/// plain bytes in memory stay below the cache's capacity however many read.
package final class ReadBudget: Sendable {
    /// How much of the budget is kept for single frames, in thirds.
    private static let thirdsForFrames = 2

    private struct Waiter {
        let number: UInt64
        let bytes: Int
        let continuation: UnsafeContinuation<Bool, Never>
    }

    private struct State {
        var heldBytes = 0
        /// In the order they came, so that nobody starves.
        var waiting: [Waiter] = []
        var lastNumber: UInt64 = 0
    }

    private let totalBytes: Int
    private let blockBytes: Int
    private let state = Mutex(State())
    private let cache: BlockCache
    private let counters: ObjectAccessCounters

    package init(totalBytes: Int, cache: BlockCache, counters: ObjectAccessCounters) {
        invariant(
            totalBytes >= 3 * BlockCache.blockBytes, "a reader can hold at least one block")
        self.totalBytes = totalBytes
        self.blockBytes = totalBytes - totalBytes / 3 * Self.thirdsForFrames
        self.cache = cache
        self.counters = counters
    }

    package var heldBytes: Int { self.state.withLock { $0.heldBytes } }

    /// A share of any size up to a block, if there is room beside what is kept for frames.
    func takeNow(_ bytes: Int) -> ReadShare? {
        let isTaken = self.state.withLock { state in
            guard state.waiting.isEmpty, state.heldBytes + bytes <= self.blockBytes else {
                return false
            }
            state.heldBytes += bytes
            return true
        }
        guard isTaken else { return nil }
        self.cache.giveWay(by: bytes)
        return ReadShare(of: self, bytes)
    }

    /// A share for one frame; waits for it until the deadline, and not when its task is cancelled.
    func takeFrame(by deadline: Instant, on loop: any EventLoop) async -> ReadShare? {
        let bytes = SealedLayout.frameBytes
        let number = self.state.withLock { state -> UInt64 in
            state.lastNumber += 1
            return state.lastNumber
        }
        let isTaken = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                self.wait(
                    Waiter(number: number, bytes: bytes, continuation: continuation),
                    until: deadline, on: loop)
                if Task.isCancelled { self.endWait(number) }
            }
        } onCancel: {
            self.endWait(number)
        }
        guard isTaken else {
            self.counters.readsStarved.add()
            return nil
        }
        self.cache.giveWay(by: bytes)
        return ReadShare(of: self, bytes)
    }

    private func wait(_ waiter: Waiter, until deadline: Instant, on loop: any EventLoop) {
        let isTaken = self.state.withLock { state -> Bool in
            if state.waiting.isEmpty, state.heldBytes + waiter.bytes <= self.totalBytes {
                state.heldBytes += waiter.bytes
                return true
            }
            state.waiting.append(waiter)
            return false
        }
        if isTaken { return waiter.continuation.resume(returning: true) }
        let number = waiter.number
        loop.spawn { [weak self] in
            do { try await loop.sleep(for: deadline - loop.now) } catch {}
            self?.endWait(number)
        }
    }

    private func endWait(_ number: UInt64) {
        let waiter = self.state.withLock { state -> Waiter? in
            guard let place = state.waiting.firstIndex(where: { $0.number == number }) else {
                return nil
            }
            return state.waiting.remove(at: place)
        }
        waiter?.continuation.resume(returning: false)
    }

    fileprivate func giveBack(_ bytes: Int) {
        let woken = self.state.withLock { state -> [Waiter] in
            state.heldBytes -= bytes
            var woken: [Waiter] = []
            while let first = state.waiting.first,
                state.heldBytes + first.bytes <= self.totalBytes
            {
                state.heldBytes += first.bytes
                woken.append(state.waiting.removeFirst())
            }
            return woken
        }
        self.cache.giveWay(by: -bytes)
        for waiter in woken { waiter.continuation.resume(returning: true) }
    }
}

/// Bytes of the budget; given back when nobody holds the share any longer.
final class ReadShare: Sendable {
    private let budget: ReadBudget
    let bytes: Int

    fileprivate init(of budget: ReadBudget, _ bytes: Int) {
        self.budget = budget
        self.bytes = bytes
    }

    deinit { self.budget.giveBack(self.bytes) }
}
