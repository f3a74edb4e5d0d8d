import Primitives
import Synchronization

/// The bytes that a node lets its peers send it in large bodies. A body is granted whole or not
/// yet, first come first served: granted piecemeal, many half bodies could fill the budget and none
/// would ever end.
final class ByteBudget: Sendable {
    /// One claim on the budget; never used twice.
    typealias Ticket = UInt64

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

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    func newTicket() -> Ticket { self.lastTicket.wrappingAdd(1, ordering: .relaxed).newValue }

    /// Calls `grant` once there is room, perhaps before it returns. A body larger than the whole
    /// budget gets it alone.
    func claim(_ sizeBytes: Int, as ticket: Ticket, grant: @escaping @Sendable () -> Void) {
        let granted = self.state.withLock { state in
            state.waiting.append(Claim(ticket: ticket, sizeBytes: sizeBytes, grant: grant))
            return Self.grantWhatFits(&state, limitBytes: self.limitBytes)
        }
        for claim in granted { claim.grant() }
    }

    /// Gives back what `ticket` holds, or its place in the line. Fine when it has neither.
    func release(_ ticket: Ticket) {
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

    var heldBytes: Int { self.state.withLock { $0.heldBytes } }

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
