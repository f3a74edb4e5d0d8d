import Primitives

/// Something that waits for a time. Belongs to one loop and has at most one place in its heap.
package protocol TimerTarget: AnyObject {
    /// Where the target stands in the heap, or `TimerHeap.nowhere`. Written by the heap only.
    var timerPosition: Int { get set }
    func timerExpired(at now: Instant)
}

/// A binary heap of deadlines; those of the same time come in the order they were set. Targets know
/// their place, so that one can leave, or move forward, in logarithmic time.
package struct TimerHeap {
    package static let nowhere = -1

    private struct Entry {
        var deadline: Instant
        var sequence: UInt64
        var target: any TimerTarget

        static func < (a: Entry, b: Entry) -> Bool {
            a.deadline == b.deadline ? a.sequence < b.sequence : a.deadline < b.deadline
        }
    }

    private var entries: [Entry] = []
    private var nextSequence: UInt64 = 0

    package init() {}

    package var firstDeadline: Instant? { self.entries.first?.deadline }

    /// Sets the target's deadline, if it has none that is as early.
    package mutating func arm(_ target: any TimerTarget, at deadline: Instant) {
        let position = target.timerPosition
        if position != Self.nowhere {
            guard deadline < self.entries[position].deadline else { return }
            self.entries[position].deadline = deadline
            self.rise(from: position)
            return
        }
        self.entries.append(
            Entry(deadline: deadline, sequence: self.nextSequence, target: target))
        self.nextSequence += 1
        target.timerPosition = self.entries.count - 1
        self.rise(from: self.entries.count - 1)
    }

    package mutating func disarm(_ target: any TimerTarget) {
        let position = target.timerPosition
        if position != Self.nowhere { self.remove(at: position) }
    }

    package mutating func removeFirst(dueAt now: Instant) -> (any TimerTarget)? {
        guard let first = self.entries.first, first.deadline <= now else { return nil }
        self.remove(at: 0)
        return first.target
    }

    private mutating func remove(at position: Int) {
        self.entries[position].target.timerPosition = Self.nowhere
        let last = self.entries.removeLast()
        guard position < self.entries.count else { return }
        self.place(last, at: position)
        self.rise(from: position)
        self.sink(from: position)
    }

    private mutating func rise(from start: Int) {
        var position = start
        let entry = self.entries[position]
        while position > 0, entry < self.entries[(position - 1) / 2] {
            self.place(self.entries[(position - 1) / 2], at: position)
            position = (position - 1) / 2
        }
        self.place(entry, at: position)
    }

    private mutating func sink(from start: Int) {
        var position = start
        let entry = self.entries[position]
        while true {
            var child = 2 * position + 1
            guard child < self.entries.count else { break }
            if child + 1 < self.entries.count, self.entries[child + 1] < self.entries[child] {
                child += 1
            }
            guard self.entries[child] < entry else { break }
            self.place(self.entries[child], at: position)
            position = child
        }
        self.place(entry, at: position)
    }

    private mutating func place(_ entry: Entry, at position: Int) {
        self.entries[position] = entry
        entry.target.timerPosition = position
    }
}
