import Consensus
import IORuntime
import Primitives
import Synchronization

/// A copy of a group's state that this node holds ready for replicas far behind: a checkpoint below
/// `outgoing/`, which no later write changes.
struct HeldSnapshot: Sendable {
    let group: GroupID
    let id: SnapshotID
    let manifest: SnapshotManifest
    let directory: String
    /// Whom it was offered to; it is given to nobody else.
    var receivers: Set<NodeID> = []
    /// Until when it is held, and the log behind it, unless somebody fetches from it meanwhile.
    var leaseEnd: Instant
}

/// The copies that this node holds ready, one of each group at most. Calls for pieces look here
/// without waiting for a turn.
final class SnapshotShelf: Sendable {
    private let held = Mutex<[GroupID: HeldSnapshot]>([:])

    subscript(group: GroupID) -> HeldSnapshot? { self.held.withLock { $0[group] } }

    func put(_ snapshot: HeldSnapshot) { self.held.withLock { $0[snapshot.group] = snapshot } }

    /// Takes the group's copy off.
    func drop(_ group: GroupID) -> HeldSnapshot? {
        self.held.withLock { $0.removeValue(forKey: group) }
    }

    /// Remembers that the copy was offered.
    func offered(_ id: SnapshotID, of group: GroupID, to node: NodeID) {
        self.held.withLock { held in
            guard held[group]?.id == id else { return }
            held[group]?.receivers.insert(node)
        }
    }

    /// The copy for somebody who fetches it, which prolongs its lease; nil when it is not held, or
    /// was not offered to that node.
    func fetched(
        _ id: SnapshotID, of group: GroupID, by node: NodeID, leaseEnd: Instant
    ) -> HeldSnapshot? {
        self.held.withLock { held in
            guard let found = held[group], found.id == id, found.receivers.contains(node) else {
                return nil
            }
            held[group]?.leaseEnd = max(found.leaseEnd, leaseEnd)
            return found
        }
    }

    /// Takes the copy off when its lease has ended; says else when to look again.
    func expire(_ id: SnapshotID, of group: GroupID, at now: Instant) -> Expiry {
        self.held.withLock { held in
            guard let found = held[group], found.id == id else { return .gone }
            guard found.leaseEnd <= now else { return .later(found.leaseEnd) }
            held[group] = nil
            return .ended
        }
    }

    enum Expiry {
        case ended
        case later(Instant)
        /// Another one has taken its place.
        case gone
    }
}
