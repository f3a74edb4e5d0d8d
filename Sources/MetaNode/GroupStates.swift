import Catalog
import OrderedStorage
import Primitives
import Synchronization

/// The state machine of one group on its store; what the pool needs to apply and to answer.
package struct GroupState: Sendable {
    package let group: GroupID
    /// Which of the group's states this is: one that comes with a snapshot has a higher number.
    package let generation: UInt64
    package let store: any OrderedStore
    let catalog: Catalog
    let feed: InvalidationFeed
    /// What a mover of slots wants to know of the rows that are written here.
    let watch = SlotWatch()

    /// - Parameter invalidationsKept: names that its feed remembers.
    init(
        group: GroupID, generation: UInt64, store: any OrderedStore, invalidationsKept: Int
    ) {
        self.feed = InvalidationFeed(capacity: invalidationsKept)
        self.group = group
        self.generation = generation
        self.store = store
        self.catalog = Catalog(group: group)
    }

    /// Where the state rests below the meta role's directory.
    static func directory(of group: GroupID, _ generation: UInt64) -> String {
        "state/\(Self.name(of: group, generation))"
    }

    static func name(of group: GroupID, _ generation: UInt64) -> String {
        "\(group)-\(generation)"
    }
}

/// The states of a node's groups, for who asks without waiting for a turn. A state can be exchanged
/// or go away at any time: who holds one reads on in it, and its store throws once it is closed.
package final class GroupStates: Sendable {
    private let states: Mutex<[GroupID: GroupState]>

    init(_ states: [GroupState]) {
        self.states = Mutex(
            Dictionary(uniqueKeysWithValues: states.map { ($0.group, $0) }))
    }

    /// The groups that have a state here, in order.
    package var groups: [GroupID] { self.states.withLock { $0.keys.sorted() } }

    /// All states, in the order of their groups.
    package var all: [GroupState] {
        self.states.withLock { states in states.values.sorted { $0.group < $1.group } }
    }

    package subscript(group: GroupID) -> GroupState? { self.states.withLock { $0[group] } }

    /// Puts a state in place of the one that the group had, if it had one.
    func put(_ state: GroupState) { self.states.withLock { $0[state.group] = state } }

    func remove(_ group: GroupID) { self.states.withLock { $0[group] = nil } }
}
