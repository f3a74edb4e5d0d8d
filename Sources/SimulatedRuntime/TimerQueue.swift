import Primitives

/// What waits for virtual time: a binary heap in which an entry can be taken back.
///
/// Entries of one instant come out in an order that the seed decides, for on a real machine nothing
/// orders them either.
struct TimerQueue {
    /// Names an entry; a name is used once, so taking back what has fired does nothing.
    struct Ticket: Hashable, Sendable {
        fileprivate let slot: Int
        fileprivate let generation: UInt32
    }

    struct Entry {
        let due: Instant
        fileprivate let tieBreak: UInt64
        fileprivate let slot: Int
        /// The process that the entry ends with; nil for what belongs to the world.
        let owner: SimulatedEnvironment?
        let action: () -> Void

        fileprivate func comesBefore(_ other: Entry) -> Bool {
            self.due == other.due ? self.tieBreak < other.tieBreak : self.due < other.due
        }
    }

    private struct Slot {
        var generation: UInt32
        /// Where in the heap the entry stands; -1 when the slot is free.
        var position: Int
    }

    private var heap: [Entry] = []
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []

    var count: Int { self.heap.count }
    var first: Entry? { self.heap.first }

    mutating func insert(
        due: Instant, tieBreak: UInt64, owner: SimulatedEnvironment?, action: @escaping () -> Void
    ) -> Ticket {
        let slot: Int
        if let free = self.freeSlots.popLast() {
            slot = free
        } else {
            slot = self.slots.count
            self.slots.append(Slot(generation: 0, position: -1))
        }
        self.heap.append(
            Entry(due: due, tieBreak: tieBreak, slot: slot, owner: owner, action: action))
        self.slots[slot].position = self.heap.count - 1
        self.siftUp(self.heap.count - 1)
        return Ticket(slot: slot, generation: self.slots[slot].generation)
    }

    mutating func removeFirst() -> Entry? {
        self.heap.isEmpty ? nil : self.remove(at: 0)
    }

    mutating func cancel(_ ticket: Ticket) {
        let slot = self.slots[ticket.slot]
        guard slot.generation == ticket.generation, slot.position >= 0 else { return }
        _ = self.remove(at: slot.position)
    }

    private mutating func remove(at position: Int) -> Entry {
        let last = self.heap.count - 1
        self.exchange(position, last)
        let entry = self.heap.removeLast()
        self.slots[entry.slot].position = -1
        self.slots[entry.slot].generation &+= 1
        self.freeSlots.append(entry.slot)
        if position < last {
            self.siftDown(position)
            self.siftUp(position)
        }
        return entry
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.heap[child].comesBefore(self.heap[parent]) else { return }
            self.exchange(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in 2 * parent + 1...2 * parent + 2
            where child < self.heap.count && self.heap[child].comesBefore(self.heap[least]) {
                least = child
            }
            guard least != parent else { return }
            self.exchange(parent, least)
            parent = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        guard a != b else { return }
        self.heap.swapAt(a, b)
        self.slots[self.heap[a].slot].position = a
        self.slots[self.heap[b].slot].position = b
    }
}
