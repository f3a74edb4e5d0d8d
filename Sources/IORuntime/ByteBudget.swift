import Primitives
import Synchronization

/// A bound on bytes that a node holds together for one purpose: bodies that arrive at a door, or
/// from its peers. Who needs bytes claims them under a ticket and gives the whole ticket back.
///
/// Claims are granted whole or not yet, first come first served. A ticket that is granted can grow
/// while bytes are free and nobody waits; it never waits to grow, because tickets that wait for each
/// other while they hold bytes would never end.
package final class ByteBudget: Sendable {
    /// One claim on the budget; never used twice.
    package typealias Ticket = UInt64

    private struct Claim {
        let ticket: Ticket
        let sizeBytes: Int
        let grant: @Sendable () -> Void
    }

    private struct State {
        var heldBytes = 0
        var held: [Ticket: Int] = [:]
        var waiting = Fifo<Claim>()
    }

    private let limitBytes: Int
    private let lastTicket = Atomic<UInt64>(0)
    private let state = Mutex(State())

    package init(limitBytes: Int) {
        invariant(limitBytes > 0, "a budget has some bytes")
        self.limitBytes = limitBytes
    }

    package func newTicket() -> Ticket {
        self.lastTicket.wrappingAdd(1, ordering: .relaxed).newValue
    }

    package var heldBytes: Int { self.state.withLock { $0.heldBytes } }

    /// Whether somebody waits: who holds more than it needs should give it back.
    package var isShort: Bool { self.state.withLock { !$0.waiting.isEmpty } }

    /// Calls `grant` once there is room, perhaps before it returns. A claim larger than the whole
    /// budget gets it alone.
    package func claim(
        _ sizeBytes: Int, as ticket: Ticket, grant: @escaping @Sendable () -> Void
    ) {
        let granted = self.state.withLock { state in
            state.waiting.append(Claim(ticket: ticket, sizeBytes: sizeBytes, grant: grant))
            return Self.grantWhatFits(&state, limitBytes: self.limitBytes)
        }
        for claim in granted { claim.grant() }
    }

    /// Adds to what `ticket` holds; false when there is no room, or somebody waits for it.
    package func extend(_ ticket: Ticket, by sizeBytes: Int) -> Bool {
        self.state.withLock { state in
            guard state.waiting.isEmpty, let held = state.held[ticket],
                state.heldBytes + sizeBytes <= self.limitBytes
            else { return false }
            state.heldBytes += sizeBytes
            state.held[ticket] = held + sizeBytes
            return true
        }
    }

    /// Gives back what `ticket` holds, or its place in the line. Fine when it has neither.
    package func release(_ ticket: Ticket) {
        let granted = self.state.withLock { state -> [Claim] in
            if let size = state.held.removeValue(forKey: ticket) {
                state.heldBytes -= size
            } else {
                _ = state.waiting.remove { $0.ticket == ticket }
            }
            return Self.grantWhatFits(&state, limitBytes: self.limitBytes)
        }
        for claim in granted { claim.grant() }
    }

    private static func grantWhatFits(_ state: inout State, limitBytes: Int) -> [Claim] {
        var granted: [Claim] = []
        while let claim = state.waiting.popFirst() {
            guard state.heldBytes == 0 || state.heldBytes + claim.sizeBytes <= limitBytes else {
                state.waiting.prependFirst(claim)
                break
            }
            state.heldBytes += claim.sizeBytes
            state.held[claim.ticket] = claim.sizeBytes
            granted.append(claim)
        }
        return granted
    }
}

extension ByteBudget {
    /// Waits for bytes under a fresh ticket. Nil when there were none by the deadline, or the
    /// caller's task was cancelled: then nothing is held.
    ///
    /// - Parameter loop: the caller's.
    package func take(
        _ sizeBytes: Int, on loop: any EventLoop, by deadline: Instant
    ) async -> Ticket? {
        let ticket = self.newTicket()
        let outcome = GrantOutcome()
        self.claim(sizeBytes, as: ticket) { outcome.decide(isGranted: true) }
        if outcome.isGranted == true { return ticket }

        let timer = loop.spawn {
            do { try await loop.sleep(for: deadline - loop.now) } catch { return }
            outcome.decide(isGranted: false)
        }
        let isGranted = await withTaskCancellationHandler {
            await outcome.decided()
        } onCancel: {
            outcome.decide(isGranted: false)
        }
        timer.cancel()
        if isGranted { return ticket }
        // The grant may have come right behind the deadline.
        self.release(ticket)
        return nil
    }
}

/// What becomes of one wait for bytes; the first to decide decides.
private final class GrantOutcome: Sendable {
    private enum State {
        case open
        case awaited(UnsafeContinuation<Bool, Never>)
        case decided(isGranted: Bool)
    }

    private let state = Mutex(State.open)

    /// Nil while nothing is decided.
    var isGranted: Bool? {
        self.state.withLock { state in
            guard case .decided(let isGranted) = state else { return nil }
            return isGranted
        }
    }

    func decide(isGranted: Bool) {
        let waiter = self.state.withLock { state -> UnsafeContinuation<Bool, Never>? in
            switch state {
            case .decided: return nil
            case .open:
                state = .decided(isGranted: isGranted)
                return nil
            case .awaited(let waiter):
                state = .decided(isGranted: isGranted)
                return waiter
            }
        }
        waiter?.resume(returning: isGranted)
    }

    func decided() async -> Bool {
        await withUnsafeContinuation { continuation in
            let decided = self.state.withLock { state -> Bool? in
                if case .decided(let isGranted) = state { return isGranted }
                state = .awaited(continuation)
                return nil
            }
            if let decided { continuation.resume(returning: decided) }
        }
    }
}
