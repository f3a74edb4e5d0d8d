import CLinux
import Glibc
import Primitives

/// A file descriptor that a loop watches, with what is known of its readiness and who waits for it.
///
/// Edge-triggered: an event sets a flag, and only a call that found nothing left takes it back. A
/// read that returns less than was asked for has emptied the socket, and a write that takes less has
/// filled it (epoll(7), "Questions and answers", 9), which saves the call that would say so.
///
/// Unchecked for the reason that `EpollLoop` gives: used on its thread only, but for `close`.
final class Descriptor: TimerTarget, @unchecked Sendable {
    /// Bytes that one descriptor may move in one turn of its loop, each way, before the others have
    /// theirs: a peer as fast as we are would never let the loop go.
    static let bytesPerTurn = 512 << 10
    private static let closedNumber: Int32 = -1

    enum Direction { case reading, writing }

    private enum Wake { case ready, deadlineExceeded, closed }

    private struct Side {
        var isReady: Bool
        var turn: UInt64 = 0
        var bytesLeftInTurn = 0
        var waiter: UnsafeContinuation<Wake, Never>?
        /// Of `waiter`; the latest instant while nobody waits.
        var deadline = Instant.never

        mutating func takeWaiter() -> UnsafeContinuation<Wake, Never>? {
            let waiter = self.waiter
            self.waiter = nil
            self.deadline = .never
            return waiter
        }
    }

    let loop: EpollLoop
    /// For the system calls of `Descriptor`'s extensions; negative once closed.
    private(set) var number: Int32
    private var token: UInt64 = 0
    private var reading = Side(isReady: false)
    private var writing: Side
    /// The peer has said its last, or the descriptor has failed: no further event will come, so a
    /// short read does not mean that there is nothing to learn.
    private(set) var hasEnded = false
    /// What broke the stream. The kernel tells it once, to whichever call comes first.
    var failure: StreamFault?
    var timerPosition = TimerHeap.nowhere

    /// Takes `number` over, also when this fails. The caller is on `loop`.
    init(
        adopting number: Int32, on loop: EpollLoop, isWritable: Bool = false
    ) throws(StreamFault) {
        self.loop = loop
        self.number = number
        self.writing = Side(isReady: isWritable)
        do throws(StreamFault) { self.token = try loop.watch(number, for: self) } catch {
            Glibc.close(number)
            throw error
        }
    }

    /// Gives the descriptor back to the system; whoever waits wakes to `.closed`. From any thread.
    func close() {
        self.loop.execute { self.closeNow() }
    }

    private func closeNow() {
        guard self.number != Self.closedNumber else { return }
        self.loop.forget(self.token, self.number)
        self.loop.disarm(self)
        Glibc.close(self.number)
        self.number = Self.closedNumber
        self.reading.takeWaiter()?.resume(returning: .closed)
        self.writing.takeWaiter()?.resume(returning: .closed)
    }
}

// MARK: - Trying

extension Descriptor {
    /// Checks that the caller may try at all. False: there is nothing to do now.
    func mayTry(_ direction: Direction) throws(StreamFault) -> Bool {
        self.loop.checkIsolated()
        guard self.number != Self.closedNumber else { throw .closed }
        return self.withSide(direction) { side in
            if side.turn != self.loop.turn {
                side.turn = self.loop.turn
                side.bytesLeftInTurn = Self.bytesPerTurn
            }
            return side.isReady && side.bytesLeftInTurn > 0
        }
    }

    /// `moved` of the `wanted` bytes went through.
    func tried(_ direction: Direction, moved: Int, wanted: Int) {
        let mayGoOn = moved == wanted || (direction == .reading && self.hasEnded)
        self.withSide(direction) { side in
            side.isReady = mayGoOn
            side.bytesLeftInTurn -= moved
        }
    }

    /// Nothing could be done, and an event will say when that changes.
    func wouldBlock(_ direction: Direction) { self.withSide(direction) { $0.isReady = false } }

    /// Nothing says so, but trying again makes sense.
    func assumeReady(_ direction: Direction) { self.withSide(direction) { $0.isReady = true } }

    private func withSide<Value>(_ direction: Direction, _ body: (inout Side) -> Value) -> Value {
        switch direction {
        case .reading: body(&self.reading)
        case .writing: body(&self.writing)
        }
    }
}

// MARK: - Waiting

extension Descriptor {
    /// Returns when trying makes sense; one waiter for each direction.
    func ready(_ direction: Direction, by deadline: Instant) async throws(StreamFault) {
        if try self.mayTry(direction) { return }
        if self.withSide(direction, { $0.isReady }) {
            await self.loop.nextTurn()
            guard self.number != Self.closedNumber else { throw .closed }
            return
        }
        guard deadline > self.loop.turnTime else { throw .deadlineExceeded }
        let wake = await withUnsafeContinuation { self.wait(direction, $0, by: deadline) }
        switch wake {
        case .ready: return
        case .deadlineExceeded: throw .deadlineExceeded
        case .closed: throw .closed
        }
    }

    /// Looks again, as a task may pass through the loop's queue on its way to suspension.
    private func wait(
        _ direction: Direction, _ waiter: UnsafeContinuation<Wake, Never>, by deadline: Instant
    ) {
        guard self.number != Self.closedNumber else { return waiter.resume(returning: .closed) }
        let isReady = self.withSide(direction) { side in
            invariant(side.waiter == nil, "one task waits for a direction of a stream")
            if side.isReady { return true }
            side.waiter = waiter
            side.deadline = deadline
            return false
        }
        if isReady { return waiter.resume(returning: .ready) }
        if deadline != .never { self.loop.expect(deadline, self) }
    }

    func becameReady(_ events: UInt32) {
        let hasEnded = events & HOLDFAST_ENDED != 0
        let hasFailed = events & HOLDFAST_FAILED != 0
        if hasEnded { self.hasEnded = true }
        if hasEnded || events & HOLDFAST_READABLE != 0 {
            self.reading.isReady = true
            self.reading.takeWaiter()?.resume(returning: .ready)
        }
        if hasFailed || events & HOLDFAST_WRITABLE != 0 {
            self.writing.isReady = true
            self.writing.takeWaiter()?.resume(returning: .ready)
        }
    }

    func timerExpired(at now: Instant) {
        if self.reading.deadline <= now {
            self.reading.takeWaiter()?.resume(returning: .deadlineExceeded)
        }
        if self.writing.deadline <= now {
            self.writing.takeWaiter()?.resume(returning: .deadlineExceeded)
        }
        let next = min(self.reading.deadline, self.writing.deadline)
        if next != .never { self.loop.expect(next, self) }
    }
}

extension Instant {
    /// The deadline of a wait that something else ends.
    static let never = Instant(nanoseconds: .max)

    /// 0 when the deadline has passed; cut at 292 years.
    func nanoseconds(until deadline: Instant) -> Int64 {
        deadline > self ? Int64(clamping: deadline.nanoseconds - self.nanoseconds) : 0
    }
}
