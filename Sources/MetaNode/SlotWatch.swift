import Catalog
import OrderedStorage
import Primitives
import Synchronization

/// Remembers which rows of moving slots were written to a state, for the mover that copies them.
///
/// A row is noted once it is written, and never before: a mover collects what was noted and then
/// looks at the state, so that whatever it does not see there is noted for its next look.
final class SlotWatch: Sendable {
    /// Names that may wait to be collected: some 32 MB.
    private static let mostWritten = 262_144

    private struct Watched {
        let number: UInt64
        let slots: SlotRange
        var written: [SlotRowName] = []
        var isOverrun = false
    }

    private struct State {
        var watched: Watched?
        var nextNumber: UInt64 = 1
    }

    private let state = Mutex(State())

    /// What a mover holds for as long as it copies. A later one takes its place.
    struct Ticket { fileprivate let number: UInt64 }

    func begin(_ slots: SlotRange) -> Ticket {
        self.state.withLock { state in
            defer { state.nextNumber += 1 }
            state.watched = Watched(number: state.nextNumber, slots: slots)
            return Ticket(number: state.nextNumber)
        }
    }

    func end(_ ticket: Ticket) {
        self.state.withLock { state in
            if state.watched?.number == ticket.number { state.watched = nil }
        }
    }

    /// What was written since the last call; nil where some of it was not kept, and the copy is
    /// worth nothing.
    func take(_ ticket: Ticket) -> [SlotRowName]? {
        self.state.withLock { state in
            guard let watched = state.watched, watched.number == ticket.number, !watched.isOverrun
            else { return nil }
            state.watched?.written = []
            return watched.written
        }
    }

    func note(_ batch: WriteBatch) {
        self.state.withLock { state in
            guard let slots = state.watched?.slots else { return }
            state.watched?.written.append(contentsOf: batch.slotRows(of: slots))
            if state.watched?.written.count ?? 0 > Self.mostWritten {
                state.watched?.isOverrun = true
                state.watched?.written = []
            }
        }
    }
}
