import Catalog
import Primitives

/// The numbers of the commands that one process sends to one group (Raft thesis §6.3). A pure value.
///
/// A number is never given to two commands, whatever becomes of the session: the group would answer
/// the second with the result of the first.
package struct CommandWindow: Sendable {
    package enum Start: Equatable, Sendable {
        case command(CommandIdentity)
        /// The group must open a session first; whoever hears this does it, and reports with
        /// `opened` or `openingFailed`.
        case mustOpen
        /// Somebody opens a session, or the window is full: later.
        case mustWait
    }

    private enum Phase: Sendable {
        /// No session is known. Left by `begin`.
        case closed
        /// Somebody asks for a session. Left by `opened` and `openingFailed`.
        case opening
        /// The session knows numbers from `first` on. Left when the group says that it does not.
        case open(first: UInt64)
    }

    private var phase = Phase.closed
    private var next: UInt64 = 0
    /// Numbers given out in the open session whose outcome is not yet known here, ascending.
    private var pending: [UInt64] = []

    package init() {}

    /// The identity of a new command, or what stands in its way.
    package mutating func begin(in session: SessionID) -> Start {
        switch self.phase {
        case .closed:
            self.phase = .opening
            return .mustOpen
        case .opening: return .mustWait
        case .open:
            let first = self.pending.first ?? self.next
            guard self.next - first < UInt64(CatalogLimits.sessionWindow) else { return .mustWait }
            let sequence = self.next
            self.next += 1
            self.pending.append(sequence)
            return .command(
                CommandIdentity(session: session, sequence: sequence, firstUnacknowledged: first))
        }
    }

    /// The group has the session, and takes numbers from `firstSequence` on.
    package mutating func opened(firstSequence: UInt64) {
        guard case .opening = self.phase else { return }
        self.next = max(self.next, firstSequence)
        self.pending = []
        self.phase = .open(first: self.next)
    }

    package mutating func openingFailed() {
        if case .opening = self.phase { self.phase = .closed }
    }

    /// The command's result is here, or nobody waits for it any more.
    package mutating func end(_ identity: CommandIdentity) {
        var low = 0
        var high = self.pending.count
        while low < high {
            let middle = (low + high) / 2
            if self.pending[middle] < identity.sequence { low = middle + 1 } else { high = middle }
        }
        if low < self.pending.count, self.pending[low] == identity.sequence {
            self.pending.remove(at: low)
        }
    }

    /// The group knows nothing of the session that this command was of. The news of one session says
    /// nothing about the next, which may be in use by the time it comes.
    package mutating func sessionLost(with identity: CommandIdentity) {
        if case .open(let first) = self.phase, identity.sequence >= first { self.phase = .closed }
    }
}
