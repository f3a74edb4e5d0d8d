import Primitives

/// What a loop watches, by slot. A token carries the slot's generation too, so that an event for a
/// descriptor that has gone finds nothing, also when the slot is in use again.
struct DescriptorTable {
    private struct Slot {
        var generation: UInt32 = 0
        var descriptor: Descriptor?
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []

    mutating func insert(_ descriptor: Descriptor) -> UInt64 {
        let slot = self.free.popLast() ?? UInt32(self.slots.count)
        if slot == self.slots.count { self.slots.append(Slot()) }
        self.slots[Int(slot)].descriptor = descriptor
        return UInt64(self.slots[Int(slot)].generation) << 32 | UInt64(slot)
    }

    subscript(token: UInt64) -> Descriptor? {
        let slot = Int(UInt32(truncatingIfNeeded: token))
        guard slot < self.slots.count, self.slots[slot].generation == token >> 32 else {
            return nil
        }
        return self.slots[slot].descriptor
    }

    var all: [Descriptor] { self.slots.compactMap(\.descriptor) }

    mutating func remove(_ token: UInt64) {
        invariant(self[token] != nil, "a descriptor leaves the table once")
        let slot = UInt32(truncatingIfNeeded: token)
        self.slots[Int(slot)].descriptor = nil
        self.slots[Int(slot)].generation &+= 1
        self.free.append(slot)
    }
}
